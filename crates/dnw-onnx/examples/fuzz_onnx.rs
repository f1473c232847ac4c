//! Imports damaged ONNX files, and compiles and executes those that are still networks.
//!
//! ```sh
//! cargo run --release -p dnw-onnx --example fuzz_onnx -- --cases 1000000
//! ```
//!
//! Each case is an exported random circuit with some changed bytes. Importing it must not panic and must not allocate more than the limits
//! allow; a circuit of moderate size is compiled, and its plan must be one that can be executed or is refused. The cases depend on `--seed`
//! alone; a panic names the case, and `--case N` repeats it.

use std::error::Error;

use dnw_compiler::{Passes, compile};
use dnw_onnx::{Description, ExportOptions, export, import};
use dnw_runtime::Model;
use dnw_runtime::plan::Input;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

#[path = "../../dnw-runtime/tests/file/fuzzing.rs"]
mod fuzzing;
#[path = "../../dnw-checkpoint/tests/checkpoint/live_memory.rs"]
mod live_memory;
#[path = "../../dnw-runtime/tests/file/random.rs"]
#[allow(dead_code)]
mod numbers;
#[path = "../../dnw-circuit/tests/circuits/random.rs"]
#[allow(dead_code)]
mod random;

use fuzzing::{execute, try_cases};
use live_memory::most_during;
use numbers::Random;

/// Valid files, which the cases change.
const FILES: usize = 400;
/// Circuits with more pixels in all are not compiled: a file may ask for gigabytes of them.
const COMPILED: usize = 1 << 18;
/// What importing may allocate for a file of some kilobytes: tensors that a few bytes ask for are bounded by their number of entries.
const MOST_MEMORY: usize = 6 << 30;

#[derive(Default)]
struct Seen {
    refused: u64,
    imported: u64,
    executed: u64,
    most_memory: usize,
}

fn main() -> Result<(), Box<dyn Error>> {
    let files = files()?;
    let mut seen = Seen::default();
    try_cases(20_000, |seed, case| {
        let random = &mut Random(seed ^ case << 20 ^ 0x5eed);
        try_file(&changed(random, &files), &mut seen);
    })?;
    println!(
        "{} refused, {} imported ({} executed); most memory: {} bytes",
        seen.refused, seen.imported, seen.executed, seen.most_memory
    );
    Ok(())
}

/// Exported random circuits.
fn files() -> Result<Vec<Vec<u8>>, Box<dyn Error>> {
    let mut runner = TestRunner::deterministic();
    let mut files = Vec::new();
    for number in 0..FILES {
        let recipe = random::recipes()
            .new_tree(&mut runner)
            .map_err(|reason| reason.to_string())?
            .current();
        let mut options = ExportOptions::default();
        options.sparse = number % 2 == 1;
        let description = Description::default();
        files.push(export(&recipe.circuit(), &description, options).model);
    }
    Ok(files)
}

/// A file with one to eight changes.
fn changed(random: &mut Random, files: &[Vec<u8>]) -> Vec<u8> {
    let mut file = files[random.below(files.len())].clone();
    for _ in 0..1 + random.below(8) {
        if file.is_empty() {
            break;
        }
        let at = random.below(file.len());
        match random.below(8) {
            0 => file.truncate(at),
            1 => file.insert(at, random.next() as u8),
            2 => drop(file.remove(at)),
            3 => {
                // A part of another file.
                let other = &files[random.below(files.len())];
                let from = random.below(other.len());
                let length = random
                    .below(32)
                    .min(other.len() - from)
                    .min(file.len() - at);
                file[at..at + length].copy_from_slice(&other[from..from + length]);
            }
            4 => file[at] = [0, 1, 0x7f, 0x80, 0xff][random.below(5)],
            5 => file[at] = file[at].wrapping_add(1),
            _ => file[at] ^= 1 << random.below(8),
        }
    }
    file
}

fn try_file(bytes: &[u8], seen: &mut Seen) {
    let (imported, memory) = most_during(|| import(bytes, None, None));
    assert!(
        memory <= MOST_MEMORY,
        "importing {} bytes allocated {memory}",
        bytes.len()
    );
    seen.most_memory = seen.most_memory.max(memory);
    let Ok(imported) = imported else {
        seen.refused += 1;
        return;
    };
    seen.imported += 1;
    let steps = imported.circuit.steps().iter();
    let pixels: usize = steps.map(|step| step.shape.iter().product::<usize>()).sum();
    let tensors = imported.circuit.tensors().iter();
    let weights: usize = tensors.map(|tensor| tensor.values().len()).sum();
    if pixels > COMPILED || weights > COMPILED {
        return;
    }
    let plan = compile(&imported.circuit, Input::default(), Passes::default());
    // Weights that overflow when norms are folded into them are refused here.
    let Ok(model) = Model::new(plan) else {
        return;
    };
    seen.executed += 1;
    execute(&model);
}

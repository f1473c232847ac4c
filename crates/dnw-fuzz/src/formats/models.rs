//! Networks: compiled files and ONNX.

use dnw_compiler::{Passes, compile};
use dnw_onnx::{Description, ExportOptions, export, import};
use dnw_runtime::file::{self, BESIDES, PER_BYTE, Precision};
use dnw_runtime::plan::Input;
use dnw_runtime::{Model, Session};
use fastrand::Rng;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

use crate::format::{Format, Outcome, number};
use crate::random::Random;
use crate::{bytes, mutation, networks, plans};

#[path = "../../../dnw-circuit/tests/circuits/random.rs"]
#[allow(dead_code)]
mod circuits;

/// Compiled models.
pub const COMPILED: Format = Format {
    change: change_compiled,
    repair: set_checksums,
    ..Format::new("compiled", compiled_files, read_compiled, |bytes| {
        PER_BYTE * bytes + BESIDES
    })
};

/// ONNX files. A few bytes may ask for large tensors of one repeated value; their number of elements is bounded.
pub const ONNX: Format = Format::new("onnx", onnx_files, read_onnx, |_| 6 << 30);

/// Models that need more memory to execute are not executed: a file may ask for gigabytes.
const EXECUTED: usize = 1 << 24;
/// Circuits with more pixels or weights in all are not compiled.
const COMPILED_MOST: usize = 1 << 18;

fn compiled_files() -> Vec<Vec<u8>> {
    let random = &mut Random(1);
    let file = |number: usize| {
        let precision = [Precision::F32, Precision::F16, Precision::Int8][number % 3];
        let plan = match number % 2 {
            0 => networks::network(random.next()),
            _ => plans::plan(random.next()),
        };
        file::write(&plan, precision)
    };
    (0..400).map(file).collect()
}

/// Half of the files are changed within their sections, which keep their place and length in the table.
fn change_compiled(random: &mut Rng, files: &[Vec<u8>]) -> Vec<u8> {
    if random.bool() {
        return mutation::changed(random, files);
    }
    let mut file = bytes::File::parse(&files[random.usize(..files.len())]);
    let others = bytes::File::parse(&files[random.usize(..files.len())]);
    for _ in 0..random.usize(1..4) {
        let at = random.usize(..file.sections.len());
        let other = random.usize(..others.sections.len());
        let choice =
            [&file.sections[at], &others.sections[other]].map(|section| section.bytes.clone());
        file.sections[at].bytes = match random.u8(..4) {
            // A number of any size in place of one.
            0 if !choice[0].is_empty() => {
                let value = (1_u64 << random.u32(..64)).wrapping_sub(random.u64(..2));
                let mut content = choice[0].clone();
                let place = random.usize(..content.len());
                content.splice(place..=place, bytes::varint(value));
                content
            }
            // What was changed to nothing stays.
            _ if choice[0].is_empty() => choice[1].clone(),
            _ => mutation::changed(random, &choice),
        };
    }
    file.assemble()
}

/// Writes the checksums of the sections that lie within the file, and that of the table.
fn set_checksums(file: &mut [u8]) {
    let Some(count) = number(file, 12, 4) else {
        return;
    };
    for entry in (24..).step_by(32).take(count.min(64) as usize) {
        let (Some(offset), Some(length)) =
            (number(file, entry + 8, 8), number(file, entry + 16, 8))
        else {
            break;
        };
        let end = offset.saturating_add(length) as usize;
        let Some(content) = file.get(offset as usize..end) else {
            continue;
        };
        let sum = bytes::checksum(content).to_le_bytes();
        if let Some(place) = file.get_mut(entry + 24..entry + 32) {
            place.copy_from_slice(&sum);
        }
    }
    bytes::seal(file);
}

fn read_compiled(bytes: &[u8]) -> Outcome {
    let Ok(plan) = file::read(bytes) else {
        return Outcome::Refused;
    };
    // Some of the seeds are files of every kind of step, of which no network can be made.
    if let Ok(model) = Model::new(plan) {
        execute(&model);
    }
    Outcome::Read
}

/// Executes a model of moderate size on one image.
fn execute(model: &Model) {
    let numbers = model.image_len().max(model.output_len());
    if model.session_bytes() > EXECUTED || numbers > EXECUTED {
        return;
    }
    let image: Vec<f32> = (0..model.image_len()).map(|i| i as f32 / 64.0).collect();
    let mut output = vec![0.0; model.output_len()];
    let run = Session::new(model, 1).run(&image, &mut output);
    run.expect("a model accepts an image of its own size");
}

/// Exported random circuits, every other one with sparse weights. A circuit whose output does not depend on the image is not imported.
fn onnx_files() -> Vec<Vec<u8>> {
    let mut runner = TestRunner::deterministic();
    let file = |number: usize| {
        let recipe = circuits::recipes().new_tree(&mut runner);
        let circuit = recipe.expect("a recipe").current().circuit();
        let mut options = ExportOptions::default();
        options.sparse = number % 2 == 1;
        export(&circuit, &Description::default(), options).model
    };
    let files = (0..400).map(file);
    files
        .filter(|file| import(&file[..], None, None).is_ok())
        .collect()
}

fn read_onnx(bytes: &[u8]) -> Outcome {
    let Ok(imported) = import(bytes, None, None) else {
        return Outcome::Refused;
    };
    let steps = imported.circuit.steps().iter();
    let pixels: usize = steps.map(|step| step.shape.iter().product::<usize>()).sum();
    let tensors = imported.circuit.tensors().iter();
    let weights: usize = tensors.map(|tensor| tensor.values().len()).sum();
    if pixels <= COMPILED_MOST && weights <= COMPILED_MOST {
        let plan = compile(&imported.circuit, Input::default(), Passes::default());
        // Weights that overflow when norms are folded into them are refused here.
        if let Ok(model) = Model::new(plan) {
            execute(&model);
        }
    }
    Outcome::Read
}

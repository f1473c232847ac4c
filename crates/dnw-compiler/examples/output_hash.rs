//! Hashes the outputs of random networks, and of wide layers in each unit, to compare machines: `cargo run --release -p dnw-compiler --example output_hash -- [FOLDER]`.
//!
//! Machines with fused multiply-adds print the same lines (AVX2, AVX-512, ARM), and so do those without (`DNW_SIMD=baseline`, WebAssembly).
//! The models are written to the folder, for programs in other languages.

#[path = "../../dnw-circuit/tests/circuits/random.rs"]
#[allow(dead_code)]
mod random;
#[path = "../tests/compiled/units.rs"]
#[allow(dead_code)]
mod units;

use std::error::Error;
use std::path::PathBuf;

use dnw_compiler::{Passes, compile};
use dnw_runtime::file::{Precision, write};
use dnw_runtime::plan::Input;
use dnw_runtime::{Model, Session};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use units::Wide;

/// Random ones.
const NETWORKS: usize = 200;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from);
    let mut runner = TestRunner::deterministic();
    let mut circuits = Vec::new();
    for _ in 0..NETWORKS {
        let recipe = random::recipes()
            .new_tree(&mut runner)
            .map_err(|reason| reason.to_string())?
            .current();
        circuits.push(recipe.circuit());
    }
    for (i, unit) in units::UNITS.into_iter().enumerate() {
        for kernel in [1, 3] {
            let wide = Wide {
                unit,
                sources: 256,
                targets: 60,
                kernel,
                stride: 1,
                map: [9, 11],
                density: 0.25,
                residual: false,
                seed: i as u64,
            };
            circuits.push(wide.circuit()?);
        }
    }
    for (network, circuit) in circuits.iter().enumerate() {
        let plan = compile(circuit, Input::default(), Passes::default());
        let bytes = write(&plan, Precision::F32);
        let model = Model::from_bytes(&bytes)?;
        if let Some(folder) = &folder {
            std::fs::create_dir_all(folder)?;
            std::fs::write(folder.join(format!("{network:03}.dnw")), &bytes)?;
        }
        let image: Vec<f32> = (0..model.image_len()).map(pixel).collect();
        let mut outputs = vec![0.0; model.output_len()];
        Session::new(&model, 1).run(&image, &mut outputs)?;
        let bits = outputs.iter().flat_map(|x| x.to_bits().to_le_bytes());
        println!(
            "{network:03} {:016x} {:016x}",
            hash(bytes.into_iter()),
            hash(bits)
        );
    }
    Ok(())
}

/// Exact in 32 bits, so that other languages find the same.
fn pixel(i: usize) -> f32 {
    (i * 73 % 256) as f32 / 128.0 - 1.0
}

/// FNV-1a.
fn hash(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

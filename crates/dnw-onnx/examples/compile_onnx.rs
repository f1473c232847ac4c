//! Compiles an ONNX model without the command line: `cargo run --release -p dnw-onnx --example compile_onnx -- model.onnx model.dnw`.

use std::error::Error;
use std::time::Instant;

use dnw_compiler::{Passes, compile};
use dnw_runtime::Model;
use dnw_runtime::file::{Precision, write};
use dnw_runtime::plan::Input;

fn main() -> Result<(), Box<dyn Error>> {
    let paths: Vec<String> = std::env::args().skip(1).collect();
    let [model, out] = &paths[..] else {
        return Err("usage: compile_onnx MODEL.onnx OUT.dnw".into());
    };
    let start = Instant::now();
    let imported = dnw_onnx::open(model.as_ref(), None)
        .map_err(|error| format!("{error}\nhelp: {}", error.help()))?;
    let read = start.elapsed();
    let plan = compile(&imported.circuit, Input::default(), Passes::default());
    let bytes = write(&plan, Precision::F32);
    let steps = Model::new(plan)?.steps().len();
    std::fs::write(out, &bytes)?;
    println!(
        "{model}: opset {} of {}, {steps} steps, {} bytes; read in {:.2} s, compiled in {:.2} s",
        imported.opset,
        imported.producer,
        bytes.len(),
        read.as_secs_f64(),
        (start.elapsed() - read).as_secs_f64()
    );
    Ok(())
}

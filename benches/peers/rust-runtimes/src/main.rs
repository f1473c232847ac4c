//! Answers how long tract or rten takes on one image: `rust-runtimes RUNTIME MODEL IMAGE THREADS`, where MODEL is an ONNX file and IMAGE holds
//! little-endian 32-bit floats.
//!
//! When it is ready it prints a line of JSON: name and version of the runtime, milliseconds from the file to a session and to the first result,
//! and its logits of the image. Then it answers each line of its input, a number of runs, with `{"milliseconds": [..]}`.

use std::env::args;
use std::error::Error;
use std::io::{self, BufRead, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use rten_tensor::AsView;
use tract_onnx::prelude::*;

type Failure = Box<dyn Error>;
/// Computes the logits.
type Run = Box<dyn FnMut() -> Result<Vec<f32>, Failure>>;

fn main() -> ExitCode {
    match answer() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn answer() -> Result<(), Failure> {
    let arguments: Vec<String> = args().skip(1).collect();
    let [runtime, model, image, threads] = &arguments[..] else {
        return Err("usage: rust-runtimes RUNTIME MODEL IMAGE THREADS".into());
    };
    let (image, threads) = (floats(&std::fs::read(image)?), threads.parse()?);
    let began = Instant::now();
    let (framework, mut run) = match runtime.as_str() {
        "tract" => ("tract 0.23.9", tract(model, &image)?),
        "rten" => ("rten 0.27.0", rten(model, &image, threads)?),
        other => return Err(format!("no runtime `{other}`: there are tract and rten").into()),
    };
    let session_ms = milliseconds(began);
    let logits = run()?;
    let first_ms = milliseconds(began);
    let ready = serde_json::json!({
        "framework": framework, "session_ms": session_ms, "first_ms": first_ms, "logits": logits,
    });
    println!("{ready}");
    io::stdout().flush()?;
    for line in io::stdin().lock().lines() {
        let runs: usize = line?.trim().parse()?;
        run()?;
        let mut times = Vec::new();
        for _ in 0..runs {
            let began = Instant::now();
            run()?;
            times.push(milliseconds(began));
        }
        println!("{}", serde_json::json!({ "milliseconds": times }));
        io::stdout().flush()?;
    }
    Ok(())
}

/// The side of a square image with three channels.
fn side(image: &[f32]) -> usize {
    (image.len() / 3).isqrt()
}

/// tract has no threads unless it is asked for them.
fn tract(model: &str, image: &[f32]) -> Result<Run, Failure> {
    let side = side(image);
    let model = tract_onnx::onnx()
        .model_for_path(model)?
        .with_input_fact(0, f32::fact([1, 3, side, side]).into())?
        .into_optimized()?
        .into_runnable()?;
    let image = Tensor::from_shape(&[1, 3, side, side], image)?;
    Ok(Box::new(move || {
        let outputs = model.run(tvec!(image.clone().into()))?;
        Ok(outputs[0].try_as_plain_ram()?.as_slice::<f32>()?.to_vec())
    }))
}

fn rten(model: &str, image: &[f32], threads: usize) -> Result<Run, Failure> {
    let side = side(image);
    let model = rten::Model::load_file(model)?;
    let pool = Arc::new(rten::ThreadPool::with_num_threads(threads));
    let image = rten_tensor::NdTensor::from_data([1, 3, side, side], image.to_vec());
    Ok(Box::new(move || {
        let options = rten::RunOptions::default().with_thread_pool(Some(pool.clone()));
        let output = model.run_one(image.view().into(), Some(options))?;
        let output: rten_tensor::Tensor<f32> = output.try_into()?;
        Ok(output.to_vec())
    }))
}

fn milliseconds(since: Instant) -> f64 {
    1e3 * since.elapsed().as_secs_f64()
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    let (numbers, _) = bytes.as_chunks::<4>();
    numbers.iter().copied().map(f32::from_le_bytes).collect()
}

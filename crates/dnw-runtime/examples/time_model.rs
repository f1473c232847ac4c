//! Answers how long a compiled model takes on one image: `time_model MODEL IMAGE THREADS [BATCH]`, where IMAGE holds little-endian 32-bit floats.
//!
//! `cargo xtask bench-peers inference` measures it in turn with other runtimes. When it is ready it prints a line of JSON: its name, the
//! milliseconds from the file to a session and to the first result, and its logits of the image. Then it answers each line of its input,
//! a number of runs, with `{"milliseconds": [..]}`. `DNW_SIMD` says which instructions it uses.

use std::env::args_os;
use std::error::Error;
use std::fs;
use std::io::{self, BufRead, Write};
use std::process::ExitCode;
use std::time::Instant;

use dnw_runtime::{Model, Session};

fn main() -> ExitCode {
    match answer() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn answer() -> Result<(), Box<dyn Error>> {
    let [model, image, threads] = [1, 2, 3].map(|at| {
        args_os()
            .nth(at)
            .ok_or("usage: time_model MODEL IMAGE THREADS [BATCH]")
    });
    let threads = threads?.to_string_lossy().parse()?;
    let batch: usize = args_os()
        .nth(4)
        .map_or(Ok(1), |batch| batch.to_string_lossy().parse())?;
    let (model, image) = (model?, floats(&fs::read(image?)?));

    let began = Instant::now();
    let model = Model::load(model)?;
    if image.len() != model.image_len() {
        let (has, expected) = (image.len(), model.image_len());
        return Err(format!("the image has {has} numbers, the model reads {expected}").into());
    }
    let mut session = Session::new(&model, threads);
    let session_ms = milliseconds(began);
    let image = image.repeat(batch);
    let mut all = vec![0.0; batch * model.output_len()];
    session.run(&image, &mut all)?;
    let first_ms = milliseconds(began);

    let logits = &all[..model.output_len()];
    if !logits.iter().all(|logit| logit.is_finite()) {
        return Err("a logit is not a number".into());
    }
    // A list of finite numbers in Rust's notation is a list in JSON.
    println!(
        "{{\"framework\": \"dnw-runtime\", \"session_ms\": {session_ms}, \"first_ms\": {first_ms}, \"logits\": {logits:?}}}"
    );
    io::stdout().flush()?;
    for line in io::stdin().lock().lines() {
        let runs: usize = line?.trim().parse()?;
        session.run(&image, &mut all)?;
        let mut times = Vec::new();
        for _ in 0..runs {
            let began = Instant::now();
            session.run(&image, &mut all)?;
            times.push(milliseconds(began) / batch as f64);
        }
        println!("{{\"milliseconds\": {times:?}}}");
        io::stdout().flush()?;
    }
    Ok(())
}

fn milliseconds(since: Instant) -> f64 {
    1e3 * since.elapsed().as_secs_f64()
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    let (numbers, _) = bytes.as_chunks::<4>();
    numbers.iter().copied().map(f32::from_le_bytes).collect()
}

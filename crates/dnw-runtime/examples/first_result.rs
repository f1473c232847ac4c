//! The time from a model's file to its first result, and the memory that it takes:
//! `cargo run --release -p dnw-runtime --example first_result -- MODEL`.

use std::error::Error;
use std::time::Instant;

use dnw_runtime::{Model, Session};

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args_os()
        .nth(1)
        .ok_or("usage: first_result MODEL")?;
    let started = Instant::now();
    let model = Model::load(&path)?;
    let loaded = started.elapsed();
    let image = vec![0.5; model.image_len()];
    let mut output = vec![0.0; model.output_len()];
    let mut session = Session::new(&model, 1);
    session.run(&image, &mut output)?;
    let first = started.elapsed();
    let again = Instant::now();
    session.run(&image, &mut output)?;
    let again = again.elapsed();
    println!(
        "loaded after {loaded:.2?}, first result after {first:.2?}; the next image takes {again:.2?}"
    );
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    for line in status.lines().filter(|line| line.starts_with("VmHWM")) {
        println!("peak memory {}", line["VmHWM:".len()..].trim());
    }
    let file = std::fs::metadata(&path)?.len() / 1024;
    println!(
        "file {file} kB, feature maps {} kB",
        model.session_bytes() / 1024
    );
    Ok(())
}

//! The loop of programs that try damaged files.

use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use dnw_runtime::{Model, Session};

/// Calls `attempt` with the seed and the number of each case, and says how long all took. `--cases`, `--seed` and `--case` on the command line
/// select them.
///
/// # Errors
/// A case that panicked, or an option that is none.
pub fn try_cases(most: u64, mut attempt: impl FnMut(u64, u64)) -> Result<(), Box<dyn Error>> {
    let (mut cases, mut seed, mut only) = (most, 0, None);
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments
            .next()
            .ok_or("usage: [--cases N] [--seed N] [--case N]")?;
        match name.as_str() {
            "--cases" => cases = value.parse()?,
            "--seed" => seed = value.parse()?,
            "--case" => only = Some(value.parse::<u64>()?),
            _ => return Err(format!("there is no option {name}").into()),
        }
    }
    let range = only.map_or(0..cases, |case| case..case + 1);
    let begun = Instant::now();
    let mut slowest = (Duration::ZERO, 0);
    for case in range {
        let started = Instant::now();
        if catch_unwind(AssertUnwindSafe(|| attempt(seed, case))).is_err() {
            return Err(format!("case {case} of seed {seed} panicked").into());
        }
        slowest = slowest.max((started.elapsed(), case));
    }
    println!(
        "{cases} files in {:.1} s; slowest: {:?} (case {})",
        begun.elapsed().as_secs_f64(),
        slowest.0,
        slowest.1
    );
    Ok(())
}

/// Executes a model on one image.
pub fn execute(model: &Model) {
    let image: Vec<f32> = (0..model.image_len()).map(|i| i as f32 / 64.0).collect();
    let mut output = vec![0.0; model.output_len()];
    let run = Session::new(model, 1).run(&image, &mut output);
    assert!(run.is_ok(), "a model refused an image of its own size");
}

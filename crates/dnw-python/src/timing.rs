//! Times of a model on noise.

use std::time::{Duration, Instant};

use dnw_runtime::{Model, Session};

/// Runs that are measured however long they take.
const FEWEST: usize = 5;

/// Numbers from -1 to 1, the same each time.
fn noise(count: usize) -> Vec<f32> {
    let mut state = 1u64;
    let next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 40) as f32 / (1u32 << 23) as f32 - 1.0
    };
    std::iter::repeat_with(next).take(count).collect()
}

/// Repeats something for so long, once before that unmeasured; the seconds of each time, ascending.
fn repeat(how_long: Duration, mut run: impl FnMut()) -> Vec<f64> {
    run();
    let (start, mut seconds) = (Instant::now(), Vec::new());
    while seconds.len() < FEWEST || start.elapsed() < how_long {
        let before = Instant::now();
        run();
        seconds.push(before.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    seconds
}

/// The seconds that batches take, ascending.
pub fn batch_times(model: &Model, threads: usize, batch: usize, how_long: Duration) -> Vec<f64> {
    let mut session = Session::new(model, threads);
    let input = noise(batch * model.image_len());
    let mut output = vec![0.0; batch * model.output_len()];
    repeat(how_long, || {
        let run = session.run(&input, &mut output);
        run.expect("input and output have the model's lengths");
    })
}

/// The median seconds of each step.
pub fn step_times(model: &Model, threads: usize, how_long: Duration) -> Vec<f64> {
    let mut session = Session::new(model, threads);
    let input = noise(model.image_len());
    let mut output = vec![0.0; model.output_len()];
    let mut times = vec![Vec::new(); model.steps().len()];
    repeat(how_long, || {
        let run = session.run_with(&input, &mut output, |step, execute| {
            let before = Instant::now();
            execute();
            times[step].push(before.elapsed().as_secs_f64());
        });
        run.expect("input and output have the model's lengths");
    });
    let median = |mut times: Vec<f64>| {
        times.sort_by(f64::total_cmp);
        quantile(&times, 0.5)
    };
    times.into_iter().map(median).collect()
}

/// The value that this share of the ascending values does not exceed.
pub fn quantile(ascending: &[f64], share: f64) -> f64 {
    let rank = (share * ascending.len() as f64).ceil() as usize;
    ascending[rank.clamp(1, ascending.len()) - 1]
}

//! The speed of a compiled model on this machine.

use std::time::{Duration, Instant};

use dnw_runtime::{Model, Session};

/// Runs before anything is measured.
const WARM_UP: usize = 3;
/// Runs that are measured however long they take.
const FEWEST: usize = 5;
/// Runs after which no more are measured.
const MOST: usize = 1_000_000;

/// The time of one run among many.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Latency {
    /// Seconds of the median run.
    pub median: f64,
    /// Seconds that nine of ten runs do not exceed.
    pub p90: f64,
    /// Seconds that 99 of 100 runs do not exceed.
    pub p99: f64,
    /// Runs measured.
    pub runs: usize,
}

impl Latency {
    fn of(mut seconds: Vec<f64>) -> Self {
        seconds.sort_by(f64::total_cmp);
        Self {
            median: quantile(&seconds, 0.5),
            p90: quantile(&seconds, 0.9),
            p99: quantile(&seconds, 0.99),
            runs: seconds.len(),
        }
    }
}

/// The value that this share of the ascending values does not exceed.
fn quantile(ascending: &[f64], share: f64) -> f64 {
    let rank = (share * ascending.len() as f64).ceil() as usize;
    ascending[rank.clamp(1, ascending.len()) - 1]
}

/// Images of noise: the same each time, from -1 to 1.
pub fn noise(model: &Model, images: usize) -> Vec<f32> {
    // A linear congruential generator, of whose state the upper 24 bits are random enough.
    let mut state = 1u64;
    let number = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 40) as f32 / (1u32 << 23) as f32 - 1.0
    };
    std::iter::repeat_with(number)
        .take(images * model.image_len())
        .collect()
}

/// Repeats something for so long; the seconds of each time.
fn repeat(how_long: Duration, mut run: impl FnMut()) -> Vec<f64> {
    for _ in 0..WARM_UP {
        run();
    }
    let start = Instant::now();
    let mut seconds = Vec::new();
    while seconds.len() < FEWEST || (start.elapsed() < how_long && seconds.len() < MOST) {
        let before = Instant::now();
        run();
        seconds.push(before.elapsed().as_secs_f64());
    }
    seconds
}

/// The time in which a batch is computed on so many threads, measured for so long.
pub fn latency(model: &Model, threads: usize, batch: usize, how_long: Duration) -> Latency {
    let mut session = Session::new(model, threads);
    let input = noise(model, batch);
    let mut output = vec![0.0; batch * model.output_len()];
    Latency::of(repeat(how_long, || {
        let run = session.run(&input, &mut output);
        run.expect("input and output have the model's lengths");
    }))
}

/// The median time of each step for one image on so many threads, in seconds, measured for so long.
pub fn step_times(model: &Model, threads: usize, how_long: Duration) -> Vec<f64> {
    let mut session = Session::new(model, threads);
    let input = noise(model, 1);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_were_measured() {
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        let found = Latency::of(hundred.into_iter().rev().collect());
        let expected = Latency {
            median: 50.0,
            p90: 90.0,
            p99: 99.0,
            runs: 100,
        };
        assert_eq!(found, expected);
        assert_eq!(quantile(&[7.0], 0.99), 7.0);
    }
}

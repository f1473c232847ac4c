//! Measures durations over several rounds.

use std::time::Instant;

use serde::Serialize;

/// Durations in seconds: the first, and quartiles of the others.
#[derive(Clone, Debug, Serialize)]
pub struct Timing {
    /// The first duration, including compilation and autotuning.
    pub first: f64,
    /// The lower quartile of the others.
    pub lower: f64,
    /// The median.
    pub median: f64,
    /// The upper quartile.
    pub upper: f64,
    /// The number of rounds after the first.
    pub rounds: usize,
    /// Images per second at the median.
    pub images_per_second: f64,
}

impl Timing {
    /// From the first duration and those of the other rounds. Without other rounds, the first is the median.
    pub fn of(first: f64, mut seconds: Vec<f64>, images: usize) -> Self {
        seconds.sort_by(f64::total_cmp);
        let rounds = seconds.len();
        if seconds.is_empty() {
            seconds.push(first);
        }
        let quantile = |share: f64| {
            let place = share * (seconds.len() - 1) as f64;
            let (below, above) = (place.floor() as usize, place.ceil() as usize);
            seconds[below] + (seconds[above] - seconds[below]) * place.fract()
        };
        let median = quantile(0.5);
        Self {
            first,
            lower: quantile(0.25),
            median,
            upper: quantile(0.75),
            rounds,
            images_per_second: images as f64 / median,
        }
    }
}

/// Runs `round` once and then at most `rounds` times. After `least` rounds it stops when `patience` seconds have passed. A round returns its
/// measured duration.
pub fn rounds<E>(
    images: usize,
    rounds: usize,
    least: usize,
    patience: f64,
    mut round: impl FnMut() -> Result<f64, E>,
) -> Result<Timing, E> {
    let first = round()?;
    let (began, mut seconds) = (Instant::now(), Vec::new());
    while seconds.len() < rounds
        && (seconds.len() < least || began.elapsed().as_secs_f64() < patience)
    {
        seconds.push(round()?);
    }
    Ok(Timing::of(first, seconds, images))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_interpolate_between_durations() {
        let timing = Timing::of(9.0, vec![4.0, 1.0, 3.0, 2.0, 5.0], 6);
        assert_eq!(
            (timing.lower, timing.median, timing.upper, timing.rounds),
            (2.0, 3.0, 4.0, 5)
        );
        assert_eq!((timing.first, timing.images_per_second), (9.0, 2.0));
        let even = Timing::of(0.0, vec![1.0, 2.0], 1);
        assert_eq!((even.lower, even.median, even.upper), (1.25, 1.5, 1.75));
    }

    #[test]
    fn the_time_limit_ends_a_measurement_after_the_minimum_of_rounds() {
        let mut made = 0;
        let timing = rounds(1, 100, 3, 0.0, || -> Result<f64, ()> {
            made += 1;
            Ok(1.0)
        });
        assert_eq!((timing.unwrap().rounds, made), (3, 4));
    }
}

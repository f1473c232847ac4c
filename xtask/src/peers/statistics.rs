//! Medians and quartiles, of times and of ratios within a round.

use serde::{Deserialize, Serialize};

/// Median and quartiles.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// The median.
    pub median: f64,
    /// The lower quartile.
    pub lower: f64,
    /// The upper quartile.
    pub upper: f64,
}

impl Spread {
    /// The spread of at least one number.
    pub fn of(numbers: &[f64]) -> Self {
        let mut sorted = numbers.to_vec();
        sorted.sort_by(f64::total_cmp);
        let quantile = |share: f64| {
            let position = share * sorted.len().saturating_sub(1) as f64;
            let at = |position: f64| sorted.get(position as usize).copied().unwrap_or(f64::NAN);
            let (below, above) = (at(position.floor()), at(position.ceil()));
            below + (above - below) * position.fract()
        };
        Self {
            median: quantile(0.5),
            lower: quantile(0.25),
            upper: quantile(0.75),
        }
    }

    /// The spread of `a / b`, round by round: a temporary slowdown affects both.
    pub fn of_ratios(a: &[f64], b: &[f64]) -> Self {
        let ratios: Vec<f64> = a.iter().zip(b).map(|(a, b)| a / b).collect();
        Self::of(&ratios)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_are_interpolated() {
        let spread = Spread::of(&[4.0, 1.0, 3.0, 2.0, 5.0]);
        assert_eq!((spread.lower, spread.median, spread.upper), (2.0, 3.0, 4.0));
        let two = Spread::of(&[2.0, 1.0]);
        assert_eq!((two.lower, two.median, two.upper), (1.25, 1.5, 1.75));
        let one = Spread::of(&[7.0]);
        assert_eq!((one.lower, one.median, one.upper), (7.0, 7.0, 7.0));
    }

    #[test]
    fn a_slow_round_does_not_change_the_ratio() {
        let (theirs, ours) = ([30.0, 33.0, 300.0], [10.0, 11.0, 100.0]);
        let ratio = Spread::of_ratios(&theirs, &ours);
        assert_eq!((ratio.lower, ratio.median, ratio.upper), (3.0, 3.0, 3.0));
        // The median is taken over the ratios 1, 3 and 9.
        let ratio = Spread::of_ratios(&[30.0, 60.0, 90.0], &[30.0, 20.0, 10.0]);
        assert_eq!(ratio.median, 3.0);
    }
}

//! Medians, quartiles, and ratios of what was measured in the same round.

use serde::{Deserialize, Serialize};

/// The middle of some numbers, and how far they lie apart.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// The middle one.
    pub median: f64,
    /// A quarter is lower.
    pub lower: f64,
    /// A quarter is higher.
    pub upper: f64,
}

impl Spread {
    /// Of at least one number.
    pub fn of(numbers: &[f64]) -> Self {
        let mut sorted = numbers.to_vec();
        sorted.sort_by(f64::total_cmp);
        let quantile = |share: f64| {
            let place = share * sorted.len().saturating_sub(1) as f64;
            let at = |place: f64| sorted.get(place as usize).copied().unwrap_or(f64::NAN);
            let (below, above) = (at(place.floor()), at(place.ceil()));
            below + (above - below) * place.fract()
        };
        Self {
            median: quantile(0.5),
            lower: quantile(0.25),
            upper: quantile(0.75),
        }
    }

    /// Of `a / b`, round by round: a machine that is slower for a while is so for both.
    pub fn of_ratios(a: &[f64], b: &[f64]) -> Self {
        let ratios: Vec<f64> = a.iter().zip(b).map(|(a, b)| a / b).collect();
        Self::of(&ratios)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_lie_between_the_numbers_that_they_divide() {
        let spread = Spread::of(&[4.0, 1.0, 3.0, 2.0, 5.0]);
        assert_eq!((spread.lower, spread.median, spread.upper), (2.0, 3.0, 4.0));
        let two = Spread::of(&[2.0, 1.0]);
        assert_eq!((two.lower, two.median, two.upper), (1.25, 1.5, 1.75));
        let one = Spread::of(&[7.0]);
        assert_eq!((one.lower, one.median, one.upper), (7.0, 7.0, 7.0));
    }

    #[test]
    fn a_round_in_which_all_was_slow_does_not_change_the_ratio() {
        let (theirs, ours) = ([30.0, 33.0, 300.0], [10.0, 11.0, 100.0]);
        let ratio = Spread::of_ratios(&theirs, &ours);
        assert_eq!((ratio.lower, ratio.median, ratio.upper), (3.0, 3.0, 3.0));
        // The ratio of the medians of other rounds would be another.
        let ratio = Spread::of_ratios(&[30.0, 60.0, 90.0], &[30.0, 20.0, 10.0]);
        assert_eq!(ratio.median, 3.0);
    }
}

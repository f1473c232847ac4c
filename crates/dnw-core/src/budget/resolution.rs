//! The number of edges that a budget comes to.

use super::Budget;
use crate::WiringError;

impl Budget {
    /// The number of edges that stay of `candidates`, for the tensor called `name`.
    ///
    /// # Errors
    /// [`WiringError::Budget`] if the budget is NaN, keeps no edge, or exceeds the number of candidates.
    pub fn resolve(self, name: &str, candidates: usize) -> Result<usize, WiringError> {
        let kept = match self {
            Self::Edges(edges) => Some(edges),
            Self::Density(density) if (0.0..=1.0).contains(&density) => {
                Some((density * candidates as f64).round() as usize)
            }
            Self::PruneRate(rate) if (0.0..1.0).contains(&rate) => {
                Some(candidates - (rate * candidates as f64) as usize)
            }
            Self::Density(_) | Self::PruneRate(_) => None,
        };
        match kept {
            Some(kept) if (1..=candidates).contains(&kept) => Ok(kept),
            _ => Err(WiringError::Budget {
                tensor: name.to_owned(),
                budget: self,
                candidates,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_rounding_is_that_of_a_64_bit_float() {
        // 0.29 * 100 is 28.999999999999996 in f64, so the published program zeroes 28, not 29.
        assert_eq!(Budget::PruneRate(0.29).resolve("w", 100).unwrap(), 72);
        assert_eq!(Budget::PruneRate(0.0).resolve("w", 100).unwrap(), 100);
    }

    #[test]
    fn a_budget_that_keeps_nothing_or_too_much_is_refused() {
        for budget in [
            Budget::Edges(0),
            Budget::Edges(101),
            Budget::Density(0.0),
            Budget::Density(0.004),
            Budget::Density(1.1),
            Budget::Density(-0.5),
            Budget::Density(f64::NAN),
            Budget::PruneRate(1.0),
            Budget::PruneRate(f64::NAN),
        ] {
            let error = budget.resolve("fc.weight", 100).unwrap_err().to_string();
            assert!(
                error.contains("fc.weight") && error.contains("100"),
                "{error}"
            );
        }
    }
}

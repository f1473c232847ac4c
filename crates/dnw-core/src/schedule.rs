//! The third axis of a rule: when the set is chosen again, and how the budget moves.

use serde::{Deserialize, Serialize};

/// Where a run is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clock {
    /// Optimizer updates made. The first choice, before any, is made at 0.
    pub update: u64,
    /// Updates that the whole run will make; 0 where nobody said.
    pub total: u64,
}

impl Clock {
    /// The share of the run that is done, 0 to 1; 1 where the length is unknown.
    pub fn share(&self) -> f64 {
        if self.total == 0 {
            1.0
        } else {
            (self.update as f64 / self.total as f64).min(1.0)
        }
    }
}

/// When the edges are chosen again, and how many stay then.
pub trait Schedule: std::fmt::Debug + Send + Sync {
    /// Whether to choose after the update that the clock shows. The choice at update 0 is always made.
    fn chooses(&self, clock: Clock) -> bool;

    /// How many of `candidates` stay when the budget at the end is `budget`.
    fn edges(&self, clock: Clock, candidates: usize, budget: usize) -> usize {
        let _ = (clock, candidates);
        budget
    }

    /// Whether the schedule must know how long the run is.
    fn needs_length(&self) -> bool {
        false
    }
}

/// After every update, with a fixed budget: the published method.
#[derive(Clone, Copy, Debug)]
pub struct EveryUpdate;

impl Schedule for EveryUpdate {
    fn chooses(&self, _: Clock) -> bool {
        true
    }
}

/// Before the first update, and never again.
#[derive(Clone, Copy, Debug)]
pub struct Once;

impl Schedule for Once {
    fn chooses(&self, clock: Clock) -> bool {
        clock.update == 0
    }
}

/// Every candidate is real, whatever the budget.
#[derive(Clone, Copy, Debug)]
pub struct Complete;

impl Schedule for Complete {
    fn chooses(&self, clock: Clock) -> bool {
        clock.update == 0
    }

    fn edges(&self, _: Clock, candidates: usize, _: usize) -> usize {
        candidates
    }
}

/// After every update, with a budget that starts at every candidate and shrinks to the one asked for over a share of the
/// run along a cubic (Zhu and Gupta 2017, equation 1): `k + (n - k) (1 - t)^3`.
///
/// A node that loses its last edge gets no gradient and seldom comes back; while the budget is wide,
/// each node has time to find edges worth keeping.
#[derive(Clone, Copy, Debug)]
pub struct Shrinking {
    /// The share of the run after which the budget is reached, `(0, 1]`.
    pub share: f64,
}

impl Schedule for Shrinking {
    fn chooses(&self, _: Clock) -> bool {
        true
    }

    fn edges(&self, clock: Clock, candidates: usize, budget: usize) -> usize {
        let left = (1.0 - clock.share() / self.share).max(0.0);
        budget + ((candidates - budget) as f64 * left.powi(3)).round() as usize
    }

    fn needs_length(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shrinking_budget_starts_with_every_edge_and_ends_with_the_budget() {
        let schedule = Shrinking { share: 0.5 };
        let edges = |update| {
            schedule.edges(
                Clock {
                    update,
                    total: 1000,
                },
                4000,
                400,
            )
        };
        assert_eq!(edges(0), 4000);
        assert_eq!(edges(250), 400 + 3600 / 8);
        assert_eq!((edges(500), edges(1000)), (400, 400));
        assert!((0..1000).all(|update| edges(update) >= edges(update + 1)));
    }
}

//! When edges are selected again, and how the budget changes: the third axis of a rule.

use serde::{Deserialize, Serialize};

/// The progress of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clock {
    /// Optimizer updates made so far. The first selection, before any update, is at 0.
    pub update: u64,
    /// Updates of the whole run; 0 if unknown.
    pub total: u64,
}

impl Clock {
    /// The share of the run that is done, 0 to 1; 1 if the length is unknown.
    pub fn share(&self) -> f64 {
        if self.total == 0 {
            1.0
        } else {
            (self.update as f64 / self.total as f64).min(1.0)
        }
    }
}

/// When edges are selected, how many stay, and how many are exchanged.
pub trait Schedule: std::fmt::Debug + Send + Sync {
    /// Whether edges are selected after the update that the clock shows. A selection at update 0 is always
    /// made.
    fn is_due(&self, clock: Clock) -> bool;

    /// How many of `candidates` stay now, if `budget` stay at the end of the run.
    fn edges(&self, clock: Clock, candidates: usize, budget: usize) -> usize {
        let _ = (clock, candidates);
        budget
    }

    /// For rules with a growth score: the share of the real edges that is exchanged for others, 0 to 1.
    fn turnover(&self, clock: Clock) -> f64 {
        let _ = clock;
        1.0
    }

    /// Whether the budget decides how many edges stay at the end of the run.
    fn uses_budget(&self) -> bool {
        true
    }

    /// Whether the schedule needs the length of the run.
    fn needs_length(&self) -> bool {
        false
    }
}

/// After every update, with a fixed budget: the published method.
#[derive(Clone, Copy, Debug)]
pub struct EveryUpdate;

impl Schedule for EveryUpdate {
    fn is_due(&self, _: Clock) -> bool {
        true
    }
}

/// After every `updates` updates, with a fixed budget.
#[derive(Clone, Copy, Debug)]
pub struct Every {
    /// Updates between selections; 0 means 1.
    pub updates: u64,
}

impl Schedule for Every {
    fn is_due(&self, clock: Clock) -> bool {
        clock.update.is_multiple_of(self.updates.max(1))
    }
}

/// Before the first update only.
#[derive(Clone, Copy, Debug)]
pub struct Once;

impl Schedule for Once {
    fn is_due(&self, clock: Clock) -> bool {
        clock.update == 0
    }
}

/// Every candidate is real, whatever the budget.
#[derive(Clone, Copy, Debug)]
pub struct Complete;

impl Schedule for Complete {
    fn is_due(&self, clock: Clock) -> bool {
        clock.update == 0
    }

    fn edges(&self, _: Clock, candidates: usize, _: usize) -> usize {
        candidates
    }

    fn uses_budget(&self) -> bool {
        false
    }
}

/// Every candidate is real until a share of the run is done; then the budget is applied, once.
#[derive(Clone, Copy, Debug)]
pub struct CompleteUntil {
    /// The share of the run, `(0, 1]`; at 1 the selection follows the last update.
    pub share: f64,
}

impl CompleteUntil {
    /// The update after which the budget applies.
    fn end(self, clock: Clock) -> u64 {
        (self.share * clock.total as f64).round() as u64
    }
}

impl Schedule for CompleteUntil {
    fn is_due(&self, clock: Clock) -> bool {
        clock.update == 0 || clock.update == self.end(clock)
    }

    fn edges(&self, clock: Clock, candidates: usize, budget: usize) -> usize {
        if clock.update < self.end(clock) {
            candidates
        } else {
            budget
        }
    }

    fn needs_length(&self) -> bool {
        true
    }
}

/// How a value changes over time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Curve {
    /// Linear: the remaining share is `1 - t`.
    Linear,
    /// Fast at first, then slower: the remaining share is `(1 - t)^3` (Zhu and Gupta 2017, equation 1).
    #[default]
    Cubic,
    /// Slow, fast, slow: the remaining share is `(1 + cos(pi t)) / 2`.
    Cosine,
}

impl Curve {
    /// The share of the change that remains after the share `t` of the time; 1 before the start, 0 after the
    /// end.
    pub fn remaining(self, t: f64) -> f64 {
        let t = t.clamp(0.0, 1.0);
        match self {
            Self::Linear => 1.0 - t,
            Self::Cubic => (1.0 - t).powi(3),
            Self::Cosine => 0.5 * (1.0 + libm::cos(std::f64::consts::PI * t)),
        }
    }
}

/// A budget that starts at every candidate and shrinks to the final one: `k + (n - k) remaining(t)`.
///
/// A node that loses its last edge gets no gradient and rarely recovers. While the budget is large, each node
/// has time to find edges worth keeping.
#[derive(Clone, Copy, Debug)]
pub struct Shrinking {
    /// The share of the run after which the budget is reached, `(0, 1]`.
    pub share: f64,
    /// The curve along which it shrinks.
    pub curve: Curve,
    /// Updates between selections; 0 means 1. The last update of the run always selects.
    pub every: u64,
}

impl Shrinking {
    /// A cubic curve with a selection after every update.
    pub fn over(share: f64) -> Self {
        Self {
            share,
            curve: Curve::Cubic,
            every: 1,
        }
    }
}

impl Schedule for Shrinking {
    fn is_due(&self, clock: Clock) -> bool {
        clock.update.is_multiple_of(self.every.max(1)) || clock.update == clock.total
    }

    fn edges(&self, clock: Clock, candidates: usize, budget: usize) -> usize {
        let remaining = self.curve.remaining(clock.share() / self.share);
        budget + ((candidates.saturating_sub(budget)) as f64 * remaining).round() as usize
    }

    fn needs_length(&self) -> bool {
        true
    }
}

/// A fixed budget with periodic exchange: every `every` updates a share of the real edges is exchanged for
/// others. The share decays along half a cosine (Evci et al. 2020, section 3, f_decay).
#[derive(Clone, Copy, Debug)]
pub struct Exchange {
    /// Updates between exchanges; 0 means 1.
    pub every: u64,
    /// The share of the real edges that is exchanged at first, `(0, 1]`.
    pub first: f64,
    /// The share of the run after which no edge is exchanged, `(0, 1]`.
    pub until: f64,
}

impl Schedule for Exchange {
    fn is_due(&self, clock: Clock) -> bool {
        clock.update.is_multiple_of(self.every.max(1)) && clock.share() < self.until
            || clock.update == 0
    }

    fn turnover(&self, clock: Clock) -> f64 {
        self.first * Curve::Cosine.remaining(clock.share() / self.until)
    }

    fn needs_length(&self) -> bool {
        true
    }
}

/// Alternating dense and sparse phases of equal length, between a dense start and a sparse end (AC/DC; Peste
/// et al. 2021).
#[derive(Clone, Copy, Debug)]
pub struct Phases {
    /// The share of the run at which the first sparse phase begins.
    pub warm_up: f64,
    /// The length of a phase as a share of the run, above 0.
    pub length: f64,
    /// The share of the run after which the network stays sparse.
    pub end: f64,
}

impl Phases {
    /// The index of the phase, from 0; even phases are dense.
    fn phase(&self, update: u64, total: u64) -> u64 {
        let at = |share: f64| (share * total as f64).round() as u64;
        let (warm_up, end) = (at(self.warm_up), at(self.end));
        let length = at(self.length).max(1);
        if update < warm_up {
            0
        } else {
            let phase = |update: u64| 1 + (update - warm_up) / length;
            let last = phase(end.max(warm_up));
            // From the end on the phase is sparse, whichever phase the end falls into.
            if update >= end {
                last | 1
            } else {
                phase(update)
            }
        }
    }

    /// Whether the network is dense between this update and the next.
    pub fn is_dense(&self, clock: Clock) -> bool {
        self.phase(clock.update, clock.total).is_multiple_of(2)
    }
}

impl Schedule for Phases {
    fn is_due(&self, clock: Clock) -> bool {
        clock.update == 0
            || self.is_dense(clock)
                != self.is_dense(Clock {
                    update: clock.update - 1,
                    ..clock
                })
    }

    fn edges(&self, clock: Clock, candidates: usize, budget: usize) -> usize {
        if self.is_dense(clock) {
            candidates
        } else {
            budget
        }
    }

    fn needs_length(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(update: u64) -> Clock {
        Clock {
            update,
            total: 1000,
        }
    }

    #[test]
    fn a_shrinking_budget_starts_with_every_edge_and_ends_with_the_budget() {
        let cubic = Shrinking::over(0.5);
        let edges = |update| cubic.edges(at(update), 4000, 400);
        assert_eq!(edges(0), 4000);
        assert_eq!(edges(250), 400 + 3600 / 8);
        assert_eq!((edges(500), edges(1000)), (400, 400));
        for curve in [Curve::Linear, Curve::Cubic, Curve::Cosine] {
            let schedule = Shrinking { curve, ..cubic };
            let edges = |update| schedule.edges(at(update), 4000, 400);
            assert_eq!((edges(0), edges(500)), (4000, 400), "{curve:?}");
            assert!(
                (0..1000).all(|update| edges(update) >= edges(update + 1)),
                "{curve:?}"
            );
        }
        let half = |curve| Shrinking { curve, ..cubic }.edges(at(250), 4000, 400);
        assert_eq!((half(Curve::Linear), half(Curve::Cosine)), (2200, 2200));
    }

    #[test]
    fn a_gradual_schedule_is_due_at_intervals_and_at_the_end() {
        let schedule = Shrinking {
            every: 300,
            ..Shrinking::over(1.0)
        };
        let selected: Vec<u64> = (0..=1000)
            .filter(|&update| schedule.is_due(at(update)))
            .collect();
        assert_eq!(selected, [0, 300, 600, 900, 1000]);
    }

    #[test]
    fn an_exchange_falls_along_half_a_cosine_and_stops() {
        let schedule = Exchange {
            every: 100,
            first: 0.3,
            until: 0.75,
        };
        let selected: Vec<u64> = (0..=1000)
            .filter(|&update| schedule.is_due(at(update)))
            .collect();
        assert_eq!(selected, [0, 100, 200, 300, 400, 500, 600, 700]);
        assert_eq!(schedule.turnover(at(0)), 0.3);
        assert!((schedule.turnover(at(375)) - 0.15).abs() < 1e-12);
    }

    #[test]
    fn phases_begin_dense_alternate_and_end_sparse() {
        let schedule = Phases {
            warm_up: 0.1,
            length: 0.05,
            end: 0.85,
        };
        let dense = |update| schedule.is_dense(at(update));
        assert!(
            dense(0)
                && dense(99)
                && !dense(100)
                && !dense(149)
                && dense(150)
                && dense(199)
                && !dense(200)
        );
        assert!((850..=1000).all(|update| !dense(update)));
        let selected = (0..=1000)
            .filter(|&update| schedule.is_due(at(update)))
            .count();
        assert_eq!(
            selected,
            1 + 15,
            "the beginning, the end of the warm-up, and every change until 0.85"
        );
    }

    #[test]
    fn a_complete_start_is_pruned_once() {
        let schedule = CompleteUntil { share: 0.5 };
        let selected: Vec<u64> = (0..=1000)
            .filter(|&update| schedule.is_due(at(update)))
            .collect();
        assert_eq!(selected, [0, 500]);
        let edges = |update| schedule.edges(at(update), 10, 3);
        assert_eq!((edges(0), edges(499), edges(500)), (10, 10, 3));
    }
}

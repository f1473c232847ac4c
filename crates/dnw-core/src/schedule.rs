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

/// When the edges are chosen again, how many stay then, and how many may be others than before.
pub trait Schedule: std::fmt::Debug + Send + Sync {
    /// Whether to choose after the update that the clock shows. The choice at update 0 is always made.
    fn is_due(&self, clock: Clock) -> bool;

    /// How many of `candidates` stay when the budget at the end is `budget`.
    fn edges(&self, clock: Clock, candidates: usize, budget: usize) -> usize {
        let _ = (clock, candidates);
        budget
    }

    /// For rules that grow edges by a score of its own: the share of the real edges that gives way to others, 0 to 1.
    fn turnover(&self, clock: Clock) -> f64 {
        let _ = clock;
        1.0
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
    fn is_due(&self, _: Clock) -> bool {
        true
    }
}

/// After every so many updates, with a fixed budget.
#[derive(Clone, Copy, Debug)]
pub struct Every {
    /// Updates from one choice to the next; 0 is taken for 1.
    pub updates: u64,
}

impl Schedule for Every {
    fn is_due(&self, clock: Clock) -> bool {
        clock.update.is_multiple_of(self.updates.max(1))
    }
}

/// Before the first update, and never again.
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
}

/// Every candidate is real until a share of the run is done; then the budget is selected, once.
#[derive(Clone, Copy, Debug)]
pub struct CompleteUntil {
    /// The share of the run, `(0, 1]`; at 1 the choice is made after the last update.
    pub share: f64,
}

impl CompleteUntil {
    /// The update after which the budget is selected.
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

/// How something goes from one value to another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Curve {
    /// In proportion.
    Linear,
    /// Fast, then ever slower: what is left is `(1 - t)^3` (Zhu and Gupta 2017, equation 1).
    #[default]
    Cubic,
    /// Slow, fast, slow: what is left is `(1 + cos(pi t)) / 2`.
    Cosine,
}

impl Curve {
    /// What is left of the way when the share `t` of it has gone by; 1 before, 0 after.
    pub fn remaining(self, t: f64) -> f64 {
        let t = t.clamp(0.0, 1.0);
        match self {
            Self::Linear => 1.0 - t,
            Self::Cubic => (1.0 - t).powi(3),
            Self::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * t).cos()),
        }
    }
}

/// A budget that starts at every candidate and shrinks to the one asked for: `k + (n - k) remaining(t)`.
///
/// A node that loses its last edge gets no gradient and seldom comes back; while the budget is wide,
/// each node has time to find edges worth keeping.
#[derive(Clone, Copy, Debug)]
pub struct Shrinking {
    /// The share of the run after which the budget is reached, `(0, 1]`.
    pub share: f64,
    /// The way there.
    pub curve: Curve,
    /// Updates from one choice to the next; 0 is taken for 1. The last update of the run chooses in any case.
    pub every: u64,
}

impl Shrinking {
    /// Along a cubic, choosing after every update.
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

/// A fixed budget of which, every so many updates, a share that falls along half a cosine gives way to other edges (Evci et al.
/// 2020, section 3, f_decay).
#[derive(Clone, Copy, Debug)]
pub struct Exchange {
    /// Updates from one exchange to the next; 0 is taken for 1.
    pub every: u64,
    /// The share of the real edges that is exchanged at first, `(0, 1]`.
    pub first: f64,
    /// The share of the run after which nothing is exchanged any more, `(0, 1]`.
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

/// Dense and sparse phases in turn, of one length, between a dense beginning and a sparse end (AC/DC; Peste et al. 2021).
#[derive(Clone, Copy, Debug)]
pub struct Phases {
    /// The share of the run at which the first sparse phase begins.
    pub warm_up: f64,
    /// The share of the run that a phase lasts, above 0.
    pub length: f64,
    /// The share of the run after which the network stays sparse.
    pub end: f64,
}

impl Phases {
    /// The number of the phase: even ones are dense, the first is 0.
    fn phase(&self, update: u64, total: u64) -> u64 {
        let at = |share: f64| (share * total as f64).round() as u64;
        let (warm_up, end) = (at(self.warm_up), at(self.end));
        let length = at(self.length).max(1);
        if update < warm_up {
            0
        } else {
            let phase = |update: u64| 1 + (update - warm_up) / length;
            let last = phase(end.max(warm_up));
            // Whatever phase the end falls into, from there on it is a sparse one.
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
    fn a_gradual_schedule_chooses_every_so_often_and_at_the_end() {
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
    fn a_complete_beginning_is_cut_once() {
        let schedule = CompleteUntil { share: 0.5 };
        let selected: Vec<u64> = (0..=1000)
            .filter(|&update| schedule.is_due(at(update)))
            .collect();
        assert_eq!(selected, [0, 500]);
        let edges = |update| schedule.edges(at(update), 10, 3);
        assert_eq!((edges(0), edges(499), edges(500)), (10, 10, 3));
    }
}

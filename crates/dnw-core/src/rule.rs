//! A rule for choosing edges: one value for each of seven axes.
//!
//! | axis | question | here |
//! | --- | --- | --- |
//! | score | how is an edge ranked? | [`Score`], and another for edges that are to grow |
//! | budget | how many stay, and where? | [`Budget`](crate::Budget) per tensor, given by [`Wire`](crate::Wire), and [`Allocation`] |
//! | schedule | when is the set chosen again, and does the budget move? | [`Schedule`] |
//! | gradient | which edges learn, and what else pulls at them? | [`Gradient`], [`Penalty`] |
//! | unit | what swaps as one? | [`Unit`] |
//! | forward | what does an edge give? | [`Forward`] |
//! | birth | what does an edge begin with when it becomes real? | [`Birth`] |
//!
//! Discovering neural wirings is magnitude, a fixed budget per tensor, every update, all edges, single edges, and an edge
//! gives the weight that it has and keeps it. A rule of your own needs no change here:
//!
//! ```
//! use std::sync::Arc;
//! use dnw_core::{Rule, Score, TensorView, rules};
//!
//! /// Positive weights only.
//! #[derive(Debug)]
//! struct Excitatory;
//!
//! impl Score for Excitatory {
//!     fn score(&self, tensor: &TensorView<'_>, scores: &mut Vec<f32>) {
//!         scores.extend(tensor.weights);
//!     }
//! }
//!
//! let rule = Rule { name: "excitatory".into(), score: Arc::new(Excitatory), ..rules::dnw() };
//! # let _ = rule;
//! ```

use std::sync::Arc;

use crate::score::Sees;
use crate::{Allocation, Birth, Forward, Gradient, Penalty, Schedule, Score, Unit};

mod choice;

pub use choice::Choice;

/// How edges are chosen. New ones are made from another: `Rule { .., ..rules::dnw() }`.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The name that recipes and reports use.
    pub name: String,
    /// How an edge is ranked.
    pub score: Arc<dyn Score>,
    /// Where there is one, the edges that are real keep their places by `score`, save those that the schedule's
    /// [turnover](Schedule::turnover) makes free, for which all others compete by this. The first edges are then drawn by
    /// chance, since nothing has been seen yet.
    pub growth: Option<Arc<dyn Score>>,
    /// How the budget is spread over tensors.
    pub allocation: Allocation,
    /// When the set is chosen again, and how the budget moves.
    pub schedule: Arc<dyn Schedule>,
    /// Which edges learn.
    pub gradient: Gradient,
    /// What pulls at all wired weights besides the loss.
    pub penalty: Option<Penalty>,
    /// What swaps as one.
    pub unit: Unit,
    /// What an edge gives.
    pub forward: Forward,
    /// What an edge begins with when it becomes real.
    pub birth: Birth,
}

impl Rule {
    /// What of the gradients the rule's scores read.
    pub fn sees(&self) -> Sees {
        let growth = self.growth.as_ref().map(|growth| growth.sees());
        match (self.score.sees(), growth) {
            (Sees::Nothing, Some(sees)) => sees,
            (sees, _) => sees,
        }
    }

    /// Whether the rule looks at gradients, or changes them, so that they must pass through
    /// [`Wired::prepare`](crate::Wired::prepare) on their way to the optimizer.
    pub fn needs_gradients(&self) -> bool {
        self.sees() != Sees::Nothing || self.penalty.is_some()
    }

    /// Whether a choice is of the largest weights of each tensor and changes nothing but what is real.
    pub(crate) fn keeps_largest(&self) -> bool {
        let by_tensor = matches!(
            self.allocation,
            Allocation::PerTensor | Allocation::ErdosRenyiKernel
        );
        self.score.is_magnitude()
            && self.growth.is_none()
            && by_tensor
            && self.unit == Unit::Edge
            && matches!(self.forward, Forward::Weight)
            && self.birth == Birth::Kept
    }

    /// What the weight itself multiplies the gradient of hallucinated edges by. A rule that sees gradients must see those of all
    /// edges, and silences hallucinated ones afterwards.
    pub(crate) fn hallucinated(&self) -> f32 {
        match self.sees() {
            Sees::Nothing => self.gradient.hallucinated(),
            _ => 1.0,
        }
    }
}

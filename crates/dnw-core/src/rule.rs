//! A rule for selecting edges: one value for each of seven axes.
//!
//! | axis | question | here |
//! | --- | --- | --- |
//! | score | how is an edge ranked? | [`Score`], and a second one for growth |
//! | budget | how many stay, and where? | [`Budget`](crate::Budget) per tensor, set by [`Wire`](crate::Wire), and [`Allocation`] |
//! | schedule | when are the edges selected again, and does the budget change? | [`Schedule`] |
//! | gradient | which edges learn, and is there a penalty? | [`Gradient`], [`Penalty`] |
//! | unit | what swaps as one? | [`Unit`] |
//! | forward | what does a real edge contribute? | [`Forward`] |
//! | regrowth | what is the initial weight of an edge that becomes real? | [`Regrowth`] |
//!
//! Discovering neural wirings combines magnitude, a fixed budget per tensor, every update, all edges, single
//! edges, the weight itself, and the weight kept. A custom rule needs no change in this crate:
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

use crate::score::GradientUse;
use crate::{Allocation, Forward, Gradient, Penalty, Regrowth, Schedule, Score, Unit};

mod selection;

pub use selection::Selection;

/// How edges are selected. A new rule starts from another: `Rule { .., ..rules::dnw() }`.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The name that recipes and reports use.
    pub name: String,
    /// How an edge is ranked.
    pub score: Arc<dyn Score>,
    /// The score by which new edges grow. If set, real edges keep their places by `score`, except the share
    /// that the schedule's [turnover](Schedule::turnover) removes; all other candidates compete for those
    /// places by this score. The first edges are random, because there are no gradients yet.
    pub growth: Option<Arc<dyn Score>>,
    /// How the budget is spread over tensors.
    pub allocation: Allocation,
    /// When edges are selected again, and how the budget changes.
    pub schedule: Arc<dyn Schedule>,
    /// Which edges learn.
    pub gradient: Gradient,
    /// The L1 penalty on all wired weights, if any.
    pub penalty: Option<Penalty>,
    /// The unit that swaps as a whole.
    pub unit: Unit,
    /// What a real edge contributes to the forward pass.
    pub forward: Forward,
    /// The initial weight of an edge that becomes real.
    pub regrowth: Regrowth,
}

impl Rule {
    /// Which gradients the rule's scores use.
    pub fn gradient_use(&self) -> GradientUse {
        let growth = self.growth.as_ref().map(|score| score.gradient_use());
        match (self.score.gradient_use(), growth) {
            (GradientUse::None, Some(growth)) => growth,
            (score, _) => score,
        }
    }

    /// Whether a budget decides how many edges stay. If not, the rule itself does. A unit such as 2-of-4, which
    /// sets the budget, is asked by [`Unit::sets_budget`].
    pub fn uses_budget(&self) -> bool {
        self.allocation != Allocation::Free && self.schedule.uses_budget()
    }

    /// Whether the rule reads or changes gradients, which must then pass through
    /// [`Wired::prepare`](crate::Wired::prepare) before the optimizer step.
    pub fn needs_gradients(&self) -> bool {
        self.gradient_use() != GradientUse::None || self.penalty.is_some()
    }

    /// Whether each selection keeps the largest weights of each tensor and changes only the mask.
    pub(crate) fn is_top_k(&self) -> bool {
        let by_tensor = matches!(
            self.allocation,
            Allocation::PerTensor | Allocation::ErdosRenyiKernel
        );
        self.score.is_magnitude()
            && self.growth.is_none()
            && by_tensor
            && self.unit == Unit::Edge
            && matches!(self.forward, Forward::Weight)
            && self.regrowth == Regrowth::Kept
    }

    /// The factor of the gradient of hallucinated edges in the backward pass. A rule that uses gradients
    /// needs those of all edges, so the factor is 1 and [`Wired::prepare`](crate::Wired::prepare) scales them
    /// afterwards.
    pub(crate) fn backward_scale(&self) -> f32 {
        match self.gradient_use() {
            GradientUse::None => self.gradient.hallucinated_scale(),
            _ => 1.0,
        }
    }
}

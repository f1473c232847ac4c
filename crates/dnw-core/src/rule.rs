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
//! | regrowth | what does an edge begin with when it becomes real? | [`Regrowth`] |
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

use crate::score::GradientUse;
use crate::{
    Allocation, Clock, Forward, Gradient, Penalty, Regrowth, Schedule, Score, Unit, Wiring,
};

mod selection;

pub use selection::Selection;

/// How edges are selected. New ones are made from another: `Rule { .., ..rules::dnw() }`.
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
    pub regrowth: Regrowth,
}

impl Rule {
    /// What of the gradients the rule's scores read.
    pub fn gradient_use(&self) -> GradientUse {
        let growth = self.growth.as_ref().map(|score| score.gradient_use());
        match (self.score.gradient_use(), growth) {
            (GradientUse::None, Some(growth)) => growth,
            (score, _) => score,
        }
    }

    /// Whether the rule looks at gradients, or changes them, so that they must pass through
    /// [`Wired::prepare`](crate::Wired::prepare) on their way to the optimizer.
    pub fn needs_gradients(&self) -> bool {
        self.gradient_use() != GradientUse::None || self.penalty.is_some()
    }

    /// Whether a choice is of the largest weights of each tensor and changes nothing but what is real.
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

    /// What the weight itself multiplies the gradient of hallucinated edges by. A rule that sees gradients must see those of all
    /// edges, and silences hallucinated ones afterwards.
    pub(crate) fn hallucinated(&self) -> f32 {
        match self.gradient_use() {
            GradientUse::None => self.gradient.hallucinated(),
            _ => 1.0,
        }
    }
}

/// What a rule sees of a tensor when it chooses.
#[derive(Clone, Copy, Debug)]
pub struct TensorView<'a> {
    /// The tensor's path in the model, such as `graph.weight`.
    pub name: &'a str,
    /// How entries lie as targets and sources.
    pub shape: &'a WeightShape,
    /// The weights, row-major.
    pub weights: &'a [f32],
    /// The edges that may be selected.
    pub candidates: &'a Wiring,
    /// The edges that are real now.
    pub wiring: &'a Wiring,
    /// The edges to keep at the end of the run.
    pub budget: usize,
    /// Where the run is.
    pub clock: Clock,
    /// The seed of rules that draw lots.
    pub seed: u64,
    /// What the rule's scores asked to see of the gradients, row-major; `None` before the first update.
    pub gradients: Option<&'a [f32]>,
    /// The magnitude below which an edge gives nothing; 0 where there is no threshold.
    pub threshold: f32,
}

/// How the entries of a weight are edges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeightShape {
    /// The tensor's own shape.
    pub dims: Vec<usize>,
    /// Outputs of the layer.
    pub targets: usize,
    /// Inputs of the layer (per group, for a grouped convolution).
    pub sources: usize,
    /// Entries between one target and one source: the kernel's area.
    pub kernel: usize,
}

impl WeightShape {
    /// The shape of a weight with these dimensions: `[sources, targets]` where there are two, as Burn's `Linear`
    /// stores them, else `[targets, sources, kernel..]`.
    pub fn new(dims: &[usize]) -> Self {
        let (targets, sources, kernel) = match dims {
            [sources, targets] => (*targets, *sources, 1),
            [targets, sources, kernel @ ..] => (*targets, *sources, kernel.iter().product()),
            _ => (dims.iter().product(), 1, 1),
        };
        Self {
            dims: dims.to_vec(),
            targets,
            sources,
            kernel,
        }
    }

    /// Entries in all.
    pub fn entries(&self) -> usize {
        self.targets * self.sources * self.kernel
    }

    /// The target, the source and the place in the kernel of an entry.
    pub fn edge(&self, entry: usize) -> (usize, usize, usize) {
        if self.dims.len() == 2 {
            (entry % self.targets, entry / self.targets, 0)
        } else {
            let (pair, place) = (entry / self.kernel, entry % self.kernel);
            (pair / self.sources, pair % self.sources, place)
        }
    }

    /// The entry's number when the weight is laid out `[targets, sources, kernel]`, whatever its own layout.
    pub fn by_target(&self, entry: usize) -> usize {
        let (target, source, place) = self.edge(entry);
        (target * self.sources + source) * self.kernel + place
    }
}

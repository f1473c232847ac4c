//! A rule for choosing edges: one value for each of five axes.
//!
//! | axis | question | here |
//! | --- | --- | --- |
//! | score | how is an edge ranked? | [`Score`] |
//! | budget | how many stay? | [`Budget`](crate::Budget), given per tensor by [`Wire`](crate::Wire) |
//! | schedule | when is the set chosen again, and does the budget move? | [`Schedule`] |
//! | gradient | which edges learn? | [`Gradient`] |
//! | unit | what swaps as one? | [`Unit`] |
//!
//! Discovering neural wirings is magnitude, a fixed budget, every update, all edges, single edges. A rule of
//! your own needs no change here:
//!
//! ```
//! use std::sync::Arc;
//! use dnw_core::{Gradient, Rule, Score, TensorView, Unit, schedule::EveryUpdate};
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
//! let rule = Rule {
//!     name: "excitatory".into(),
//!     score: Arc::new(Excitatory),
//!     schedule: Arc::new(EveryUpdate),
//!     gradient: Gradient::AllEdges,
//!     unit: Unit::Edge,
//! };
//! # let _ = rule;
//! ```

use std::sync::Arc;

use crate::{Clock, Gradient, Schedule, Score, Unit, Wiring, WiringError};

/// How edges are chosen.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The name that recipes and reports use.
    pub name: String,
    /// How an edge is ranked.
    pub score: Arc<dyn Score>,
    /// When the set is chosen again, and how the budget moves.
    pub schedule: Arc<dyn Schedule>,
    /// Which edges learn.
    pub gradient: Gradient,
    /// What swaps as one.
    pub unit: Unit,
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
    /// The edges that may be chosen.
    pub candidates: &'a Wiring,
    /// The edges that are real now.
    pub wiring: &'a Wiring,
    /// The edges to keep at the end of the run.
    pub budget: usize,
    /// Where the run is.
    pub clock: Clock,
    /// The seed of rules that draw lots.
    pub seed: u64,
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

impl Rule {
    /// The wiring that this rule gives the tensor now, with the scores that chose it. Whether it is time to choose is the
    /// schedule's to say, and [`Wired::rewire`](crate::Wired::rewire)'s to ask.
    ///
    /// # Errors
    /// As [`select_top_edges`](crate::select_top_edges).
    pub fn choose(&self, tensor: &TensorView<'_>) -> Result<Choice, WiringError> {
        let candidates = tensor.candidates.count();
        let k = self.schedule.edges(tensor.clock, candidates, tensor.budget);
        let mut scores = Vec::with_capacity(tensor.weights.len());
        self.score.score(tensor, &mut scores);
        let wiring = self.unit.select(tensor, &scores, k)?;
        Ok(Choice { wiring, scores })
    }
}

/// What a rule chose, and why.
#[derive(Clone, Debug)]
pub struct Choice {
    /// The edges that are real from now on.
    pub wiring: Wiring,
    /// The scores that decided it, one per entry.
    pub scores: Vec<f32>,
}

//! A tensor as a rule reads it.

use crate::{Clock, WeightShape, Wiring};

/// A tensor as a rule reads it for a selection.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct TensorView<'a> {
    /// The tensor's path in the model, such as `graph.weight`.
    pub name: &'a str,
    /// How entries map to targets and sources.
    pub shape: &'a WeightShape,
    /// The weights, row-major.
    pub weights: &'a [f32],
    /// The edges that may become real.
    pub candidates: &'a Wiring,
    /// The edges that are real now.
    pub wiring: &'a Wiring,
    /// The number of edges at the end of the run.
    pub budget: usize,
    /// Whether it keeps every candidate, whatever the rule: its own budget says so.
    pub dense: bool,
    /// Whether it learned since the last selection. A tensor that did not keeps its edges.
    pub learns: bool,
    /// The progress of the run.
    pub clock: Clock,
    /// The seed of random rules.
    pub seed: u64,
    /// The gradients that the rule's scores use, row-major ([`Score::gradient_use`](crate::Score::gradient_use)); `None` before the first
    /// update.
    pub gradients: Option<&'a [f32]>,
    /// The magnitude below which an edge contributes nothing; 0 without a threshold.
    pub threshold: f32,
}

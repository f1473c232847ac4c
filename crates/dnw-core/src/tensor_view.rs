//! What a rule sees of a tensor.

use crate::{Clock, WeightShape, Wiring};

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
    /// What the rule's scores asked to see of the gradients, row-major; `None` before the first update.
    pub seen: Option<&'a [f32]>,
    /// The magnitude below which an edge gives nothing; 0 where there is no threshold.
    pub threshold: f32,
}

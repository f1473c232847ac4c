//! What can go wrong while a wiring is selected.

use crate::{Budget, Unit};

/// An error of choosing or holding a wiring.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum WiringError {
    /// The budget does not fit the tensor.
    #[error(
        "a budget of {budget} does not fit `{tensor}`, which has {candidates} candidate edges: between 1 and {candidates} must stay"
    )]
    Budget {
        /// The tensor's path in the model.
        tensor: String,
        /// The budget asked for.
        budget: Budget,
        /// Edges that could be real.
        candidates: usize,
    },
    /// A score is not a number, so the edges cannot be ranked.
    #[error(
        "`{tensor}` holds a value that is not a number at entry {entry}: its edges cannot be ranked"
    )]
    NotANumber {
        /// The tensor's path in the model.
        tensor: String,
        /// The first such entry, row-major.
        entry: usize,
    },
    /// No parameter of the model carries a wiring, and none was named that could.
    #[error(
        "the model has no weight to wire: use MaskedConv2d, DnwLinear or a NeuralGraph, or name plain weights of two or more dimensions with `Wire::weights`"
    )]
    NothingToWire,
    /// A budget was given for a tensor that is not wired.
    #[error("there is no wired tensor `{name}`; the model has {}", .known.join(", "))]
    UnknownTensor {
        /// The name asked for.
        name: String,
        /// The names of the wired tensors.
        known: Vec<String>,
    },
    /// A wiring is of another tensor.
    #[error("the wiring given for `{tensor}` has {found} entries, the tensor {expected}")]
    Size {
        /// The tensor's path in the model.
        tensor: String,
        /// Entries of the wiring.
        found: usize,
        /// Entries of the tensor.
        expected: usize,
    },
    /// A wiring has an edge that is no candidate.
    #[error(
        "the wiring given for `{tensor}` has an edge at entry {entry} that cannot be real there"
    )]
    Illegal {
        /// The tensor's path in the model.
        tensor: String,
        /// The first such entry, row-major.
        entry: usize,
    },
    /// The schedule moves over the run, but the run's length was not said.
    #[error(
        "the rule `{rule}` spreads its budget over the run: say how many updates that has with `Wire::over`"
    )]
    UnknownLength {
        /// The rule.
        rule: String,
    },
    /// A tensor does not divide into the rule's units.
    #[error(
        "`{tensor}` has {sources} sources, which do not divide into groups of {unit}: give it a budget of its own (1.0 keeps it dense), or another unit"
    )]
    Unit {
        /// The tensor's path in the model.
        tensor: String,
        /// The unit.
        unit: Unit,
        /// Its sources.
        sources: usize,
    },
    /// The rule looks at gradients, which nobody showed it.
    #[error(
        "the rule `{rule}` looks at the gradients: pass them through `Wired::prepare` before each optimizer step"
    )]
    GradientsMissing {
        /// The rule.
        rule: String,
    },
    /// A stored wiring is not one.
    #[error("these bytes are not a wiring: {0}")]
    Bytes(&'static str),
}

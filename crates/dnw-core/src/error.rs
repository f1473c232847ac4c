//! Errors of selecting and storing wirings.

use crate::{Budget, Unit};

/// An error of selecting or storing a wiring.
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
        /// The number of candidate edges.
        candidates: usize,
    },
    /// The budget does not fit the tensors that share it.
    #[error(
        "a budget of {budget} does not fit the {tensors} tensors that share it, which have {candidates} candidate edges in all: between {least} and {candidates} must stay"
    )]
    SharedBudget {
        /// The budget asked for.
        budget: Budget,
        /// The number of tensors.
        tensors: usize,
        /// The fewest edges that may stay.
        least: usize,
        /// The number of candidate edges of all of them.
        candidates: usize,
    },
    /// A tensor has a budget of its own where the rule or the unit says how many edges stay.
    #[error(
        "the budget of {budget} for `{tensor}` has no effect, because {decides} says how many edges stay: leave it out, or keep the tensor dense with a budget of density 1.0"
    )]
    UnusedBudget {
        /// The tensor's path in the model.
        tensor: String,
        /// Its budget.
        budget: Budget,
        /// What says how many edges stay.
        decides: String,
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
    /// No parameter of the model has a wiring, and `Wire::weights` selected none.
    #[error(
        "the model has no weight to wire: use MaskedConv2d, DnwLinear or a NeuralGraph, or name plain weights of two or more dimensions with `Wire::weights`"
    )]
    NothingToWire,
    /// A budget names a tensor that is not wired.
    #[error("there is no wired tensor `{name}`; the model has {}", .known.join(", "))]
    UnknownTensor {
        /// The name asked for.
        name: String,
        /// The names of the wired tensors.
        known: Vec<String>,
    },
    /// A wiring or a list of weights has another length than the tensor.
    #[error("`{tensor}` has {expected} entries, but the new wiring or weights have {found}")]
    Size {
        /// The tensor's path in the model.
        tensor: String,
        /// Entries of the wiring, or number of weights.
        found: usize,
        /// Entries of the tensor.
        expected: usize,
    },
    /// A wiring has an edge that is not a candidate.
    #[error("the wiring for `{tensor}` has an edge at entry {entry}, which is not a candidate")]
    Illegal {
        /// The tensor's path in the model.
        tensor: String,
        /// The first such entry, row-major.
        entry: usize,
    },
    /// The schedule needs the length of the run, which is unknown.
    #[error(
        "the rule `{rule}` needs the length of the run: set its number of updates with `Wire::over`"
    )]
    UnknownLength {
        /// The rule.
        rule: String,
    },
    /// A tensor does not divide into the rule's units.
    #[error(
        "`{tensor}` has {sources} sources, which do not divide into groups of {unit}: keep it dense with a budget of density 1.0, or use another unit"
    )]
    Unit {
        /// The tensor's path in the model.
        tensor: String,
        /// The unit.
        unit: Unit,
        /// Its sources.
        sources: usize,
    },
    /// The rule's unit needs to know which dimensions of a weight are the outputs and inputs of its layer.
    #[error(
        "`{tensor}` does not show {missing}, which the unit {unit} needs: declare it with `Wire::layout_for`, keep the tensor dense with a budget of density 1.0, or use the unit edge"
    )]
    Layout {
        /// The tensor's path in the model.
        tensor: String,
        /// What is not known.
        missing: &'static str,
        /// The unit.
        unit: Unit,
    },
    /// The layout declared for a tensor has groups that do not divide its sources.
    #[error(
        "`{tensor}` has {sources} sources, which do not divide into {groups} groups of channels"
    )]
    Groups {
        /// The tensor's path in the model.
        tensor: String,
        /// The groups declared.
        groups: usize,
        /// Its sources.
        sources: usize,
    },
    /// The rule uses gradients, but [`Wired::prepare`](crate::Wired::prepare) was not called.
    #[error(
        "the rule `{rule}` uses the gradients: pass them through `Wired::prepare` before each optimizer step"
    )]
    GradientsMissing {
        /// The rule.
        rule: String,
    },
    /// The bytes of a stored wiring are invalid.
    #[error("these bytes are not a wiring: {0}")]
    Bytes(&'static str),
}

//! The results of a rewiring, and a wired tensor as it is.

use crate::rule::Selection;
use crate::{Swaps, TensorView, WeightShape, Wiring};

/// The result of one rewiring.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Rewiring {
    /// The update after which it was made.
    pub update: u64,
    /// The tensors whose edges were selected, in the order of the model's fields. Empty if no selection was
    /// due.
    pub tensors: Vec<TensorRewiring>,
    /// Whether everything in the model except the wiring was reset to its value before the first update
    /// ([`Regrowth::Rewound`]). The optimizer must then be replaced by a new one.
    pub rewound: bool,
}

impl Rewiring {
    /// Edges added in all tensors.
    pub fn added(&self) -> usize {
        self.tensors.iter().map(|t| t.swaps.added.len()).sum()
    }

    /// Edges removed in all tensors.
    pub fn removed(&self) -> usize {
        self.tensors.iter().map(|t| t.swaps.removed.len()).sum()
    }

    /// Real edges of all tensors whose edges were selected.
    pub fn real(&self) -> usize {
        self.tensors.iter().map(|t| t.real).sum()
    }
}

/// The result of one rewiring for a tensor.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TensorRewiring {
    /// The tensor's path in the model.
    pub name: String,
    /// The number of real edges.
    pub real: usize,
    /// The edges that changed.
    pub swaps: Swaps,
    /// The lowest score among the real edges.
    pub threshold: f32,
    /// The highest score among the candidates that are not real; `None` if every candidate is real.
    pub nearest: Option<f32>,
    /// Hallucinated candidates whose score is at least nine tenths of the threshold.
    pub contenders: usize,
}

impl TensorRewiring {
    /// The result of a selection whose scores are on the host.
    pub(super) fn new(tensor: &TensorView<'_>, selection: &Selection, swaps: Swaps) -> Self {
        let scores = &selection.scores;
        let threshold = selection
            .wiring
            .iter()
            .map(|entry| scores[entry])
            .fold(f32::INFINITY, f32::min);
        let hallucinated = tensor.candidates.difference(&selection.wiring);
        Self {
            name: tensor.name.to_owned(),
            real: selection.wiring.count(),
            swaps,
            threshold,
            nearest: hallucinated
                .iter()
                .map(|entry| scores[entry])
                .reduce(f32::max),
            contenders: hallucinated
                .iter()
                .filter(|&entry| scores[entry] >= 0.9 * threshold)
                .count(),
        }
    }
}

/// The current state of a wired tensor.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WiredTensor {
    /// Its path in the model, such as `graph.weight`.
    pub name: String,
    /// How its entries map to edges.
    pub shape: WeightShape,
    /// The weight of every possible edge, row-major.
    pub weights: Vec<f32>,
    /// The real edges.
    pub wiring: Wiring,
    /// The edges that compete for the budget.
    pub candidates: Wiring,
    /// The edges that the layer can use. If all entries compete, selected edges may be outside this set.
    pub legal: Wiring,
    /// The number of edges at the end of the run.
    pub budget: usize,
}

impl WiredTensor {
    /// The edges that take part in the forward pass: those that are real and legal.
    pub fn active(&self) -> Wiring {
        self.wiring.intersection(&self.legal)
    }
}

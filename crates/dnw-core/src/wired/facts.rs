//! What is fixed about the tensors of a model when it is wired.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::{WeightShape, Wiring};

/// What is fixed about each wired tensor when the model is wired.
#[derive(Clone, Debug)]
pub(crate) struct Tensors {
    pub(super) names: Vec<String>,
    pub(super) facts: BTreeMap<String, Arc<TensorFacts>>,
}

/// What is fixed about one of them.
#[derive(Debug)]
pub(super) struct TensorFacts {
    pub(super) shape: WeightShape,
    pub(super) candidates: Arc<Wiring>,
    /// The number of candidates.
    pub(super) count: usize,
    pub(super) budget: usize,
    /// Whether it keeps every candidate, whatever the rule.
    pub(super) dense: bool,
}

/// How many edges a tensor keeps, of which.
pub(crate) struct TensorBudget {
    /// The edges that compete.
    pub(crate) candidates: Wiring,
    /// Their number.
    pub(crate) count: usize,
    /// How many are real at the end of the run.
    pub(crate) edges: usize,
    /// Whether every candidate is real, whatever the rule.
    pub(crate) dense: bool,
}

impl Tensors {
    pub(crate) fn new() -> Self {
        Self {
            names: Vec::new(),
            facts: BTreeMap::new(),
        }
    }

    pub(crate) fn add(&mut self, name: String, shape: WeightShape, budget: TensorBudget) {
        self.names.push(name.clone());
        self.facts.insert(
            name,
            Arc::new(TensorFacts {
                shape,
                count: budget.count,
                candidates: Arc::new(budget.candidates),
                budget: budget.edges,
                dense: budget.dense,
            }),
        );
    }
}

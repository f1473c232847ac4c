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
}

impl Tensors {
    pub(crate) fn new() -> Self {
        Self {
            names: Vec::new(),
            facts: BTreeMap::new(),
        }
    }

    pub(crate) fn add(
        &mut self,
        name: String,
        shape: WeightShape,
        candidates: Wiring,
        budget: usize,
    ) {
        self.names.push(name.clone());
        self.facts.insert(
            name,
            Arc::new(TensorFacts {
                shape,
                count: candidates.count(),
                candidates: Arc::new(candidates),
                budget,
            }),
        );
    }
}

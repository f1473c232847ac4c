//! The return to the model before the first update.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Tensor, TensorData};

use super::traversal::is_frozen;
use crate::real_edges::path;

/// The initial model, in which what was frozen since keeps its values and stays frozen.
pub(super) fn rewound<M: Module>(current: &M, initial: M) -> M {
    let mut frozen = Frozen::default();
    current.visit(&mut frozen);
    initial.map(&mut frozen)
}

/// The frozen parameters of a model.
#[derive(Default)]
struct Frozen {
    path: Vec<String>,
    values: BTreeMap<String, TensorData>,
}

impl ModuleVisitor for Frozen {
    path::track!();

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.base();
        if path::part(&self.path).is_none() && is_frozen(&value) {
            self.values.insert(self.path.join("."), value.to_data());
        }
    }
}

impl ModuleMapper for Frozen {
    path::track!();

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        // What never learned, such as running averages, begins again.
        if path::part(&self.path).is_some() || is_frozen(&param.base()) {
            return param;
        }
        match self.values.remove(&self.path.join(".")) {
            Some(value) => param
                .map(|old| Tensor::from_data(value, &old.device()))
                .set_require_grad(false),
            None => param,
        }
    }
}

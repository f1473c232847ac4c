//! Traversals of a model that read or change its wirings.
//!
//! Burn's traversals visit parameters, not the structs that hold them. A weight is visited first, under its
//! own path. The parts of its wiring follow, under the weight's path and the wiring's name.

use std::collections::BTreeMap;
use std::sync::Arc;

use burn::module::{ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Bool, Tensor, TensorData};

use super::facts::TensorFacts;
use crate::Wiring;
use crate::ops;
use crate::real_edges::{mask_tensor, path, wiring_of};

/// The state of a wired tensor, on the host.
pub(super) struct TensorState {
    pub(super) name: String,
    pub(super) weights: Vec<f32>,
    pub(super) wiring: Wiring,
    /// The learned threshold, or 0.
    pub(super) threshold: f32,
    /// Whether its weights require no gradient.
    pub(super) frozen: bool,
}

/// Whether a parameter requires no gradient where others can have one.
pub(super) fn is_frozen<const D: usize>(weights: &Tensor<D>) -> bool {
    weights.is_autodiff() && !weights.is_require_grad()
}

/// Reads every wired tensor.
pub(super) struct Read<'a> {
    pub(super) facts: &'a BTreeMap<String, Arc<TensorFacts>>,
    pub(super) path: Vec<String>,
    pub(super) tensors: Vec<TensorState>,
}

impl ModuleVisitor for Read<'_> {
    path::track!();

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        match path::part(&self.path) {
            // Four parameters: a learned threshold; see `Forward::threshold_parameters`.
            Some((weight, path::THRESHOLD)) if param.base().shape().num_elements() == 4 => {
                let learned = values(&param.base())[0];
                if let Some(state) = self.tensors.iter_mut().find(|state| state.name == weight) {
                    state.threshold = 1.0 / (1.0 + libm::expf(-learned));
                }
            }
            None => {
                let name = self.path.join(".");
                if self.facts.contains_key(&name) {
                    let base = param.base();
                    self.tensors.push(TensorState {
                        name,
                        frozen: is_frozen(&base),
                        weights: values(&base),
                        wiring: Wiring::empty(0),
                        threshold: 0.0,
                    });
                }
            }
            _ => {}
        }
    }

    fn visit_bool<const D: usize>(&mut self, param: &Param<Tensor<D, Bool>>) {
        if let Some((weight, path::REAL)) = path::part(&self.path)
            && let Some(state) = self.tensors.iter_mut().find(|state| state.name == weight)
        {
            state.wiring = wiring_of(&param.val().flatten::<1>(0, D - 1));
        }
    }
}

/// Reads the legal edges of every wired tensor in which not all are legal.
#[derive(Default)]
pub(super) struct ReadLegal {
    path: Vec<String>,
    pub(super) found: BTreeMap<String, Wiring>,
}

impl ModuleVisitor for ReadLegal {
    path::track!();

    fn visit_bool<const D: usize>(&mut self, param: &Param<Tensor<D, Bool>>) {
        if let Some((weight, path::LEGAL)) = path::part(&self.path) {
            let legal = wiring_of(&param.val().flatten::<1>(0, D - 1));
            self.found.insert(weight, legal);
        }
    }
}

/// Counts trained parameters that are not edges.
pub(super) struct CountOthers<'a> {
    pub(super) facts: &'a BTreeMap<String, Arc<TensorFacts>>,
    pub(super) path: Vec<String>,
    pub(super) count: usize,
}

impl ModuleVisitor for CountOthers<'_> {
    path::track!();

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let is_edges = self.facts.contains_key(&self.path.join("."));
        if !is_edges && path::part(&self.path).is_none() && param.is_require_grad() {
            self.count += param.base().shape().num_elements();
        }
    }
}

/// Changes to a wired tensor; a part that is `None` stays.
#[derive(Default)]
pub(super) struct Change {
    /// The real edges.
    pub(super) wiring: Option<Wiring>,
    /// The mask entries to toggle, as kernels return them.
    pub(super) toggled: Option<Vec<usize>>,
    /// The hallucinated edges that take part in training.
    pub(super) joined: Option<Wiring>,
    /// The parameters of the threshold function.
    pub(super) threshold: Option<Vec<f32>>,
    /// Entries whose weight becomes zero.
    pub(super) zeroed: Option<Wiring>,
    /// The weights, row-major.
    pub(super) weights: Option<Vec<f32>>,
}

/// Applies changes.
pub(super) struct ApplyChanges<'a> {
    pub(super) changes: &'a BTreeMap<String, Change>,
    pub(super) path: Vec<String>,
}

impl ModuleMapper for ApplyChanges<'_> {
    path::track!();

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (weight, part) = match path::part(&self.path) {
            Some((weight, part)) => (weight, Some(part)),
            None => (self.path.join("."), None),
        };
        match (self.changes.get(&weight), part) {
            (
                Some(Change {
                    threshold: Some(parameters),
                    ..
                }),
                Some(path::THRESHOLD),
            ) => param.map(|old| {
                let data = TensorData::new(parameters.clone(), [parameters.len()]);
                Tensor::<1>::from_data(data, &old.device()).reshape([parameters.len(); D])
            }),
            (
                Some(Change {
                    weights: Some(weights),
                    ..
                }),
                None,
            ) => param.map(|old| {
                let data = TensorData::new(weights.clone(), old.dims());
                Tensor::from_data(data, &old.device()).set_require_grad(old.is_require_grad())
            }),
            (
                Some(Change {
                    zeroed: Some(zeroed),
                    ..
                }),
                None,
            ) => param.map(|old| {
                let (dims, learns) = (old.dims(), old.is_require_grad());
                let zeroed = mask_tensor(zeroed, &old.device()).reshape(dims);
                old.mask_fill(zeroed, 0.0).detach().set_require_grad(learns)
            }),
            _ => param,
        }
    }

    fn map_bool<const D: usize>(
        &mut self,
        param: Param<Tensor<D, Bool>>,
    ) -> Param<Tensor<D, Bool>> {
        let Some((weight, part)) = path::part(&self.path) else {
            return param;
        };
        let change = self.changes.get(&weight);
        if part == path::REAL
            && let Some(toggled) = change.and_then(|change| change.toggled.clone())
        {
            return param.map(|mask| ops::toggle_mask(mask, &toggled));
        }
        let mask = match part {
            path::REAL => change.and_then(|change| change.wiring.as_ref()),
            path::JOINED => change.and_then(|change| change.joined.as_ref()),
            _ => None,
        };
        match mask {
            Some(mask) => param.map(|old| {
                let entries = mask.entries();
                mask_tensor(mask, &old.device()).reshape([entries; D])
            }),
            None => param,
        }
    }
}

/// A tensor's values on the host, row-major.
pub(super) fn values<const D: usize>(tensor: &Tensor<D>) -> Vec<f32> {
    tensor.to_data().iter::<f32>().collect()
}

//! Choices that keep the largest weights, made where the weights lie.
//!
//! What most rules do after every update needs neither scores written down nor weights copied to the host: the backend's own operation
//! finds the threshold and toggles what has changed in the mask.

use std::collections::BTreeMap;
use std::sync::Arc;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Bool, Tensor};

use super::traversal::Change;
use super::{Rewiring, TensorFacts, TensorRewiring, Wired};
use crate::ops::{self, Kernels, Wanted};
use crate::real_edges::path;
use crate::{Swaps, WiringError};

/// A wired tensor on its device.
struct Handle {
    name: String,
    weights: Tensor<1>,
    real: Option<Tensor<1, Bool>>,
}

/// The traversal that finds every wired tensor without reading it.
struct Find<'a> {
    facts: &'a BTreeMap<String, Arc<TensorFacts>>,
    path: Vec<String>,
    found: Vec<Handle>,
}

impl ModuleVisitor for Find<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.push(path::step(name, container));
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let name = self.path.join(".");
        if path::part(&self.path).is_none() && self.facts.contains_key(&name) {
            let weights = param.base();
            let entries = weights.shape().num_elements();
            self.found.push(Handle {
                name,
                weights: weights.detach().reshape([entries]),
                real: None,
            });
        }
    }

    fn visit_bool<const D: usize>(&mut self, param: &Param<Tensor<D, Bool>>) {
        if let Some((weight, path::REAL)) = path::part(&self.path)
            && let Some(handle) = self.found.iter_mut().find(|handle| handle.name == weight)
        {
            handle.real = Some(param.val().flatten(0, D - 1));
        }
    }
}

impl<M: Module> Wired<M> {
    /// Keeps the largest weights of each tensor. None if the rule does more, or the device has no kernels for it.
    pub(super) fn choose_in_place(&mut self) -> Option<Result<Rewiring, WiringError>> {
        if !self.rule.keeps_largest() {
            return None;
        }
        let mut find = Find {
            facts: &self.tensors.facts,
            path: Vec::new(),
            found: Vec::new(),
        };
        (**self).visit(&mut find);
        let found = find.found;
        let serves =
            |handle: &Handle| handle.real.is_some() && Kernels::default().choose(&handle.weights);
        found.iter().all(serves).then(|| self.keep_largest(found))
    }

    fn keep_largest(&mut self, found: Vec<Handle>) -> Result<Rewiring, WiringError> {
        let mut rewiring = Rewiring {
            update: self.clock.update,
            ..Rewiring::default()
        };
        let (mut changes, mut thresholds) = (BTreeMap::new(), BTreeMap::new());
        for Handle {
            name,
            weights,
            real,
        } in found
        {
            let facts = &self.tensors.facts[&name];
            let candidates = facts.candidates.count();
            let edges = self
                .rule
                .schedule
                .edges(self.clock, candidates, facts.budget);
            let wanted = Wanted {
                candidates: facts.candidates.clone(),
                edges,
                guess: self.thresholds.get(&name).copied(),
            };
            let real = real.expect("found with its weights");
            let chosen = ops::keep_largest(weights, real, wanted).map_err(|entry| {
                let tensor = name.clone();
                WiringError::NotANumber { tensor, entry }
            })?;
            let swaps = Swaps::of(chosen.born, chosen.died);
            if !swaps.is_empty() {
                let turned = [swaps.born.as_slice(), &swaps.died].concat();
                let change = Change {
                    turned: Some(turned),
                    ..Change::default()
                };
                changes.insert(name.clone(), change);
            }
            thresholds.insert(name.clone(), chosen.threshold);
            rewiring.tensors.push(TensorRewiring {
                name,
                real: edges,
                swaps,
                threshold: chosen.threshold,
                nearest: chosen.nearest,
                contenders: chosen.contenders,
            });
        }
        self.thresholds = thresholds;
        if !changes.is_empty() {
            self.put(&changes);
        }
        Ok(rewiring)
    }
}

//! Walks over a model that choose, set or read its wirings.
//!
//! Burn's traversals meet parameters, not the structs that hold them. A weight is met first, under its own path; the parts of its
//! wiring follow, under the weight's path and the wiring's name.

use std::collections::BTreeMap;
use std::sync::Arc;

use burn::module::{ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Bool, Tensor};

use super::{TensorFacts, TensorRewiring, WiredTensor};
use crate::real_edges::{mask_tensor, path, wiring_of};
use crate::rule::Choice;
use crate::{Clock, Rule, Swaps, TensorView, Wiring, WiringError};

/// The traversal that chooses: it meets each weight first, then its wiring.
pub(super) struct Choose<'a> {
    pub(super) rule: &'a Rule,
    pub(super) facts: &'a BTreeMap<String, Arc<TensorFacts>>,
    pub(super) clock: Clock,
    pub(super) seed: u64,
    pub(super) path: Vec<String>,
    pub(super) weight: Option<(String, Vec<f32>)>,
    pub(super) outcome: Result<Vec<TensorRewiring>, WiringError>,
}

impl Choose<'_> {
    /// The new mask of the tensor whose weights were met last.
    fn choose(&mut self, real: Tensor<1, Bool>) -> Tensor<1, Bool> {
        let (Some((name, weights)), Ok(rewirings)) = (self.weight.take(), &mut self.outcome) else {
            return real;
        };
        let facts = &self.facts[&name];
        let before = wiring_of(&real);
        let view = TensorView {
            name: &name,
            shape: &facts.shape,
            weights: &weights,
            candidates: &facts.candidates,
            wiring: &before,
            budget: facts.budget,
            clock: self.clock,
            seed: self.seed,
        };
        match self.rule.choose(&view) {
            Ok(choice) => {
                let swaps = Swaps::between(&before, &choice.wiring, &choice.scores);
                let changed = !swaps.is_empty();
                rewirings.push(report(&name, &facts.candidates, &choice, swaps));
                if changed {
                    mask_tensor(&choice.wiring, &real.device())
                } else {
                    real
                }
            }
            Err(error) => {
                self.outcome = Err(error);
                real
            }
        }
    }
}

fn report(name: &str, candidates: &Wiring, choice: &Choice, swaps: Swaps) -> TensorRewiring {
    let scores = &choice.scores;
    let threshold = choice
        .wiring
        .iter()
        .map(|entry| scores[entry])
        .fold(f32::INFINITY, f32::min);
    let hallucinated = candidates.difference(&choice.wiring);
    TensorRewiring {
        name: name.to_owned(),
        real: choice.wiring.count(),
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

impl ModuleMapper for Choose<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.push(path::step(name, container));
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = self.path.join(".");
        if self.facts.contains_key(&name) {
            self.weight = Some((name, values(&param.base())));
        }
        param
    }

    fn map_bool<const D: usize>(
        &mut self,
        param: Param<Tensor<D, Bool>>,
    ) -> Param<Tensor<D, Bool>> {
        match self.path.as_slice() {
            [.., container, part] if container == path::WIRING && part == path::REAL => {
                param.map(|real| {
                    let shape = real.dims();
                    self.choose(real.flatten(0, D - 1)).reshape(shape)
                })
            }
            _ => param,
        }
    }
}

/// The traversal that puts given wirings in.
pub(super) struct Put<'a> {
    pub(super) wirings: &'a BTreeMap<String, Wiring>,
    pub(super) path: Vec<String>,
}

impl ModuleMapper for Put<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.push(path::step(name, container));
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_bool<const D: usize>(
        &mut self,
        param: Param<Tensor<D, Bool>>,
    ) -> Param<Tensor<D, Bool>> {
        match self.path.as_slice() {
            [weight @ .., container, part] if container == path::WIRING && part == path::REAL => {
                match self.wirings.get(&weight.join(".")) {
                    Some(wiring) => {
                        param.map(|old| mask_tensor(wiring, &old.device()).reshape(old.dims()))
                    }
                    None => param,
                }
            }
            _ => param,
        }
    }
}

/// The traversal that reads every wired tensor.
pub(super) struct Read<'a> {
    pub(super) facts: &'a BTreeMap<String, Arc<TensorFacts>>,
    pub(super) path: Vec<String>,
    pub(super) weight: Option<(String, Vec<f32>)>,
    pub(super) tensors: Vec<WiredTensor>,
}

impl ModuleVisitor for Read<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.push(path::step(name, container));
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let name = self.path.join(".");
        if self.facts.contains_key(&name) {
            self.weight = Some((name, values(&param.base())));
        }
    }

    fn visit_bool<const D: usize>(&mut self, param: &Param<Tensor<D, Bool>>) {
        let [.., container, part] = self.path.as_slice() else {
            return;
        };
        if container != path::WIRING {
            return;
        }
        let mask = || wiring_of(&param.val().flatten::<1>(0, D - 1));
        match part.as_str() {
            path::REAL => {
                let Some((name, weights)) = self.weight.take() else {
                    return;
                };
                let facts = &self.facts[&name];
                self.tensors.push(WiredTensor {
                    shape: facts.shape.clone(),
                    wiring: mask(),
                    candidates: facts.candidates.clone(),
                    legal: Wiring::full(weights.len()),
                    budget: facts.budget,
                    name,
                    weights,
                });
            }
            path::LEGAL => {
                let legal = mask();
                let weight = self.path[..self.path.len() - 2].join(".");
                if let Some(tensor) = self.tensors.iter_mut().find(|t| t.name == weight) {
                    tensor.legal = legal;
                }
            }
            _ => {}
        }
    }
}

/// A tensor's values on the host, row-major.
fn values<const D: usize>(tensor: &Tensor<D>) -> Vec<f32> {
    tensor.to_data().iter::<f32>().collect()
}

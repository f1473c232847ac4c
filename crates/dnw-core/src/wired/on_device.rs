//! Top-k selection on the device of the weights.
//!
//! Most rules keep the largest weights. They need neither scores nor weights on the host: the backend finds
//! the threshold and toggles the mask entries that changed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Bool, Tensor};

use super::facts::TensorFacts;
use super::traversal::{Change, is_frozen, values};
use super::{Rewiring, TensorRewiring, Wired};
use crate::ops::{self, Kernels, Selecting, TopK};
use crate::real_edges::path;
use crate::surveys::{Request, Surveys};
use crate::{Clock, Swaps, WiringError};

/// A wired tensor on its device.
struct Handle {
    name: String,
    weights: Tensor<1>,
    real: Option<Tensor<1, Bool>>,
    frozen: bool,
}

/// Collects every wired tensor without reading it.
struct Find<'a> {
    facts: &'a BTreeMap<String, Arc<TensorFacts>>,
    path: Vec<String>,
    found: Vec<Handle>,
}

impl ModuleVisitor for Find<'_> {
    path::track!();

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let name = self.path.join(".");
        if path::part(&self.path).is_none() && self.facts.contains_key(&name) {
            let weights = param.base();
            let entries = weights.shape().num_elements();
            self.found.push(Handle {
                name,
                frozen: is_frozen(&weights),
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
    /// Selects the largest weights of each tensor. `None` if the rule does more, or the device has no kernel
    /// for it.
    pub(super) fn select_on_device(
        &mut self,
        surveys: Surveys,
    ) -> Option<Result<Rewiring, WiringError>> {
        if !self.rule.is_top_k() {
            return None;
        }
        let found = self.find();
        let kernels = Kernels::default();
        let has_kernel = |Handle { weights, real, .. }: &Handle| {
            real.is_some() && (kernels.on_cpu(weights) || kernels.on_gpu(weights))
        };
        let all = found.iter().all(has_kernel);
        all.then(|| self.select_top_k(found, surveys))
    }

    /// The surveys that the selection after the next update can use.
    pub(super) fn survey_requests(&self) -> Vec<Request> {
        let clock = Clock {
            update: self.clock.update + 1,
            ..self.clock
        };
        let on_cpu = || (**self).devices().iter().all(ops::is_cpu);
        if !self.rule.is_top_k() || !self.rule.schedule.is_due(clock) || !on_cpu() {
            return Vec::new();
        }
        let request = |handle: Handle| {
            Some(Request {
                weights: ops::address(&handle.weights)?,
                real: handle.real?,
                top_k: self.top_k(&handle.name, clock),
                name: handle.name,
            })
        };
        self.find().into_iter().filter_map(request).collect()
    }

    fn find(&self) -> Vec<Handle> {
        let mut find = Find {
            facts: &self.tensors.facts,
            path: Vec::new(),
            found: Vec::new(),
        };
        (**self).visit(&mut find);
        find.found
    }

    /// The selection of a tensor that the clock asks for.
    fn top_k(&self, name: &str, clock: Clock) -> TopK {
        let facts = &self.tensors.facts[name];
        TopK {
            candidates: facts.candidates.clone(),
            all: facts.count == facts.candidates.entries(),
            k: self.rule.schedule.edges(clock, facts.count, facts.budget),
            guess: self.last.get(name).map(|last| last.threshold),
        }
    }

    fn select_top_k(
        &mut self,
        handles: Vec<Handle>,
        mut surveys: Surveys,
    ) -> Result<Rewiring, WiringError> {
        let mut rewiring = Rewiring {
            update: self.clock.update,
            ..Rewiring::default()
        };
        let is_first = self.clock.update == 0;
        let idle = match is_first {
            true => BTreeSet::new(),
            false => {
                let open = handles.iter().filter(|handle| !handle.frozen);
                let open = open.map(|handle| {
                    let weights = &handle.weights;
                    (handle.name.as_str(), || values(weights))
                });
                self.learning.idle(open)
            }
        };
        // The tensors to select from, and for each tensor its name and its number of edges, or the report that it keeps.
        let (mut selecting, mut reports) = (Vec::new(), Vec::new());
        for Handle {
            name,
            weights,
            real,
            frozen,
        } in handles
        {
            let top_k = self.top_k(&name, self.clock);
            if is_first && top_k.k != self.tensors.facts[&name].budget {
                // Of unchanged weights, as many are the same again. Only another budget could change them.
                self.learning.begin(&name, &values(&weights));
            }
            if let Some(last) = self.last.get(&name)
                && !is_first
                && (frozen || idle.contains(&name))
            {
                reports.push(Err(last.clone()));
                continue;
            }
            reports.push(Ok((name.clone(), top_k.k)));
            selecting.push(Selecting {
                weights,
                real: real.expect("found with its weights"),
                top_k,
                surveyed: surveys.remove(&name),
            });
        }
        let mut found = ops::select_top_k(selecting).into_iter();
        let (mut changes, mut selected) = (BTreeMap::new(), BTreeMap::new());
        for report in reports {
            let (name, edges) = match report {
                Ok(selected) => selected,
                Err(kept) => {
                    rewiring.tensors.push(kept);
                    continue;
                }
            };
            let found = found.next().expect("one for each").map_err(|entry| {
                let tensor = name.clone();
                WiringError::NotANumber { tensor, entry }
            })?;
            let swaps = Swaps::of(found.added, found.removed);
            if !swaps.is_empty() {
                let toggled = [swaps.added.as_slice(), &swaps.removed].concat();
                let change = Change {
                    toggled: Some(toggled),
                    ..Change::default()
                };
                changes.insert(name.clone(), change);
            }
            let report = TensorRewiring {
                name: name.clone(),
                real: edges,
                swaps: Swaps::default(),
                threshold: found.threshold,
                nearest: found.nearest,
                contenders: found.contenders,
            };
            selected.insert(name, report.clone());
            rewiring.tensors.push(TensorRewiring { swaps, ..report });
        }
        self.last.append(&mut selected);
        if !changes.is_empty() {
            self.apply(&changes);
        }
        Ok(rewiring)
    }
}

#[cfg(all(test, any(feature = "flex", feature = "ndarray")))]
mod tests {
    use burn::module::{ModuleMapper, ParamGroup};
    use burn::nn::{Linear, LinearConfig};
    use burn::optim::GradientsParams;
    use burn::tensor::{Device, Distribution, Tensor};

    use super::*;
    use crate::ops::Address;
    use crate::optim::Sgd;
    use crate::surveys;
    use crate::{Budget, Wire, Wiring};

    fn gradients(model: &Wired<Linear>) -> GradientsParams {
        let x = Tensor::<2>::random([8, 70], Distribution::Default, &model.weight.val().device());
        let loss = model.forward(x.detach()).powi_scalar(2).mean();
        GradientsParams::from_grads(loss.backward(), model)
    }

    fn devices() -> Vec<Device> {
        vec![
            #[cfg(feature = "flex")]
            Device::flex().autodiff(),
            #[cfg(feature = "ndarray")]
            Device::ndarray().autodiff(),
        ]
    }

    fn wired(device: &Device) -> Wired<Linear> {
        let wire = Wire::dnw(Budget::Density(0.1)).weights(ParamGroup::all());
        wire.attach(LinearConfig::new(70, 41).init(device)).unwrap()
    }

    #[test]
    fn a_step_with_velocities_surveys_the_weights_at_their_address() {
        for device in devices() {
            let (mut model, mut optimizer) = (wired(&device), Sgd::new(0.9).init());
            for has_velocities in [false, true, true] {
                let gradients = gradients(&model);
                let step = |layer| optimizer.step(0.05, layer, gradients);
                let requests = model.survey_requests();
                let ((), surveys) = surveys::during(requests, || model.change_model(step));
                let surveyed: Vec<(&str, Address)> = surveys
                    .iter()
                    .map(|(name, surveyed)| (name.as_str(), surveyed.weights()))
                    .collect();
                let address = ops::address(&model.weight.base()).unwrap();
                let expected = [("weight", address)];
                assert_eq!(surveyed, &expected[..usize::from(has_velocities)]);
                model.rewire_by(surveys).unwrap();
            }
        }
    }

    /// A change of the model after the optimizer step.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum ModelChange {
        /// Other weights, in place if nobody else holds them.
        Weights,
        /// Another mask.
        Mask,
    }

    impl ModuleMapper for ModelChange {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            if *self != Self::Weights || D != 2 {
                return param;
            }
            param.map(|weights| {
                let learns = weights.is_require_grad();
                Tensor::from_inner(weights.inner() * -0.5 + 0.1).set_require_grad(learns)
            })
        }

        fn map_bool<const D: usize>(
            &mut self,
            param: Param<Tensor<D, Bool>>,
        ) -> Param<Tensor<D, Bool>> {
            if *self != Self::Mask || param.val().shape().num_elements() < 40 {
                return param;
            }
            param.map(|mask| ops::toggle_mask(mask, &(0..40).collect::<Vec<_>>()))
        }
    }

    #[test]
    fn a_change_after_the_survey_is_selected_from() {
        for device in devices() {
            for mut change in [ModelChange::Weights, ModelChange::Mask] {
                let (mut model, mut optimizer) = (wired(&device), Sgd::new(0.9).init());
                for _ in 0..3 {
                    let gradients = gradients(&model);
                    let step =
                        |layer: Linear| optimizer.step(0.05, layer, gradients).map(&mut change);
                    model.update(step).unwrap();
                    let tensor = model.tensors().remove(0);
                    let magnitude = |&entry: &usize| tensor.weights[entry].abs();
                    let mut order: Vec<usize> = (0..tensor.weights.len()).collect();
                    order.sort_by(|a, b| magnitude(a).total_cmp(&magnitude(b)));
                    let kept = order[order.len() - tensor.budget..].iter().copied();
                    let expected = Wiring::from_entries(order.len(), kept);
                    assert_eq!(tensor.wiring, expected, "{change:?}");
                }
            }
        }
    }

    /// Two steps of the optimizer before one selection.
    #[test]
    fn a_second_step_before_a_selection_counts() {
        for device in devices() {
            let (mut model, mut optimizer) = (wired(&device), Sgd::new(0.9).init());
            for _ in 0..4 {
                let [first, second] = [gradients(&model), gradients(&model)];
                let step = |layer| {
                    let layer = optimizer.step(0.5, layer, first);
                    optimizer.step(0.5, layer, second)
                };
                model.update(step).unwrap();
                let tensor = model.tensors().remove(0);
                let weakest = tensor
                    .wiring
                    .iter()
                    .map(|entry| tensor.weights[entry].abs());
                let weakest = weakest.fold(f32::INFINITY, f32::min);
                let above = tensor
                    .weights
                    .iter()
                    .filter(|weight| weight.abs() > weakest);
                assert!(tensor.wiring.count() == tensor.budget && above.count() < tensor.budget);
            }
        }
    }
}

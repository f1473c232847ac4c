//! Training along a record.

use std::collections::BTreeMap;

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use dnw_core::optim::Sgd;
use dnw_core::{Budget, Wired, Wiring, cross_entropy};
use dnw_device::Backend;
use dnw_models::{Classifier, Published};

use super::record::Record;
use crate::TestDevice;
use crate::case::{Failure, Outcome, ensure};
use crate::loops::largest;
use crate::model::gradients;
use crate::tolerance::Tolerance;

/// Perturbations of the images, in units of the machine epsilon.
const PERTURBATIONS: [i8; 13] = [0, 1, -1, 2, -2, 3, -3, 4, -4, 5, -5, 6, -6];

/// A recorded run, and what is needed to repeat it.
pub(crate) struct Run<'a, M> {
    pub(crate) record: &'a Record,
    pub(crate) published: Published,
    /// Creates the model.
    pub(crate) make: Box<dyn Fn(&Device) -> M + 'a>,
    /// Wires the model once it has its weights.
    pub(crate) wire: &'a dyn Fn(M) -> Wired<M>,
    /// The budget of the tensor at a path.
    pub(crate) budget: &'a dyn Fn(&str) -> Budget,
    pub(crate) learning_rate: f64,
    pub(crate) tolerance: Tolerance,
}

/// How a run compares with the recorded one. Errors are relative to the tolerance: above 1 is too large.
#[derive(Debug)]
pub(crate) struct Comparison {
    pub(crate) logits_before: f64,
    pub(crate) logits_of_first_step: f64,
    /// The largest error, and the name of the parameter.
    pub(crate) gradients_of_first_step: (f64, String),
    /// The largest relative error of a parameter's gradient, by the Euclidean norm.
    pub(crate) gradient_norms: f32,
    /// The loss of each step, and the recorded one.
    pub(crate) losses: Vec<(f32, f32)>,
    pub(crate) logits_after: f64,
    /// Whether the final wirings are those of the recorded final weights.
    pub(crate) same_edges: bool,
}

/// The state at the end of a run.
pub(crate) struct FinalState {
    /// The logits of the first batch.
    logits: TensorData,
    wirings: Vec<Wiring>,
}

impl Comparison {
    /// Whether everything before the first update agrees.
    pub(crate) fn start_agrees(&self) -> bool {
        let logits = self.logits_before <= 1.0 && self.logits_of_first_step <= 1.0;
        logits && self.gradients_of_first_step.0 <= 1.0
    }

    /// Whether the losses of these steps agree within this relative tolerance.
    pub(crate) fn losses_agree(&self, steps: std::ops::Range<usize>, tolerance: f32) -> bool {
        let mut losses = self.losses[steps].iter();
        losses.all(|(found, recorded)| (found - recorded).abs() <= tolerance * recorded)
    }

    /// Checks everything before the first update, and the losses of the first steps, to which rounding has not grown yet.
    fn check_beginning(&self) -> Outcome {
        let losses = self.losses_agree(0..self.losses.len().min(3), 1e-3);
        ensure(self.start_agrees() && losses, || format!("{self:?}"))
    }

    /// Checks everything before the first update, and all losses.
    pub(crate) fn check_start_and_losses(&self) -> Outcome {
        ensure(self.start_agrees() && self.all_losses_agree(), || {
            format!("{self:?}")
        })
    }

    fn all_losses_agree(&self) -> bool {
        self.losses_agree(0..self.losses.len(), 1e-3)
    }

    /// Whether all losses, and the logits and wirings after the last update agree.
    fn rest_agrees(&self) -> bool {
        self.all_losses_agree() && self.logits_after <= 1.0 && self.same_edges
    }
}

impl<M: Classifier> Run<'_, M> {
    /// The network with the weights of one of the recorded files, and the fixed wirings of that file.
    fn model(&self, file: &str, device: &Device) -> Result<(M, BTreeMap<String, Wiring>), Failure> {
        let mut model = (self.make)(device);
        let tensors = self.record.checkpoint(file);
        let wirings = self.published.load(&mut model, tensors)?;
        Ok((model, wirings))
    }

    /// Trains along the record, on its images changed by `perturb`.
    ///
    /// # Errors
    /// [`Failure`] if the first real edges are not the largest weights, or a fixed wiring changes.
    pub(crate) fn train(
        &self,
        target: &TestDevice,
        perturb: impl Fn(Tensor<4>) -> Tensor<4>,
    ) -> Result<(Comparison, FinalState), Failure> {
        let device = target.autodiff();
        let (initial, fixed) = self.model("initial.safetensors", &device)?;
        let mut model = (self.wire)(initial);
        model.set_wirings(&fixed)?;
        if fixed.is_empty() {
            self.check_edges_are_the_largest(&model)?;
        }
        let mut comparison = Comparison {
            logits_before: self.error(&self.logits(target, &model), "logits_eval_before"),
            logits_of_first_step: 0.0,
            gradients_of_first_step: (0.0, String::new()),
            gradient_norms: 0.0,
            losses: Vec::new(),
            logits_after: 0.0,
            same_edges: false,
        };
        let mut optimizer = Sgd::new(0.9).with_weight_decay(Some(1e-4)).init();
        for (step, recorded) in self.record.losses().into_iter().enumerate() {
            let (images, labels) = self.record.batch(step, &device);
            let logits = model.forward(perturb(images));
            // Burn's own loss rounds differently from machine to machine, and so runs could end differently.
            let loss = cross_entropy(logits.clone(), &labels, 0.0);
            comparison
                .losses
                .push((loss.clone().into_scalar(), recorded));
            let grads = loss.backward();
            if step == 0 {
                comparison.logits_of_first_step = self.error(&logits.to_data(), "logits_train_0");
                for (name, gradient) in self.gradients(&model, &grads)? {
                    let name = format!("grad_0.{name}");
                    comparison.gradient_norms = comparison
                        .gradient_norms
                        .max(self.norm_error(&gradient, &name));
                    let error = self.error(&gradient, &name);
                    if error >= comparison.gradients_of_first_step.0 {
                        comparison.gradients_of_first_step = (error, name);
                    }
                }
            }
            let grads = GradientsParams::from_grads(grads, &model);
            let rate = self.learning_rate;
            model.update(|model| optimizer.step(rate, model, grads))?;
        }
        if !fixed.is_empty() {
            let kept = model.tensors().into_iter();
            let kept: BTreeMap<_, _> = kept.map(|t| (t.name, t.wiring)).collect();
            ensure(kept == fixed, || "a fixed wiring changed".into())?;
        }
        let (last, last_fixed) = self.model("final.safetensors", &device)?;
        let mut last = (self.wire)(last);
        last.set_wirings(&last_fixed)?;
        let wirings = |model: &Wired<M>| -> Vec<Wiring> {
            let tensors = model.tensors().into_iter();
            tensors.map(|tensor| tensor.wiring).collect()
        };
        let end = FinalState {
            logits: self.logits(target, &model),
            wirings: wirings(&model),
        };
        comparison.same_edges = end.wirings == wirings(&last);
        comparison.logits_after = self.error(&end.logits, "logits_eval_after");
        Ok((comparison, end))
    }

    /// Checks that everything agrees with the record, for some perturbation of the images.
    ///
    /// Rounding sometimes decides: two weights are nearly equal, or the input of a ReLU is close to zero, where its gradient jumps. Two
    /// programs round differently, and images perturbed by a few parts in ten million can fall on either side, with losses that differ by a
    /// hundredth some steps later. So everything before the first update and the losses of the first three steps must agree for every perturbation,
    /// and the other losses and the final logits and wirings for one of them. (In discrete time the images as they are lead to either of two runs,
    /// whose losses part in the fourth step: to the recorded one with products edge by edge, to the other with dense products.)
    ///
    /// A device that rounds to the other side may miss the recorded final state for every perturbation. Then a final state of flex is accepted:
    /// flex itself must match the record, and its runs reach every possible final state.
    pub(crate) fn check(&self, target: &TestDevice) -> Outcome {
        let mut on_flex = None;
        let mut ends = Vec::new();
        for perturbation in PERTURBATIONS {
            let (comparison, end) = self.perturbed(target, perturbation)?;
            if comparison.rest_agrees() {
                return Ok(());
            }
            if target.backend() != Some(Backend::Flex) {
                let known = match &mut on_flex {
                    Some(known) => known,
                    none => none.insert(self.final_states_of_flex()?),
                };
                if known.iter().any(|known| self.same_final_state(&end, known)) {
                    return Ok(());
                }
            }
            ends.push((comparison.logits_after, comparison.same_edges));
        }
        Err(Failure::Wrong(format!(
            "no run ends like the recorded one, nor like one on flex: {ends:?}"
        )))
    }

    /// A run on perturbed images. Its beginning must agree with the record.
    fn perturbed(
        &self,
        target: &TestDevice,
        ulps: i8,
    ) -> Result<(Comparison, FinalState), Failure> {
        let perturbation = 1.0 + f32::from(ulps) * f32::EPSILON;
        let (comparison, end) = self.train(target, |images| images * perturbation)?;
        comparison.check_beginning()?;
        Ok((comparison, end))
    }

    fn final_states_of_flex(&self) -> Result<Vec<FinalState>, Failure> {
        let flex = TestDevice::flex();
        let end = |ulps| Ok(self.perturbed(&flex, ulps)?.1);
        PERTURBATIONS.into_iter().map(end).collect()
    }

    fn same_final_state(&self, found: &FinalState, known: &FinalState) -> bool {
        let [a, b] = [found, known].map(|end| end.logits.iter::<f64>().collect::<Vec<_>>());
        found.wirings == known.wirings && self.tolerance.largest_error(&a, &b).0 <= 1.0
    }

    /// The logits of the first batch in evaluation.
    fn logits(&self, target: &TestDevice, model: &Wired<M>) -> TensorData {
        let images = self.record.batch(0, &target.device).0;
        model.valid().forward(images).to_data()
    }

    /// Checks that each tensor's real edges are its largest weights, by a plain sort.
    fn check_edges_are_the_largest(&self, model: &Wired<M>) -> Outcome {
        for tensor in model.tensors() {
            let budget = (self.budget)(&tensor.name);
            let edges = budget.resolve(&tensor.name, tensor.weights.len())?;
            let largest = largest(&tensor.weights, edges);
            ensure(tensor.wiring == largest, || {
                let name = &tensor.name;
                format!("the first real edges of `{name}` are not its largest weights")
            })?;
        }
        Ok(())
    }

    /// The gradient of every parameter, by its published name and in its published shape.
    fn gradients(
        &self,
        model: &Wired<M>,
        grads: &Gradients,
    ) -> Result<Vec<(String, TensorData)>, Failure> {
        let found = gradients(model, grads).into_iter().map(|(path, gradient)| {
            let gradient = if path == "fc.weight" {
                let transposed = Tensor::<2>::from_data(gradient, &Device::flex()).transpose();
                transposed.into_data()
            } else {
                gradient
            };
            (self.published.name_of(&path), gradient)
        });
        let mut found: Vec<_> = found.collect();
        found.sort_by(|a, b| a.0.cmp(&b.0));
        let names: Vec<&String> = found.iter().map(|(name, _)| name).collect();
        let recorded = self.record.parameters();
        ensure(names.iter().copied().eq(&recorded), || {
            format!("there are gradients of {names:?}, not of {recorded:?}")
        })?;
        Ok(found)
    }

    /// The norm of the difference, relative to the norm of the recorded tensor.
    fn norm_error(&self, found: &TensorData, name: &str) -> f32 {
        let recorded = self.record.data(name);
        let pairs = found.iter::<f32>().zip(recorded.iter::<f32>());
        let (difference, total) = pairs.fold((0.0, 0.0), |(difference, total), (a, b)| {
            (difference + (a - b) * (a - b), total + b * b)
        });
        (difference / total).sqrt()
    }

    /// The largest error relative to the tolerance.
    fn error(&self, found: &TensorData, name: &str) -> f64 {
        let [found, recorded] =
            [found, &self.record.data(name)].map(|data| data.iter::<f64>().collect::<Vec<_>>());
        if found.len() != recorded.len() {
            return f64::INFINITY;
        }
        self.tolerance.largest_error(&found, &recorded).0
    }
}

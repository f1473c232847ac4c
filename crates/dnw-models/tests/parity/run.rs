//! Training along a record.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleVisitor, Param};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use dnw_core::{Budget, Wired, Wiring};
use dnw_models::{Classifier, Published};

use crate::record::Record;

/// A recorded run and what is needed to make it again.
pub(crate) struct Run<'a, M> {
    pub(crate) record: &'a Record,
    pub(crate) published: Published,
    /// Makes the model and wires it once it has its weights.
    pub(crate) make: Box<dyn Fn(&Device) -> M + 'a>,
    pub(crate) wire: &'a dyn Fn(M) -> Wired<M>,
    /// The budget of the tensor at a path.
    pub(crate) budget: &'a dyn Fn(&str) -> Budget,
    pub(crate) learning_rate: f64,
    pub(crate) allowed: Allowed,
}

/// How far numbers may lie from the recorded ones.
#[derive(Clone, Copy)]
pub(crate) struct Allowed {
    pub(crate) absolute: f32,
    pub(crate) relative: f32,
    /// Of the tensor's largest number. Gradients in the thousands are sums in which 32-bit floats lose more than the other two
    /// allow.
    pub(crate) of_largest: f32,
}

/// What most records are held to.
pub(crate) const ALLOWED: Allowed = Allowed {
    absolute: 1e-4,
    relative: 1e-3,
    of_largest: 0.0,
};

/// How a run compares with the recorded one. Distances are the largest of any number, over what is allowed.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) logits_before: f32,
    pub(crate) logits_of_first_step: f32,
    /// With the name of the parameter whose gradient is furthest away.
    pub(crate) gradients_of_first_step: (f32, String),
    /// The largest distance of a parameter's gradient by Euclid's norm, over the norm of the recorded one.
    pub(crate) gradient_norms: f32,
    /// Of each step, and the recorded one.
    pub(crate) losses: Vec<(f32, f32)>,
    pub(crate) logits_after: f32,
    /// Whether the wirings are those of the recorded weights at the end.
    pub(crate) same_edges: bool,
}

impl Report {
    /// All that precedes the first update agrees.
    pub(crate) fn starts_alike(&self) -> bool {
        let logits = self.logits_before <= 1.0 && self.logits_of_first_step <= 1.0;
        logits && self.gradients_of_first_step.0 <= 1.0
    }

    /// The losses of these steps agree within this share of them.
    pub(crate) fn has_losses(&self, steps: std::ops::Range<usize>, share: f32) -> bool {
        let mut losses = self.losses[steps].iter();
        losses.all(|(found, recorded)| (found - recorded).abs() <= share * recorded)
    }

    /// What the last update led to agrees.
    pub(crate) fn ends_alike(&self) -> bool {
        self.logits_after <= 1.0 && self.same_edges
    }
}

impl<M: Classifier> Run<'_, M> {
    /// The recorded network with the weights of one of its files, and the fixed wirings of that file.
    fn model(&self, file: &str, device: &Device) -> (M, BTreeMap<String, Wiring>) {
        let mut model = (self.make)(device);
        let tensors = self.record.checkpoint(file);
        let wirings = self.published.load(&mut model, tensors).unwrap();
        (model, wirings)
    }

    /// Trains along the record, on its images as `disturb` leaves them.
    pub(crate) fn follow(&self, disturb: impl Fn(Tensor<4>) -> Tensor<4>) -> Report {
        let device = Device::flex().autodiff();
        let (initial, fixed) = self.model("initial.safetensors", &device);
        let mut model = (self.wire)(initial);
        model.set_wirings(&fixed).unwrap();
        if fixed.is_empty() {
            self.assert_edges_are_the_largest(&model);
        }
        let mut report = Report {
            logits_before: self.distance(&self.scores(&model), "logits_eval_before"),
            logits_of_first_step: 0.0,
            gradients_of_first_step: (0.0, String::new()),
            gradient_norms: 0.0,
            losses: Vec::new(),
            logits_after: 0.0,
            same_edges: false,
        };
        let mut optimizer = SgdConfig::new()
            .with_momentum(Some(
                MomentumConfig::new().with_momentum(0.9).with_dampening(0.0),
            ))
            .with_weight_decay(Some(WeightDecayConfig::new(1e-4)))
            .init();
        for (step, recorded) in self.record.losses().into_iter().enumerate() {
            let (images, labels) = self.record.batch(step, &device);
            let logits = model.forward(disturb(images));
            let loss = CrossEntropyLossConfig::new()
                .init(&device)
                .forward(logits.clone(), labels);
            report.losses.push((loss.clone().into_scalar(), recorded));
            let grads = loss.backward();
            if step == 0 {
                report.logits_of_first_step = self.distance(&logits.to_data(), "logits_train_0");
                for (name, gradient) in self.gradients(&model, &grads) {
                    let name = format!("grad_0.{name}");
                    report.gradient_norms = report
                        .gradient_norms
                        .max(self.norm_distance(&gradient, &name));
                    let distance = self.distance(&gradient, &name);
                    if distance >= report.gradients_of_first_step.0 {
                        report.gradients_of_first_step = (distance, name);
                    }
                }
            }
            let grads = GradientsParams::from_grads(grads, &model);
            model = optimizer.step(self.learning_rate, model, grads);
            model.rewire().unwrap();
        }
        if !fixed.is_empty() {
            let kept = model.tensors().into_iter();
            let kept: BTreeMap<_, _> = kept.map(|t| (t.name, t.wiring)).collect();
            assert_eq!(kept, fixed, "a fixed wiring stays");
        }
        let (last, last_fixed) = self.model("final.safetensors", &device);
        let mut last = (self.wire)(last);
        last.set_wirings(&last_fixed).unwrap();
        report.same_edges = model
            .tensors()
            .iter()
            .zip(last.tensors())
            .all(|(ours, theirs)| ours.wiring == theirs.wiring);
        report.logits_after = self.distance(&self.scores(&model), "logits_eval_after");
        report
    }

    /// Everything agrees with the record, for some rounding of the images.
    ///
    /// Now and then two edges lie so close to the threshold that the last bit of a float decides between them, and two programs
    /// round differently: nudging the images by a few parts in ten million leads now to one choice, now to the other, with
    /// logits a hundredth apart some steps later. So what precedes the first update and the losses must agree for every
    /// nudge that is tried, and for one of them what the last update led to must too: the logits and the wirings.
    pub(crate) fn assert_agrees(&self) {
        let nudges = [0i8, 1, -1, 2, -2, 3, -3, 4, -4, 5, -5, 6, -6];
        let mut ends = Vec::new();
        for nudge in nudges.map(|ulps| 1.0 + f32::from(ulps) * f32::EPSILON) {
            let report = self.follow(|images| images * nudge);
            assert!(report.starts_alike(), "{report:?}");
            assert!(
                report.has_losses(0..report.losses.len(), 1e-3),
                "{report:?}"
            );
            if report.ends_alike() {
                return;
            }
            ends.push((report.logits_after, report.same_edges));
        }
        panic!("none ends as the recorded run does: {ends:?}");
    }

    /// The logits of the first batch, without training.
    fn scores(&self, model: &Wired<M>) -> TensorData {
        let images = self.record.batch(0, &Device::flex()).0;
        model.valid().forward(images).to_data()
    }

    /// Each tensor's real edges are its largest weights, by a plain sort.
    fn assert_edges_are_the_largest(&self, model: &Wired<M>) {
        for tensor in model.tensors() {
            let weights = &tensor.weights;
            let mut order: Vec<usize> = (0..weights.len()).collect();
            order.sort_by(|&a, &b| weights[a].abs().total_cmp(&weights[b].abs()));
            let budget = (self.budget)(&tensor.name);
            let kept = budget.resolve(&tensor.name, weights.len()).unwrap();
            let largest = order[weights.len() - kept..].iter().copied();
            let largest = Wiring::from_entries(weights.len(), largest);
            assert_eq!(tensor.wiring, largest, "the first edges of {}", tensor.name);
        }
    }

    /// The gradient of every parameter, as it is published.
    fn gradients(&self, model: &Wired<M>, grads: &Gradients) -> Vec<(String, TensorData)> {
        let found = gradients(model, grads).into_iter().map(|(path, gradient)| {
            let gradient = if path == "fc.weight" {
                let turned = Tensor::<2>::from_data(gradient, &Device::flex()).transpose();
                turned.into_data()
            } else {
                gradient
            };
            (self.published.name_of(&path), gradient)
        });
        let mut found: Vec<_> = found.collect();
        found.sort_by(|a, b| a.0.cmp(&b.0));
        let names: Vec<&String> = found.iter().map(|(name, _)| name).collect();
        let recorded = self.record.parameters();
        assert_eq!(names, recorded.iter().collect::<Vec<_>>(), "gradients");
        found
    }

    /// The norm of what was found less what was recorded, over the norm of the latter.
    fn norm_distance(&self, found: &TensorData, name: &str) -> f32 {
        let recorded = self.record.data(name);
        let pairs = found.iter::<f32>().zip(recorded.iter::<f32>());
        let (apart, all) = pairs.fold((0.0, 0.0), |(apart, all), (a, b)| {
            (apart + (a - b) * (a - b), all + b * b)
        });
        (apart / all).sqrt()
    }

    /// The largest distance between numbers found and recorded, over what is allowed.
    fn distance(&self, found: &TensorData, name: &str) -> f32 {
        let recorded = self.record.data(name);
        assert_eq!(found.num_elements(), recorded.num_elements(), "{name}");
        let largest = recorded
            .iter::<f32>()
            .fold(0.0, |most, x| x.abs().max(most));
        let Allowed {
            absolute,
            relative,
            of_largest,
        } = self.allowed;
        let pairs = found.iter::<f32>().zip(recorded.iter::<f32>());
        pairs
            .map(|(a, b)| (a - b).abs() / (absolute + relative * b.abs() + of_largest * largest))
            .fold(
                0.0,
                |most, next| if next.is_nan() { next } else { most.max(next) },
            )
    }
}

/// Every gradient of the model by the path of its parameter.
fn gradients<M: Module>(model: &Wired<M>, grads: &Gradients) -> BTreeMap<String, TensorData> {
    struct Collect<'a> {
        grads: &'a Gradients,
        path: Vec<String>,
        found: BTreeMap<String, TensorData>,
    }

    impl ModuleVisitor for Collect<'_> {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.path.push(name.to_owned());
        }

        fn exit_module(&mut self, _: &str, _: &str) {
            self.path.pop();
        }

        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = param.base().grad(self.grads) {
                self.found.insert(self.path.join("."), gradient.to_data());
            }
        }
    }

    let mut collect = Collect {
        grads,
        path: Vec::new(),
        found: BTreeMap::new(),
    };
    model.visit(&mut collect);
    collect.found
}

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
    pub(crate) make: &'a dyn Fn(&Device) -> M,
    pub(crate) wire: &'a dyn Fn(M) -> Wired<M>,
    /// The budget of the tensor at a path.
    pub(crate) budget: &'a dyn Fn(&str) -> Budget,
    pub(crate) learning_rate: f64,
    /// The absolute and the relative tolerance of logits and gradients.
    pub(crate) tolerance: (f32, f32),
}

/// How far a run ended from the recorded one.
#[derive(Debug)]
pub(crate) struct End {
    /// The largest distance between the logits after the last step and the recorded ones, over what the tolerance allows.
    pub(crate) distance: f32,
    /// Whether the wirings are those of the recorded weights.
    pub(crate) same_edges: bool,
}

impl<M: Classifier> Run<'_, M> {
    /// The recorded network with the weights of one of its files, and the fixed wirings of that file.
    fn model(&self, file: &str, device: &Device) -> (M, BTreeMap<String, Wiring>) {
        let mut model = (self.make)(device);
        let wirings = self
            .published
            .load(&mut model, self.record.checkpoint(file))
            .unwrap();
        (model, wirings)
    }

    /// Trains along the record with images multiplied by `1 + nudge`; checks all but what comes after the last step.
    pub(crate) fn follow(&self, nudge: f32) -> End {
        let device = Device::flex().autodiff();
        let (initial, fixed) = self.model("initial.safetensors", &device);
        let mut model = (self.wire)(initial);
        model.set_wirings(&fixed).unwrap();
        if fixed.is_empty() {
            self.assert_edges_are_the_largest(&model);
        }
        self.assert_close(
            self.scores(&model),
            "logits_eval_before",
            "logits before the first step",
        );
        let mut optimizer = SgdConfig::new()
            .with_momentum(Some(
                MomentumConfig::new().with_momentum(0.9).with_dampening(0.0),
            ))
            .with_weight_decay(Some(WeightDecayConfig::new(1e-4)))
            .init();
        for (step, expected) in self.record.losses().into_iter().enumerate() {
            let (images, labels) = self.record.batch(step, &device);
            let logits = model.forward(images * (1.0 + nudge));
            let loss = CrossEntropyLossConfig::new()
                .init(&device)
                .forward(logits.clone(), labels);
            let value: f32 = loss.clone().into_scalar();
            assert!(
                (value - expected).abs() <= 1e-3 * expected,
                "loss of step {step}: {value} is not {expected}"
            );
            let grads = loss.backward();
            if step == 0 {
                self.assert_close(
                    logits.to_data(),
                    "logits_train_0",
                    "logits of the first step",
                );
                self.assert_gradients(&model, &grads);
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
        let last = (self.wire)(self.model("final.safetensors", &device).0);
        let same_edges = model
            .tensors()
            .iter()
            .zip(last.tensors())
            .all(|(ours, theirs)| ours.wiring == theirs.wiring);
        End {
            distance: self.distance(&self.scores(&model), "logits_eval_after"),
            same_edges,
        }
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
            let kept = (self.budget)(&tensor.name)
                .resolve(&tensor.name, weights.len())
                .unwrap();
            let largest = order[weights.len() - kept..].iter().copied();
            let largest = Wiring::from_entries(weights.len(), largest);
            assert_eq!(
                tensor.wiring, largest,
                "the edges of {} at first",
                tensor.name
            );
        }
    }

    fn assert_gradients(&self, model: &Wired<M>, grads: &Gradients) {
        let found = gradients(model, grads);
        let mut names: Vec<_> = found
            .keys()
            .map(|path| self.published.name_of(path))
            .collect();
        names.sort();
        assert_eq!(
            names,
            self.record.parameters(),
            "every parameter has a gradient"
        );
        for (path, gradient) in found {
            let name = format!("grad_0.{}", self.published.name_of(&path));
            let gradient = if path == "fc.weight" {
                let turned = Tensor::<2>::from_data(gradient, &Device::flex()).transpose();
                turned.into_data()
            } else {
                gradient
            };
            self.assert_close(gradient, &name, &path);
        }
    }

    fn assert_close(&self, found: TensorData, name: &str, what: &str) {
        let distance = self.distance(&found, name);
        assert!(
            distance <= 1.0,
            "{what}: {distance} times further from `{name}` than is allowed"
        );
    }

    /// The largest distance between numbers found and recorded, over what the tolerance allows.
    fn distance(&self, found: &TensorData, name: &str) -> f32 {
        let expected = self.record.data(name);
        assert_eq!(found.num_elements(), expected.num_elements(), "{name}");
        let (absolute, relative) = self.tolerance;
        let pairs = found.iter::<f32>().zip(expected.iter::<f32>());
        pairs
            .map(|(a, b)| (a - b).abs() / (absolute + relative * b.abs()))
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

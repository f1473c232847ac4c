//! The tiny static classifier against recorded runs of an independent PyTorch implementation.
//!
//! A record holds the weights before the first step, six batches, and what the other program made of them: logits, every
//! gradient of the first step, the loss of each step, the weights after the last. Agreement is asked for
//! within 1e-4 absolute and 1e-3 relative for logits and gradients and 1e-3 relative for losses.

#![cfg(feature = "flex")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use burn::module::{Module, ModuleVisitor, Param};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{GradientsParams, SgdConfig};
use burn::store::ModuleSnapshot;
use burn::tensor::{Device, Gradients, Int, Tensor, TensorData, Tolerance};
use dnw_core::{Budget, Ranking, Wire, Wired, Wiring, rules};
use dnw_models::{Classifier, TinyStatic, TinyStaticConfig, published};
use safetensors::SafeTensors;

/// A recorded run.
struct Record {
    folder: PathBuf,
    bytes: Vec<u8>,
}

impl Record {
    fn open(name: &str) -> Self {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("tests/parity")
            .join(name);
        let bytes = std::fs::read(folder.join("record.safetensors"))
            .expect("the record lies in the repository");
        Self { folder, bytes }
    }

    fn data(&self, name: &str) -> TensorData {
        let tensors = SafeTensors::deserialize(&self.bytes).unwrap();
        let tensor = tensors.tensor(name).unwrap();
        let words = tensor
            .data()
            .chunks_exact(4)
            .map(|b| [b[0], b[1], b[2], b[3]]);
        match tensor.dtype() {
            safetensors::Dtype::F32 => {
                TensorData::new(words.map(f32::from_le_bytes).collect(), tensor.shape())
            }
            safetensors::Dtype::I32 => {
                TensorData::new(words.map(i32::from_le_bytes).collect(), tensor.shape())
            }
            other => panic!("{name} is {other:?}"),
        }
    }

    fn batch(&self, step: usize, device: &Device) -> (Tensor<4>, Tensor<1, Int>) {
        let images = Tensor::<5>::from_data(self.data("images"), device);
        let labels = Tensor::<2, Int>::from_data(self.data("labels"), device);
        let [_, batch, c, h, w] = images.dims();
        (
            images.narrow(0, step, 1).reshape([batch, c, h, w]),
            labels.narrow(0, step, 1).reshape([batch]),
        )
    }

    /// The recorded network with the weights of one of its files.
    fn model(&self, file: &str, device: &Device) -> TinyStatic {
        let config = TinyStaticConfig {
            stem: 8,
            level: 24,
            levels: 4,
            outputs: 16,
        };
        let mut model = config.init([3, 32, 32], 10, device).unwrap();
        let mut store = published::tiny_static(&self.folder.join(file));
        let result = model.load_from(&mut store).unwrap();
        let missing: Vec<_> = result
            .missing
            .iter()
            .filter(|m| !m.0.contains(".wiring."))
            .collect();
        assert!(
            missing.is_empty() && result.errors.is_empty(),
            "{missing:?} {:?}",
            result.errors
        );
        model
    }

    fn mask(&self) -> Option<Wiring> {
        let bytes = std::fs::read(self.folder.join("initial.safetensors")).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let mask = tensors.tensor(published::GRAPH_MASK).ok()?;
        Some(Wiring::from_mask(
            mask.data().chunks_exact(4).map(|b| b != [0; 4]),
        ))
    }
}

/// Every gradient of the model by the path of its parameter.
fn gradients(model: &Wired<TinyStatic>, grads: &Gradients) -> BTreeMap<String, TensorData> {
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

/// A parameter's path as the record names its gradient.
fn published_name(path: &str) -> String {
    let renamed = [
        ("stem.conv1.", "downsample.0."),
        ("stem.norm1.", "downsample.1."),
        ("stem.conv2.", "downsample.3."),
        ("stem.conv3.", "downsample.4."),
        ("stem.norm2.", "downsample.5."),
        ("graph.function.kernel", "conv.weight"),
        ("graph.function.norm.", "norm."),
        ("gamma", "weight"),
        ("beta", "bias"),
    ];
    renamed
        .iter()
        .fold(path.to_owned(), |name, (ours, theirs)| {
            name.replace(ours, theirs)
        })
}

/// Trains along the record, with images multiplied by `1 + nudge`; checks all but what comes after the last step.
fn follow(
    record: &Record,
    mut model: Wired<TinyStatic>,
    nudge: f32,
    device: &Device,
) -> Wired<TinyStatic> {
    let tolerance = Tolerance::<f32>::rel_abs(1e-3, 1e-4);
    let check = |found: Tensor<2>, name: &str| {
        found
            .to_data()
            .assert_approx_eq::<f32>(&record.data(name), tolerance)
    };
    let losses: Vec<f32> = record.data("losses").iter().collect();
    check(
        model
            .valid()
            .forward(record.batch(0, &device.clone().inner()).0),
        "logits_eval_before",
    );

    let mut optimizer = SgdConfig::new()
        .with_momentum(Some(
            MomentumConfig::new().with_momentum(0.9).with_dampening(0.0),
        ))
        .with_weight_decay(Some(WeightDecayConfig::new(1e-4)))
        .init();
    for (step, expected) in losses.iter().enumerate() {
        let (images, labels) = record.batch(step, device);
        let logits = model.forward(images * (1.0 + nudge));
        let loss = CrossEntropyLossConfig::new()
            .init(device)
            .forward(logits.clone(), labels);
        let value: f32 = loss.clone().into_scalar();
        assert!(
            (value - expected).abs() <= 1e-3 * expected,
            "loss of step {step}: {value} is not {expected}"
        );
        let grads = loss.backward();
        if step == 0 {
            check(logits, "logits_train_0");
            let found = gradients(&model, &grads);
            assert_eq!(
                found.len(),
                24,
                "every parameter has a gradient: {:?}",
                found.keys()
            );
            for (path, gradient) in found {
                let expected = record.data(&format!("grad_0.{}", published_name(&path)));
                let gradient = if path == "fc.weight" {
                    Tensor::<2>::from_data(gradient, &Device::flex())
                        .transpose()
                        .into_data()
                } else {
                    gradient
                };
                gradient.assert_approx_eq::<f32>(&expected, tolerance);
            }
        }
        let grads = GradientsParams::from_grads(grads, &model);
        model = optimizer.step(0.1, model, grads);
        model.rewire().unwrap();
    }
    model
}

/// The largest distance between the logits after the last step and the recorded ones, over what the tolerance allows.
fn distance_after(record: &Record, model: &Wired<TinyStatic>, device: &Device) -> f32 {
    let found = model
        .valid()
        .forward(record.batch(0, &device.clone().inner()).0)
        .to_data();
    let expected = record.data("logits_eval_after");
    let pairs = found.iter::<f32>().zip(expected.iter::<f32>());
    pairs
        .map(|(a, b)| (a - b).abs() / (1e-4 + 1e-3 * b.abs()))
        .fold(0.0, f32::max)
}

/// The largest `n - int(0.95 n)` weights of a file, by a plain sort.
fn largest(weights: &[f32]) -> Wiring {
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by(|&a, &b| weights[a].abs().total_cmp(&weights[b].abs()));
    Wiring::from_entries(
        weights.len(),
        order[(0.95 * weights.len() as f64) as usize..]
            .iter()
            .copied(),
    )
}

fn weights(model: &TinyStatic) -> Vec<f32> {
    model.graph.weight.base().to_data().iter().collect()
}

/// After the third step two edges lie so close to the threshold that the last bit of a float decides between them, and the two
/// programs round differently: nudging the images by a few parts in ten million leads now to one choice, now to
/// the other, with logits 0.01 apart three steps later. So the losses must agree for every nudge, and for one of
/// them everything must: the logits after the last step, and the wiring.
#[test]
fn a_discovered_wiring_follows_the_recorded_run() {
    let (record, device) = (Record::open("tiny_static_dnw"), Device::flex().autodiff());
    let last = largest(&weights(&record.model("final.safetensors", &device)));
    let mut distances = Vec::new();
    for ulps in -6i8..=6 {
        let model = record.model("initial.safetensors", &device);
        let expected = largest(&weights(&model));
        let wire = Wire::dnw(Budget::PruneRate(0.95)).ranking(Ranking::AllEntries);
        let model = wire.attach(model).unwrap();
        assert_eq!(
            model.graph.wiring(),
            expected,
            "the edges before the first step"
        );
        let model = follow(&record, model, f32::from(ulps) * f32::EPSILON, &device);
        let distance = distance_after(&record, &model, &device);
        if distance <= 1.0 {
            assert_eq!(
                model.graph.wiring(),
                last,
                "the same logits from other edges"
            );
        }
        distances.push(distance);
    }
    assert!(
        distances.iter().any(|&distance| distance <= 1.0),
        "{distances:?}"
    );
}

#[test]
fn a_random_wiring_follows_the_recorded_run() {
    let (record, device) = (
        Record::open("tiny_static_random"),
        Device::flex().autodiff(),
    );
    let wire = Wire::new(rules::random(), Budget::PruneRate(0.95)).ranking(Ranking::AllEntries);
    let mut model = wire
        .attach(record.model("initial.safetensors", &device))
        .unwrap();
    let mask = record.mask().expect("a fixed mask");
    assert_eq!(mask.count(), model.graph.wiring().count());
    model
        .set_wirings(&BTreeMap::from([("graph.weight".to_owned(), mask.clone())]))
        .unwrap();
    let model = follow(&record, model, 0.0, &device);
    assert!(distance_after(&record, &model, &device) <= 1.0);
    assert_eq!(model.graph.wiring(), mask, "a fixed wiring stays");
}

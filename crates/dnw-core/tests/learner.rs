//! A wired model under Burn's learner.

#![cfg(all(feature = "flex", feature = "train"))]

use burn::module::{Module, Param, ParamGroup};
use burn::nn::{Linear, LinearConfig};
use burn::optim::{ModuleOptimizer, MultiGradientsParams, SgdConfig};
use burn::tensor::{Device, Tensor, TensorData};
use burn::train::{InferenceStep, TrainOutput, TrainStep};
use dnw_core::{Budget, Wire, Wired, WiredTensor};

#[derive(Module, Debug)]
struct Net {
    hidden: Linear,
    head: Linear,
}

impl Net {
    fn loss(&self, x: Tensor<2>) -> Tensor<1> {
        self.head
            .forward(self.hidden.forward(x))
            .powi_scalar(2)
            .mean()
    }
}

impl TrainStep for Net {
    type Input = Tensor<2>;
    type Output = ();

    fn step(&self, x: Tensor<2>) -> TrainOutput<()> {
        TrainOutput::new(self, self.loss(x).backward(), ())
    }
}

impl InferenceStep for Net {
    type Input = Tensor<2>;
    type Output = ();

    fn step(&self, x: Tensor<2>) {
        self.loss(x);
    }
}

const RATE: f64 = 0.5;

fn wired() -> (Wired<Net>, ModuleOptimizer, Tensor<2>) {
    let device = Device::flex().autodiff();
    // Values without a pattern that are the same in every run: with random ones, sometimes no edge swaps in
    // five updates.
    let values = |rows: usize, columns: usize, scale: f32| {
        let value = |i: usize| ((i * i) as f32 * 0.7 + i as f32).sin() * scale;
        let values: Vec<f32> = (0..rows * columns).map(value).collect();
        Tensor::<2>::from_data(TensorData::new(values, [rows, columns]), &device)
    };
    let linear = |inputs: usize, outputs: usize| {
        let mut linear = LinearConfig::new(inputs, outputs).init(&device);
        linear.weight = Param::from_tensor(values(inputs, outputs, 0.3));
        linear
    };
    let net = Net {
        hidden: linear(8, 6),
        head: linear(6, 4),
    };
    let wire = Wire::dnw(Budget::Edges(15)).weights(ParamGroup::all());
    let model = wire
        .budget_for("head.weight", Budget::Edges(5))
        .attach(net)
        .unwrap();
    (model, SgdConfig::new().init(), values(16, 8, 1.5))
}

/// The entries of the `k` largest magnitudes, by a full sort.
fn largest(tensor: &WiredTensor, k: usize) -> Vec<usize> {
    let mut entries: Vec<usize> = (0..tensor.weights.len()).collect();
    entries.sort_by(|a, b| {
        tensor.weights[*b]
            .abs()
            .total_cmp(&tensor.weights[*a].abs())
    });
    entries.truncate(k);
    entries.sort_unstable();
    entries
}

/// Updates the model five times, and checks after each that the wiring follows the updated weights.
fn follows_every_update(
    update: impl Fn(Wired<Net>, &mut ModuleOptimizer, &Tensor<2>) -> Wired<Net>,
) {
    let (mut model, mut optimizer, x) = wired();
    let first: Vec<_> = model
        .tensors()
        .into_iter()
        .map(|tensor| tensor.wiring)
        .collect();
    for step in 1..=5 {
        model = update(model, &mut optimizer, &x);
        assert_eq!(model.clock().update, step);
        for (tensor, k) in model.tensors().iter().zip([15, 5]) {
            let real: Vec<usize> = tensor.wiring.iter().collect();
            assert_eq!(real, largest(tensor, k), "{} at update {step}", tensor.name);
        }
    }
    let last: Vec<_> = model
        .tensors()
        .into_iter()
        .map(|tensor| tensor.wiring)
        .collect();
    assert_ne!(first, last, "some edge swapped");
}

#[test]
fn under_burns_learner_the_wiring_follows_every_update_and_keeps_its_budget() {
    follows_every_update(|model, optimizer, x| {
        let output = TrainStep::step(&model, x.clone());
        model.optimize(optimizer, RATE.into(), output.grads)
    });
}

#[test]
fn with_gradients_of_several_devices_the_wiring_follows_every_update_too() {
    follows_every_update(|model, optimizer, x| {
        let share = || (TrainStep::step(&model, x.clone()).grads, x.device());
        let grads = MultiGradientsParams {
            grads: vec![share(), share()],
        };
        model.optimize_multi(optimizer, (RATE / 2.0).into(), grads)
    });
}

#[test]
fn a_wired_model_is_what_burns_learner_asks_for_and_prints_as_a_module() {
    fn text(model: impl burn::train::LearnerModel) -> String {
        model.to_string()
    }
    let text = text(wired().0);
    assert!(text.contains("Linear") && text.contains("dnw"), "{text}");
}

//! A model whose edges are selected during training.

#![cfg(feature = "flex")]

use std::collections::BTreeMap;
use std::sync::Arc;

use burn::module::{Module, ModuleMapper, Param, ParamGroup};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Linear, LinearConfig};
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::{Device, Distribution, Tensor};
use dnw_core::optim::Sgd;
use dnw_core::schedule::{EveryUpdate, Once};
use dnw_core::{
    Budget, Gradient, Rule, Score, TensorView, Unit, Wire, Wired, Wiring, WiringError, rules,
};

/// A model of plain Burn layers, nested as users nest them.
#[derive(Module, Debug)]
struct Nested {
    stem: Conv2d,
    blocks: Vec<Block>,
    head: Linear,
}

#[derive(Module, Debug)]
struct Block {
    conv: Option<Conv2d>,
}

impl Nested {
    fn new(device: &Device) -> Self {
        let block = || Block {
            conv: Some(Conv2dConfig::new([4, 4], [3, 3]).init(device)),
        };
        Self {
            stem: Conv2dConfig::new([1, 4], [3, 3]).init(device),
            blocks: vec![block(), block()],
            head: LinearConfig::new(16, 3).init(device),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        let mut x = self.stem.forward(x);
        for block in &self.blocks {
            x = block.conv.as_ref().unwrap().forward(x);
        }
        self.head.forward(x.flatten(1, 3))
    }
}

fn device() -> Device {
    Device::flex().autodiff()
}

fn step<M: Module>(model: Wired<M>, loss: Tensor<1>, rate: f64) -> Wired<M> {
    let gradients = GradientsParams::from_grads(loss.backward(), &model);
    SgdConfig::new().init().step(rate, model, gradients)
}

#[test]
fn one_call_rewires_every_layer_of_a_nested_model_to_its_budget() {
    let device = device();
    let mut model = Wire::dnw(Budget::Density(0.25))
        .weights(ParamGroup::all())
        .budget_for("head.weight", Budget::Edges(7))
        .attach(Nested::new(&device))
        .unwrap();
    assert_eq!(
        model.names(),
        [
            "stem.weight",
            "blocks.0.conv.weight",
            "blocks.1.conv.weight",
            "head.weight"
        ]
    );
    // Of both signs: a stem whose few real weights are all negative would output nothing for positive images.
    let x = Tensor::random([5, 1, 8, 8], Distribution::Normal(0.0, 1.0), &device);
    let mut swaps = 0;
    for _ in 0..20 {
        let loss = model.forward(x.clone()).powi_scalar(2).mean();
        model = step(model, loss, 0.5);
        let rewiring = model.rewire().unwrap();
        swaps += rewiring.added();
        let counts: Vec<usize> = rewiring.tensors.iter().map(|t| t.real).collect();
        assert_eq!(counts, [9, 36, 36, 7]);
        for tensor in rewiring.tensors {
            assert_eq!(tensor.swaps.added.len(), tensor.swaps.removed.len());
            assert!(tensor.nearest.unwrap() <= tensor.threshold);
        }
    }
    assert!(swaps > 0);
    for tensor in model.tensors() {
        let weight = |entry: &usize| tensor.weights[*entry].abs();
        let real: Vec<usize> = tensor.wiring.iter().collect();
        let weakest = real.iter().map(weight).fold(f32::INFINITY, f32::min);
        let others = (0..tensor.weights.len()).filter(|e| !tensor.wiring.contains(*e));
        assert!(
            others.map(|e| weight(&e)).all(|w| w <= weakest),
            "{}",
            tensor.name
        );
    }
}

/// Adds a fixed tensor to the only matrix of a model, as an optimizer would.
struct Add(Vec<f32>);

impl ModuleMapper for Add {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if D != 2 {
            return param;
        }
        let device = param.base().device();
        let change = Tensor::<1>::from_floats(self.0.as_slice(), &device);
        param.map(|old| {
            (old.clone() + change.reshape(old.dims()))
                .detach()
                .require_grad()
        })
    }
}

fn matrix(values: [f32; 4]) -> Linear {
    let mut linear = LinearConfig::new(2, 2).with_bias(false).init(&device());
    linear.weight = Param::from_tensor(Tensor::<1>::from_floats(values, &device()).reshape([2, 2]));
    linear
}

fn wired(rule: Rule, edges: usize, values: [f32; 4]) -> Wired<Linear> {
    Wire::new(rule, Budget::Edges(edges))
        .weights(ParamGroup::all())
        .attach(matrix(values))
        .unwrap()
}

fn real<M: Module>(model: &Wired<M>) -> Vec<usize> {
    model.tensors()[0].wiring.iter().collect()
}

#[test]
fn a_hallucinated_edge_that_outgrows_the_weakest_real_one_swaps_in() {
    let mut model = wired(rules::dnw(), 2, [0.9, -0.5, 0.4, 0.1]);
    assert_eq!(real(&model), [0, 1]);
    model = model.map(&mut Add(vec![0.0, 0.0, -0.95, 0.0]));
    let rewiring = model.rewire().unwrap();
    assert_eq!(real(&model), [0, 2]);
    assert_eq!(rewiring.tensors[0].swaps.pairs, [(2, 1)]);
    assert!((rewiring.tensors[0].threshold - 0.55).abs() < 1e-6);
    assert!((rewiring.tensors[0].nearest.unwrap() - 0.5).abs() < 1e-6);
    assert_eq!(rewiring.tensors[0].contenders, 1);
}

#[test]
fn an_update_is_a_step_and_a_selection() {
    let device = device();
    let start = Wire::new(rules::dnw(), Budget::Density(0.2))
        .weights(ParamGroup::all())
        .attach(Nested::new(&device))
        .unwrap();
    let inputs: Vec<Tensor<4>> = (0..12)
        .map(|_| Tensor::random([2, 1, 8, 8], Distribution::Normal(0.0, 1.0), &device))
        .collect();
    let trained = |fused: bool| {
        let (mut model, mut optimizer) = (start.clone(), Sgd::new(0.9).init());
        let mut rewirings = Vec::new();
        for x in &inputs {
            let loss = model.forward(x.clone()).powi_scalar(2).mean();
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            let step = |model| optimizer.step(0.2, model, gradients);
            if fused {
                rewirings.push(model.update(step).unwrap());
            } else {
                model.change_model(step);
                rewirings.push(model.rewire().unwrap());
            }
        }
        let weights = model.tensors().into_iter().map(|tensor| tensor.weights);
        let bits = |weights: Vec<f32>| weights.into_iter().map(f32::to_bits).collect();
        (rewirings, weights.map(bits).collect::<Vec<Vec<u32>>>())
    };
    let (rewirings, weights) = trained(true);
    assert!(
        rewirings
            .iter()
            .map(|rewiring| rewiring.added())
            .sum::<usize>()
            > 0
    );
    assert_eq!((rewirings, weights), trained(false));
}

#[test]
fn the_wiring_changes_only_when_rewired() {
    let model = wired(rules::dnw(), 2, [0.9, -0.5, 0.4, 0.1]);
    let grown = model.map(&mut Add(vec![0.0, 0.0, 5.0, 0.0]));
    assert_eq!(
        real(&grown),
        [0, 1],
        "the wiring is state, whatever the weights say"
    );
    let used: Vec<f32> = grown.weight.val().to_data().iter().collect();
    assert_eq!(used, [0.9, -0.5, 0.0, 0.0]);
    let used: Vec<f32> = grown.valid().weight.val().to_data().iter().collect();
    assert_eq!(used, [0.9, -0.5, 0.0, 0.0], "evaluation selects nothing");
}

#[test]
fn a_random_wiring_is_drawn_once_from_the_seed_and_survives_save_and_load() {
    let draw = |seed| {
        let wire = Wire::new(rules::random(), Budget::Density(0.3))
            .weights(ParamGroup::all())
            .seed(seed);
        wire.attach(LinearConfig::new(20, 10).init(&device()))
            .unwrap()
    };
    let (mut a, b) = (draw(1), draw(1));
    assert_eq!(real(&a), real(&b));
    assert_ne!(real(&a), real(&draw(2)));
    assert_eq!(real(&a).len(), 60);
    let before = real(&a);
    assert!(a.rewire().unwrap().tensors.is_empty());
    assert_eq!(real(&a), before);
    let other = draw(3).load_record(a.clone().into_record());
    assert_eq!(real(&other), before);
}

#[test]
fn without_update_a_hallucinated_edge_gets_no_gradient() {
    let gradient = |rule| {
        let model = wired(rule, 2, [0.9, -0.5, 0.4, 0.1]);
        let x = Tensor::<2>::ones([1, 2], &device());
        let grads = model.forward(x).sum().backward();
        model
            .weight
            .base()
            .grad(&grads)
            .unwrap()
            .to_data()
            .iter::<f32>()
            .collect::<Vec<_>>()
    };
    assert_eq!(gradient(rules::dnw()), [1.0, 1.0, 1.0, 1.0]);
    assert_eq!(gradient(rules::no_update()), [1.0, 1.0, 0.0, 0.0]);
    let scaled = Rule {
        gradient: Gradient::Scaled(0.25),
        ..rules::dnw()
    };
    assert_eq!(gradient(scaled), [1.0, 1.0, 0.25, 0.25]);
}

#[test]
fn a_shrinking_budget_ends_where_it_was_asked_to() {
    let wire = Wire::new(rules::dnw_shrinking(0.5), Budget::Edges(20)).weights(ParamGroup::all());
    let layer = || LinearConfig::new(20, 10).init(&device());
    assert!(matches!(
        wire.clone().attach(layer()),
        Err(WiringError::UnknownLength { .. })
    ));
    let mut model = wire.over(10).attach(layer()).unwrap();
    let mut counts = vec![real(&model).len()];
    for _ in 0..10 {
        let rewiring = model.rewire().unwrap();
        counts.push(rewiring.tensors[0].real);
    }
    assert_eq!((counts[0], counts[5], counts[10]), (200, 20, 20));
    assert!(counts.windows(2).all(|w| w[0] >= w[1]));
}

#[test]
fn the_complete_rule_keeps_every_edge() {
    assert_eq!(
        real(&wired(rules::complete(), 1, [0.9, -0.5, 0.4, 0.1])),
        [0, 1, 2, 3]
    );
}

#[test]
fn constant_fan_in_gives_each_target_the_same_number() {
    let rule = Rule {
        unit: Unit::FanIn,
        ..rules::dnw()
    };
    // Burn's linear weight is [inputs, outputs]: targets are columns.
    assert_eq!(real(&wired(rule, 2, [0.9, 0.3, 0.8, 0.2])), [0, 1]);
}

/// A rule defined outside the crate: the smallest weights, selected every third update.
mod elsewhere {
    use super::*;

    #[derive(Debug)]
    struct Smallest;

    impl Score for Smallest {
        fn score(&self, tensor: &TensorView<'_>, scores: &mut Vec<f32>) {
            scores.extend(tensor.weights.iter().map(|w| -w.abs()));
        }
    }

    #[derive(Debug)]
    struct EveryThird;

    impl dnw_core::Schedule for EveryThird {
        fn is_due(&self, clock: dnw_core::Clock) -> bool {
            clock.update.is_multiple_of(3)
        }
    }

    #[test]
    fn a_rule_from_outside_the_crate_plugs_in() {
        let rule = Rule {
            name: "smallest".into(),
            score: Arc::new(Smallest),
            schedule: Arc::new(EveryThird),
            ..rules::dnw()
        };
        let mut model = wired(rule, 1, [0.9, -0.5, 0.4, 0.1]);
        assert_eq!(real(&model), [3]);
        model = model.map(&mut Add(vec![0.0, 0.0, -0.4, 1.0]));
        assert!(model.rewire().unwrap().tensors.is_empty());
        assert!(model.rewire().unwrap().tensors.is_empty());
        assert_eq!(real(&model), [3]);
        assert_eq!(model.rewire().unwrap().update, 3);
        assert_eq!(real(&model), [2]);
    }
}

#[test]
fn a_weight_that_is_not_a_number_is_an_error_that_names_it_and_changes_nothing() {
    let mut model = wired(rules::dnw(), 2, [0.9, -0.5, 0.4, 0.1]);
    let before = real(&model);
    model = model.map(&mut Add(vec![0.0, f32::NAN, 0.0, 0.0]));
    let error = model.rewire().unwrap_err();
    assert_eq!(
        error,
        WiringError::NotANumber {
            tensor: "weight".into(),
            entry: 1
        }
    );
    assert_eq!((real(&model), model.clock().update), (before, 0));
}

#[test]
fn what_cannot_be_wired_is_an_error() {
    let attach = |wire: Wire| wire.attach(matrix([0.0; 4])).unwrap_err();
    assert_eq!(
        attach(Wire::dnw(Budget::Edges(1))),
        WiringError::NothingToWire
    );
    let all = |budget| Wire::dnw(budget).weights(ParamGroup::all());
    assert!(matches!(
        attach(all(Budget::Edges(5))),
        WiringError::Budget { candidates: 4, .. }
    ));
    let unknown = attach(all(Budget::Edges(1)).budget_for("wieght", Budget::Edges(1)));
    assert!(unknown.to_string().contains("weight"), "{unknown}");
}

/// A user's model with a field of the name that wirings have on Burn's paths.
#[derive(Module, Debug)]
struct Namesake {
    wiring: Linear,
    real: Linear,
}

#[test]
fn a_field_of_the_wirings_name_is_wired_as_any_other() {
    let layer = || LinearConfig::new(4, 2).with_bias(false).init(&device());
    let model = Namesake {
        wiring: layer(),
        real: layer(),
    };
    let wire = Wire::dnw(Budget::Edges(3)).weights(ParamGroup::all());
    let model = wire.attach(model).unwrap();
    assert_eq!(model.names(), ["wiring.weight", "real.weight"]);
    assert!(
        model
            .tensors()
            .iter()
            .all(|tensor| tensor.wiring.count() == 3)
    );
}

#[test]
fn a_new_wiring_must_be_of_the_tensor_and_legal() {
    let mut model = wired(rules::random(), 2, [0.9, -0.5, 0.4, 0.1]);
    let set = |model: &mut Wired<Linear>, name: &str, wiring| {
        model.set_wirings(&BTreeMap::from([(name.to_owned(), wiring)]))
    };
    set(&mut model, "weight", Wiring::from_entries(4, [1, 3])).unwrap();
    assert_eq!(real(&model), [1, 3]);
    let unknown = set(&mut model, "w", Wiring::full(4)).unwrap_err();
    assert!(matches!(unknown, WiringError::UnknownTensor { .. }));
    let other = set(&mut model, "weight", Wiring::full(5)).unwrap_err();
    assert!(matches!(
        other,
        WiringError::Size {
            found: 5,
            expected: 4,
            ..
        }
    ));
    assert_eq!(real(&model), [1, 3]);
}

#[test]
fn once_and_every_update_differ_after_the_first_update() {
    use dnw_core::{Clock, Schedule};
    let later = Clock {
        update: 7,
        total: 10,
    };
    assert!(EveryUpdate.is_due(later) && !Once.is_due(later) && Once.is_due(Clock::default()));
}

//! Tensors that do not learn keep their edges and weights.

use burn::module::{Module, ModuleMapper, Param, ParamGroup};
use burn::nn::{Linear, LinearConfig};
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Distribution, Tensor};
use dnw_core::rules::{self, Settings};
use dnw_core::{Allocation, Budget, Rule, Wire, Wired, WiringError};

use super::{Two, device, layer};

#[derive(Module, Debug)]
struct Net {
    /// Frozen after the model is wired.
    body: Linear,
    /// No part of the forward pass.
    side: Linear,
    head: Linear,
}

impl Net {
    fn new() -> Self {
        let linear = |inputs, outputs| {
            let config = LinearConfig::new(inputs, outputs).with_bias(false);
            config.init(&device())
        };
        Self {
            body: linear(12, 10),
            side: linear(10, 10),
            head: linear(10, 6),
        }
    }

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.head.forward(relu(self.body.forward(x)))
    }

    fn with_frozen_body(self) -> Self {
        Self {
            body: self.body.no_grad(),
            ..self
        }
    }
}

fn values(tensor: Tensor<2>) -> Vec<f32> {
    tensor.to_data().iter().collect()
}

/// Stored and effective weights of a layer, and its real edges.
type State = (Vec<f32>, Vec<f32>, Vec<usize>);

fn state(model: &Wired<Net>, index: usize) -> State {
    let layer = [&model.body, &model.side, &model.head][index];
    let evaluated = model.valid();
    let in_evaluation = [&evaluated.body, &evaluated.side, &evaluated.head][index];
    let tensor = model.tensors().swap_remove(index);
    (
        values(layer.weight.base()),
        values(in_evaluation.weight.val()),
        tensor.wiring.iter().collect(),
    )
}

fn wired(rule: Rule) -> Wired<Net> {
    device().seed(5);
    let wire = Wire::new(rule, Budget::Density(0.3)).weights(ParamGroup::all());
    let mut model = wire.over(20).seed(1).attach(Net::new()).unwrap();
    model.change_model(Net::with_frozen_body);
    model
}

/// Twenty updates, with the gradients shown to the rule or not.
fn train(mut model: Wired<Net>, shows_gradients: bool) -> Wired<Net> {
    let mut optimizer = SgdConfig::new().init();
    for _ in 0..20 {
        let x = Tensor::<2>::random([16, 12], Distribution::Normal(0.0, 1.0), &device());
        let y = x.clone().slice([0..16, 0..6]);
        let loss = (model.forward(x) - y).powi_scalar(2).mean();
        let mut gradients = GradientsParams::from_grads(loss.backward(), &model);
        if shows_gradients {
            gradients = model.prepare(gradients);
        }
        model = optimizer.step(0.05, model, gradients);
        let rewiring = model.rewire().unwrap();
        let named = rewiring.tensors.iter().map(|tensor| tensor.name.as_str());
        assert!(
            rewiring.tensors.is_empty() || named.eq(["body.weight", "side.weight", "head.weight"]),
            "every tensor is reported"
        );
    }
    model
}

#[test]
fn no_rule_changes_a_tensor_that_does_not_learn() {
    for named in rules::ALL {
        let mut settings = Settings::default();
        if named.settings.contains(&"every") {
            settings.every = Some(2);
        }
        let rule = named.rule(&settings).unwrap();
        for shows_gradients in [true, false] {
            if rule.needs_gradients() && !shows_gradients {
                continue;
            }
            let model = wired(rule.clone());
            let before = [0, 1, 2].map(|index| state(&model, index));
            let model = train(model, shows_gradients);
            let after = [0, 1, 2].map(|index| state(&model, index));
            assert_eq!(after[0], before[0], "{}: frozen", named.name);
            assert_eq!(after[1], before[1], "{}: left out", named.name);
            assert_ne!(after[2].0, before[2].0, "{}: this one learns", named.name);
            let tensors = model.tensors();
            if !["complete", "str"].contains(&named.name) && rule.allocation != Allocation::Global {
                let head = &tensors[2];
                assert_eq!(head.wiring.count(), head.budget, "{}", named.name);
            }
        }
    }
}

#[test]
fn the_rest_is_still_exchanged() {
    for name in ["set", "rigl", "sparse-momentum"] {
        let settings = Settings {
            every: Some(2),
            ..Settings::default()
        };
        let model = wired(rules::by_name(name, &settings).unwrap());
        let before = state(&model, 2).2;
        let after = state(&train(model, true), 2).2;
        assert_eq!(
            after.len(),
            before.len(),
            "{name}: no other tensor takes or gives places"
        );
        assert_ne!(after, before, "{name}");
    }
}

/// Two layers of ten weights each under one budget, of which `a` is frozen after the first selection.
fn global(rule: Rule, density: f64, a: f32, updates: u64) -> [usize; 3] {
    let weights = |scale: f32| -> Vec<f32> { (1..=10).map(|i| scale * i as f32).collect() };
    let model = Two {
        a: layer(1, &weights(a)),
        b: layer(1, &weights(1.0)),
    };
    let wire = Wire::new(rule, Budget::Density(density)).weights(ParamGroup::all());
    let mut model = wire.over(updates).attach(model).unwrap();
    let first = model.tensors()[0].wiring.count();
    model.change_model(|two| Two {
        a: two.a.no_grad(),
        ..two
    });
    for _ in 0..updates {
        let x = Tensor::<2>::ones([1, 1], &device());
        let loss = (model.a.forward(x.clone()).sum() + model.b.forward(x).sum()).powi_scalar(2);
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        let gradients = model.prepare(gradients);
        model = SgdConfig::new().init().step(1e-5, model, gradients);
        model.rewire().unwrap();
    }
    let tensors = model.tensors();
    [first, tensors[0].wiring.count(), tensors[1].wiring.count()]
}

#[test]
fn what_does_not_learn_keeps_its_edges_out_of_a_budget_for_all() {
    let at_once = Rule {
        allocation: Allocation::Global,
        ..rules::dnw()
    };
    // Of the twenty weights the half: all ten of `a`, which are a hundred times larger, and none of `b`.
    // The ten edges of `a` are the whole budget, so `b` gets its own part of it, five.
    assert_eq!(global(at_once.clone(), 0.5, 100.0, 3), [10, 10, 5]);
    // Weights 0.5, 1, .. 5 and 1, 2, .. 10. The ten largest are 4, 4.5, 5 of `a` and 4 .. 10 of `b`;
    // the three of `a` leave seven.
    assert_eq!(global(at_once, 0.5, 0.5, 3), [3, 3, 7]);
    // The budget shrinks from every edge to five of twenty. `a` keeps its ten; the part of `b` is two.
    assert_eq!(global(rules::st3(1.0), 0.25, 1.0, 4), [10, 10, 2]);
}

/// Two layers under RigL, which both had gradients in the first selection.
#[test]
fn gradients_of_an_earlier_selection_are_not_used_again() {
    let weights: Vec<f32> = (1..=12).map(|i| i as f32).collect();
    let mut model = super::two(
        rules::rigl(1, 0.5, 1.0),
        Budget::Edges(4),
        &weights,
        &weights,
        8,
    )
    .unwrap();
    let mut wirings = Vec::new();
    for (step, uses_b) in [true, false, false, true].into_iter().enumerate() {
        let x = Tensor::<2>::ones([1, 1], &device());
        // The largest gradients without an edge are those of the entries 8 and 7 in the first step, of 9 and 8 in the last.
        let slope: [f32; 12] =
            std::array::from_fn(|entry| (1 + (entry + 3 * step + 3) % 12) as f32);
        let slope = Tensor::<2>::from_floats([slope], &device());
        let mut loss = (model.a.forward(x.clone()) * slope.clone()).sum();
        if uses_b {
            loss = loss + (model.b.forward(x) * slope).sum();
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        let gradients = model.prepare(gradients);
        model = SgdConfig::new().init().step(1e-4, model, gradients);
        model.rewire().unwrap();
        wirings.push(model.tensors()[1].wiring.clone());
    }
    assert!(wirings[0] == wirings[1] && wirings[1] == wirings[2]);
    assert_ne!(wirings[2], wirings[3]);
    let error = model.rewire().unwrap_err();
    assert!(
        matches!(error, WiringError::GradientsMissing { .. }),
        "{error}"
    );
}

/// Sets every weight.
struct Set(f32);

impl ModuleMapper for Set {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match D {
            2 => param.map(|old| old.full_like(self.0).set_require_grad(true)),
            _ => param,
        }
    }
}

#[test]
fn a_lottery_ticket_leaves_what_was_frozen_since_as_it_is() {
    let weights: Vec<f32> = (1..=10).map(|i| i as f32).collect();
    let mut model = super::two(
        rules::lottery_ticket(0.5),
        Budget::Edges(4),
        &weights,
        &weights,
        2,
    )
    .unwrap();
    model.change_model(|two| Two {
        a: two.a.map(&mut Set(0.25)).no_grad(),
        b: two.b.map(&mut Set(0.25)),
    });
    let rewiring = model.rewire().unwrap();
    assert!(rewiring.rewound);
    assert_eq!(values(model.a.weight.base()), [0.25; 10]);
    assert!(!model.a.weight.base().is_require_grad());
    assert_eq!(model.tensors()[0].wiring.count(), 10);
    assert_eq!(values(model.b.weight.base()), weights);
    assert!(model.b.weight.base().is_require_grad());
    assert_eq!(model.tensors()[1].wiring.count(), 4);
}

#[test]
fn a_tensor_that_learns_again_is_rewired_again() {
    let mut model = train(wired(rules::dnw_shrinking(1.0)), true);
    assert_eq!(model.tensors()[0].wiring.count(), 120);
    model.change_model(|net| Net {
        body: net.body.set_require_grad(true),
        ..net
    });
    let model = train(model, true);
    assert_eq!(model.tensors()[0].wiring.count(), 36);
}

#[test]
fn a_loaded_wiring_of_a_frozen_tensor_stays() {
    let mut model = wired(rules::dnw());
    let loaded = dnw_core::Wiring::from_entries(120, 0..30);
    let wirings = [("body.weight".to_owned(), loaded.clone())].into();
    model.set_wirings(&wirings).unwrap();
    let rewiring = model.rewire().unwrap();
    assert_eq!(rewiring.tensors[0].real, 30);
    assert_eq!(train(model, true).tensors()[0].wiring, loaded);
}

/// Updates in which only the head is given to the optimizer, as in fine-tuning by groups of parameters.
#[test]
fn a_tensor_whose_gradient_is_held_back_is_left_alone() {
    for name in ["set", "gradual-pruning", "sparse-momentum", "dnw-shrinking"] {
        let settings = Settings {
            every: (name != "dnw-shrinking").then_some(2),
            ..Settings::default()
        };
        let rule = rules::by_name(name, &settings).unwrap();
        let wire = Wire::new(rule, Budget::Density(0.3)).weights(ParamGroup::all());
        let mut model = wire.over(6).attach(Net::new()).unwrap();
        let before = [0, 2].map(|index| state(&model, index));
        for _ in 0..6 {
            let x = Tensor::<2>::random([16, 12], Distribution::Normal(0.0, 1.0), &device());
            let mut all = model.forward(x).powi_scalar(2).mean().backward();
            let head = [model.head.weight.id];
            let gradients = GradientsParams::from_params(&mut all, &model, &head);
            let gradients = model.prepare(gradients);
            model = SgdConfig::new().init().step(0.05, model, gradients);
            model.rewire().unwrap();
        }
        let after = [0, 2].map(|index| state(&model, index));
        assert_eq!(after[0], before[0], "{name}");
        assert_ne!(after[1].2, before[1].2, "{name}");
    }
}

/// Burn's own freezing of a part, and a network that is frozen as a whole.
#[test]
fn a_frozen_network_changes_nowhere_and_nothing_is_refused() {
    for named in rules::ALL {
        let mut model = wired(named.rule(&Settings::default()).unwrap());
        model.change_model(Module::freeze);
        let before = [0, 1, 2].map(|index| state(&model, index));
        for _ in 0..20 {
            let gradients = model.prepare(GradientsParams::new());
            model = SgdConfig::new().init().step(0.05, model, gradients);
            model.rewire().unwrap();
        }
        let after = [0, 1, 2].map(|index| state(&model, index));
        assert_eq!(after, before, "{}", named.name);
    }
}

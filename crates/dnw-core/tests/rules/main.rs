//! The defining fact of each rule, on small tensors.

#![cfg(feature = "flex")]

mod budgets;
mod dense;
mod exchange;
mod forward;
mod gradients;
mod layouts;
mod learning;
mod schedules;
mod state;
mod units;

use burn::module::{Module, Param, ParamGroup};
use burn::nn::{Linear, LinearConfig};
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::{Device, Tensor};
use dnw_core::rules::{self, Settings};
use dnw_core::{Budget, Rule, Wire, Wired, WiringError};

fn device() -> Device {
    Device::flex().autodiff()
}

/// A linear layer without bias, `[inputs, outputs]`, of these weights.
fn layer(inputs: usize, weights: &[f32]) -> Linear {
    let outputs = weights.len() / inputs;
    let mut linear = LinearConfig::new(inputs, outputs)
        .with_bias(false)
        .init(&device());
    let weights = Tensor::<1>::from_floats(weights, &device()).reshape([inputs, outputs]);
    linear.weight = Param::from_tensor(weights);
    linear
}

fn wired(rule: Rule, edges: usize, weights: &[f32], updates: u64) -> Wired<Linear> {
    Wire::new(rule, Budget::Edges(edges))
        .weights(ParamGroup::all())
        .over(updates)
        .seed(3)
        .attach(layer(1, weights))
        .unwrap()
}

fn real<M: Module>(model: &Wired<M>) -> Vec<usize> {
    model.tensors()[0].wiring.iter().collect()
}

fn stored(model: &Wired<Linear>) -> Vec<f32> {
    model.weight.base().to_data().iter().collect()
}

fn effective_weights(model: &Wired<Linear>) -> Vec<f32> {
    model.weight.val().to_data().iter().collect()
}

fn effective_weights_in_evaluation(model: &Wired<Linear>) -> Vec<f32> {
    model.valid().weight.val().to_data().iter().collect()
}

/// One SGD update of a loss whose gradient to the effective weights is `slope`, then a selection.
fn update(model: Wired<Linear>, slope: &[f32], rate: f64) -> Wired<Linear> {
    let x = Tensor::<2>::ones([1, 1], &device());
    let slope = Tensor::<1>::from_floats(slope, &device()).reshape([1, slope.len()]);
    let loss = (model.forward(x) * slope).sum();
    let gradients = GradientsParams::from_grads(loss.backward(), &model);
    let mut model = model;
    let gradients = model.prepare(gradients);
    let mut model = SgdConfig::new().init().step(rate, model, gradients);
    model.rewire().unwrap();
    model
}

#[derive(Module, Debug)]
struct Two {
    a: Linear,
    b: Linear,
}

fn two(
    rule: Rule,
    budget: Budget,
    a: &[f32],
    b: &[f32],
    updates: u64,
) -> Result<Wired<Two>, WiringError> {
    let model = Two {
        a: layer(1, a),
        b: layer(1, b),
    };
    Wire::new(rule, budget)
        .weights(ParamGroup::all())
        .over(updates)
        .attach(model)
}

#[test]
fn every_named_rule_is_made_with_its_defaults_and_knows_its_settings() {
    for named in rules::ALL {
        let rule = named.rule(&Settings::default()).unwrap();
        assert_eq!(rule.name, named.name);
        assert!(!named.about.is_empty() && !named.paper.is_empty());
    }
    let settings = Settings {
        turnover: Some(0.2),
        ..Settings::default()
    };
    assert!(rules::by_name("rigl", &settings).is_ok());
    let error = rules::by_name("dnw", &settings).unwrap_err().to_string();
    assert_eq!(error, "the rule `dnw` has no setting `turnover`");
    let settings = Settings {
        turnover: Some(f64::NAN),
        ..settings
    };
    let error = rules::by_name("rigl", &settings).unwrap_err().to_string();
    assert!(
        error.contains("turnover") && error.contains("above 0"),
        "{error}"
    );
}

//! Tests of the tiny classifier in continuous time.

use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::tensor::{Device, Distribution, Int, Tensor};
use dnw_core::{Budget, Wire};
use dnw_models::{Classifier, GradientName, SolverName, TinyContinuousConfig};

use crate::tiny_continuous;

/// The adjoint is inexact because the nodes are not differentiable everywhere. The relative error depends on the weights and was at most 0.3.
/// Unrelated gradients differ by more than 1.
#[test]
fn all_gradients_in_continuous_time_nearly_agree() {
    let device = Device::flex().autodiff();
    device.seed(3);
    let images = Tensor::<4>::random([2, 3, 32, 32], Distribution::Normal(0.0, 1.0), &device);
    let labels = Tensor::<1, Int>::from_ints([3, 7], &device);
    let make = |gradient| {
        let config = TinyContinuousConfig {
            gradient,
            rtol: 1e-4,
            atol: 1e-4,
            ..tiny_continuous()
        };
        config.init([3, 32, 32], 10, &device).unwrap()
    };
    let first = make(GradientName::Through);
    let gradients = |gradient| {
        let model = make(gradient).load_record(first.clone().into_record());
        let model = Wire::dnw(Budget::Density(0.5)).attach(model).unwrap();
        let loss = CrossEntropyLossConfig::new().init(&device);
        let loss = loss.forward(model.forward(images.clone()), labels.clone());
        let grads = loss.backward();
        let stem = model.stem.conv1.weight.val().grad(&grads).unwrap();
        let edges = model.graph.weight.base().grad(&grads).unwrap();
        let kernels = model.graph.function.kernel.val().grad(&grads).unwrap();
        [stem, edges, kernels].map(|gradient| gradient.flatten::<1>(0, 3).inner())
    };
    let through = gradients(GradientName::Through);
    let norm = |x: Tensor<1>| (x.clone() * x).sum().sqrt().into_scalar::<f32>();
    for (other, share) in [
        (GradientName::Checkpointed, 1e-5),
        (GradientName::Adjoint, 0.6),
    ] {
        for (a, b) in through.iter().zip(gradients(other)) {
            let apart = norm(a.clone() - b) / norm(a.clone());
            assert!(apart <= share, "{other:?}: {apart}");
        }
    }
}

#[test]
fn reaching_the_limit_is_an_error_and_the_logits_are_nan() {
    let config = TinyContinuousConfig {
        limit: 12,
        ..tiny_continuous()
    };
    let device = Device::flex().autodiff();
    let model = config.init([3, 32, 32], 10, &device).unwrap();
    let images = Tensor::<4>::random([2, 3, 32, 32], Distribution::Normal(0.0, 1.0), &device);
    let error = model.try_forward(images.clone()).unwrap_err();
    assert!(error.to_string().contains("12 evaluations"), "{error}");
    let logits = model.forward(images);
    assert_eq!(logits.dims(), [2, 10]);
    assert!(logits.clone().to_data().iter::<f32>().all(f32::is_nan));
    logits.sum().backward();
}

#[test]
fn a_solver_without_an_error_estimate_needs_a_number_of_steps() {
    let device = Device::flex();
    let euler = TinyContinuousConfig {
        solver: SolverName::Euler,
        ..tiny_continuous()
    };
    let error = euler.init([3, 32, 32], 10, &device).unwrap_err();
    assert!(error.to_string().contains("euler"), "{error}");
    let with_steps = TinyContinuousConfig {
        steps: Some(4),
        ..euler
    };
    with_steps.init([3, 32, 32], 10, &device).unwrap();
}

//! Activations that exporters write as several nodes are one step.

use dnw_circuit::{Activation, CircuitBuilder, Function, Tensor, ValueId, interpret};
use dnw_compiler::{Passes, compile};
use dnw_runtime::plan::{Input, Op};

use crate::passes::run;

/// `scale x + shift`.
fn affine(circuit: &mut CircuitBuilder, x: ValueId, scale: f32, shift: f32) -> ValueId {
    let at = circuit.shape(x)[0] * 1000 + x.index();
    let channels = circuit.shape(x)[0];
    let tensors = [
        Tensor::statistic(format!("mean{at}"), vec![0.0; channels]),
        Tensor::statistic(format!("variance{at}"), vec![1.0; channels]),
        Tensor::norm(format!("scale{at}"), vec![scale; channels]),
        Tensor::norm(format!("shift{at}"), vec![shift; channels]),
    ];
    let blocks = tensors.map(|tensor| {
        let tensor = circuit.tensor(tensor).unwrap();
        circuit.whole(tensor)
    });
    let [mean, variance, scale, shift] = blocks;
    circuit
        .batch_norm(x, [mean, variance], [scale, shift], 0.0)
        .unwrap()
}

#[test]
fn gelu_as_exported_is_one_step() {
    // x (1 + erf(x / sqrt(2))) / 2, with erf(z) = 2 normal(sqrt(2) z) - 1; the half before or behind the product.
    for half_first in [true, false] {
        let mut circuit = CircuitBuilder::new([2, 3, 3]).unwrap();
        let x = circuit.input();
        let inner = affine(&mut circuit, x, std::f32::consts::FRAC_1_SQRT_2, 0.0);
        let inner = affine(&mut circuit, inner, std::f32::consts::SQRT_2, 0.0);
        let normal = Activation::plain(Function::Normal);
        let normal = circuit.activation(inner, normal).unwrap();
        let erf = affine(&mut circuit, normal, 2.0, -1.0);
        let more = affine(&mut circuit, erf, 1.0, 1.0);
        let result = if half_first {
            let half = affine(&mut circuit, more, 0.5, 0.0);
            circuit.product(x, half).unwrap()
        } else {
            let product = circuit.product(x, more).unwrap();
            affine(&mut circuit, product, 0.5, 0.0)
        };
        let circuit = circuit.finish(result).unwrap();
        let plan = compile(&circuit, Input::default(), Passes::default());
        let ops: Vec<&Op> = plan.steps.iter().map(|step| &step.op).collect();
        assert!(
            matches!(ops[..], [Op::Activation(step)] if step.activation.gated),
            "{ops:?}"
        );
        let image: Vec<f32> = (0..18).map(|i| i as f32 / 3.0 - 3.0).collect();
        let expected = interpret(&circuit, &image).unwrap();
        for (found, expected) in run(&circuit, Passes::default(), 1, &image)
            .iter()
            .zip(expected)
        {
            assert!((f64::from(*found) - expected).abs() < 1e-6);
        }
    }
}

#[test]
fn a_gate_of_another_input_stays_a_product() {
    let mut circuit = CircuitBuilder::new([2, 1, 1]).unwrap();
    let x = circuit.input();
    let inner = affine(&mut circuit, x, 1.5, 0.0);
    let sigmoid = Activation::plain(Function::Sigmoid);
    let gate = circuit.activation(inner, sigmoid).unwrap();
    let result = circuit.product(x, gate).unwrap();
    let circuit = circuit.finish(result).unwrap();
    let plan = compile(&circuit, Input::default(), Passes::default());
    assert!(
        plan.steps
            .iter()
            .any(|step| matches!(step.op, Op::Product(_)))
    );
    let found = run(&circuit, Passes::default(), 1, &[2.0, -1.0]);
    let expected = [2.0 / (1.0 + (-3.0f64).exp()), -1.0 / (1.0 + 1.5f64.exp())];
    for (found, expected) in found.iter().zip(expected) {
        assert!((f64::from(*found) - expected).abs() < 1e-6);
    }
}

#[test]
fn silu_is_applied_where_the_convolution_before_it_writes() {
    let mut circuit = CircuitBuilder::new([2, 3, 3]).unwrap();
    let x = circuit.input();
    let weight = Tensor::edges("w", [2, 2, 1, 1], vec![0.5, -1.0, 2.0, 0.25], vec![true; 4]);
    let weight = circuit.tensor(weight).unwrap();
    let weight = circuit.whole(weight);
    let window = dnw_circuit::Window::default();
    let y = circuit.conv(x, weight, None, window).unwrap();
    let sigmoid = Activation::plain(Function::Sigmoid);
    let gate = circuit.activation(y, sigmoid).unwrap();
    let result = circuit.product(y, gate).unwrap();
    let circuit = circuit.finish(result).unwrap();
    let plan = compile(&circuit, Input::default(), Passes::default());
    let model = dnw_runtime::Model::new(plan).unwrap();
    let operations: Vec<_> = model.steps().map(|(_, operation)| operation).collect();
    let last = "activation, in the step before";
    assert_eq!(operations, ["sparse sums", last]);
    let image: Vec<f32> = (0..18).map(|i| i as f32 / 3.0 - 3.0).collect();
    let expected = interpret(&circuit, &image).unwrap();
    let found = run(&circuit, Passes::default(), 1, &image);
    for (found, expected) in found.iter().zip(expected) {
        assert!((f64::from(*found) - expected).abs() < 1e-6);
    }
}

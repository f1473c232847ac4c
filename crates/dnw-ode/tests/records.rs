//! Tests against the decisions, states and gradients of torchdiffeq's dopri5 (printed by `records.py`).
#![cfg(feature = "flex")]

use std::sync::Arc;

use burn::tensor::{DType, Device, Tensor, TensorData};
use dnw_ode::{Adaptive, Control, Gradient, Integrator, VectorField, solvers};

/// A run of torchdiffeq: what it was given, how it decided, and its results.
struct Record {
    start: &'static [f64],
    parameters: &'static [f64],
    until: f64,
    relative: f64,
    absolute: f64,
    first_step: Option<f64>,
    evaluations: usize,
    accepted: usize,
    rejected: usize,
    end: &'static [f64],
    of_state: &'static [f64],
    of_parameters: &'static [f64],
}

/// An equation up to t = 1 with tolerances of 1e-3.
const STANDARD: Record = Record {
    start: &[],
    parameters: &[],
    until: 1.0,
    relative: 1e-3,
    absolute: 1e-3,
    first_step: None,
    evaluations: 0,
    accepted: 0,
    rejected: 0,
    end: &[],
    of_state: &[],
    of_parameters: &[],
};

fn double(values: &[f64]) -> Tensor<1> {
    let device = Device::flex().autodiff();
    Tensor::from_data(
        TensorData::new(values.to_vec(), [values.len()]),
        (&device, DType::F64),
    )
}

fn assert_near(what: &str, found: Tensor<1>, expected: &[f64]) {
    let found: Vec<f64> = found.into_data().iter().collect();
    assert_eq!(found.len(), expected.len(), "{what}");
    for (found, expected) in found.iter().zip(expected) {
        let allowed = 1e-9 + 1e-7 * expected.abs();
        assert!(
            (found - expected).abs() < allowed,
            "{what}: {found} is not {expected}"
        );
    }
}

fn check(field: impl VectorField<1> + 'static, record: Record) {
    let field = Arc::new(field);
    let mut control = Adaptive::new(record.relative, record.absolute);
    control.first_step = record.first_step;
    for gradient in [Gradient::Through, Gradient::Checkpointed] {
        let state = double(record.start).require_grad();
        let parameters = double(record.parameters).require_grad();
        let solution = Integrator::new(solvers::DOPRI5, Control::Adaptive(control))
            .with_gradient(gradient)
            .solve_field(
                field.clone(),
                state.clone(),
                std::slice::from_ref(&parameters),
                0.0,
                record.until,
            )
            .unwrap();
        let work = (solution.evaluations, solution.accepted, solution.rejected);
        assert_eq!(work, (record.evaluations, record.accepted, record.rejected));
        let gradients = solution.state.clone().square().sum().backward();
        assert_near("end", solution.state, record.end);
        assert_near(
            "gradient of the state",
            state.grad(&gradients).unwrap(),
            record.of_state,
        );
        let of_parameters = parameters.grad(&gradients).unwrap();
        assert_near(
            "gradient of the parameters",
            of_parameters,
            record.of_parameters,
        );
    }
}

fn van_der_pol(_: f64, y: Tensor<1>, p: &[Tensor<1>]) -> Tensor<1> {
    let (position, speed) = (y.clone().narrow(0, 0, 1), y.narrow(0, 1, 1));
    let damping = position.clone().square().neg().add_scalar(1.0) * p[0].clone();
    Tensor::cat(vec![speed.clone(), damping * speed - position], 0)
}

fn network(_: f64, y: Tensor<1>, p: &[Tensor<1>]) -> Tensor<1> {
    let sources = p[0]
        .clone()
        .reshape([3, 3])
        .matmul(y.clone().reshape([3, 1]));
    sources.reshape([3]).tanh() - y.mul_scalar(0.5)
}

fn forced(t: f64, y: Tensor<1>, p: &[Tensor<1>]) -> Tensor<1> {
    y.sub_scalar(t.cos()) * p[0].clone().neg()
}

#[test]
fn van_der_pol_rejects_where_torchdiffeq_does() {
    check(
        van_der_pol,
        Record {
            start: &[2.0, 0.0],
            parameters: &[5.0],
            until: 4.0,
            evaluations: 110,
            accepted: 14,
            rejected: 4,
            end: &[1.235203407481623, -0.36494163494103754],
            of_state: &[5.146511924899558, 0.3385614357794531],
            of_parameters: &[0.45866914172153744],
            ..STANDARD
        },
    );
}

#[test]
fn van_der_pol_with_a_small_tolerance() {
    check(
        van_der_pol,
        Record {
            start: &[2.0, 0.0],
            parameters: &[5.0],
            until: 4.0,
            relative: 1e-6,
            absolute: 1e-8,
            evaluations: 296,
            accepted: 48,
            rejected: 1,
            end: &[1.2352815949062028, -0.36408705928169843],
            of_state: &[5.205184695669204, 0.3485782208969328],
            of_parameters: &[0.46626794612519623],
            ..STANDARD
        },
    );
}

#[test]
fn a_small_network() {
    check(
        network,
        Record {
            start: &[0.5, -1.0, 2.0],
            parameters: &[0.3, -1.2, 0.8, 2.0, 0.1, -0.7, -1.5, 0.9, 0.4],
            evaluations: 14,
            accepted: 2,
            rejected: 0,
            end: &[1.0407124609710237, -0.1851342002010462, 0.5293956496955492],
            of_state: &[0.6907016816920993, -0.19901996316010506, 0.9304921774470625],
            of_parameters: &[
                0.18010935178948662,
                -0.08955040911008452,
                0.160580911661151,
                -0.12774981088573395,
                0.10599521931970408,
                -0.23658865048681513,
                0.19667358794925346,
                -0.19094689305525459,
                0.3522727381450366,
            ],
            ..STANDARD
        },
    );
}

#[test]
fn a_stiff_relaxation() {
    check(
        forced,
        Record {
            start: &[0.0],
            parameters: &[50.0],
            evaluations: 146,
            accepted: 21,
            rejected: 3,
            end: &[0.5559784473304822],
            of_state: &[4.666557703488743e-05],
            of_parameters: &[-0.0010341630083734485],
            ..STANDARD
        },
    );
}

#[test]
fn a_first_step_that_is_much_too_long() {
    check(
        forced,
        Record {
            start: &[0.0],
            parameters: &[50.0],
            first_step: Some(0.5),
            evaluations: 151,
            accepted: 19,
            rejected: 6,
            end: &[0.5585828091751739],
            of_state: &[-7.47698044062695e-05],
            of_parameters: &[0.0008626821587649354],
            ..STANDARD
        },
    );
}

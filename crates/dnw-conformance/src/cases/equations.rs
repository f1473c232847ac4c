//! Differential equations with known solutions.

use std::sync::Arc;

use burn::tensor::Tensor;
use dnw_ode::{Control, Gradient, Integrator, solvers};

use crate::TestDevice;
use crate::case::{Case, Failure, Outcome};
use crate::compare::close;
use crate::random::upload;
use crate::tolerance::SOLUTIONS;

pub(crate) fn cases() -> Vec<Case> {
    let gradients = [
        ("through", Gradient::Through),
        ("checkpointed", Gradient::Checkpointed),
        ("adjoint", Gradient::Adjoint),
    ];
    let of_solver = |(solver, name)| {
        gradients.map(|(method, gradient)| {
            Case::new(format!("equations::{name}::{method}"), move |target| {
                decay(target, solver, gradient)
            })
        })
    };
    let solvers = [(solvers::DOPRI5, "dopri5"), (solvers::TSIT5, "tsit5")];
    solvers.into_iter().flat_map(of_solver).collect()
}

/// `y' = -r y` has the solution `y(1) = y(0) exp(-r)`, with the gradients `exp(-r)` and `-y(0) exp(-r)`.
fn decay(target: &TestDevice, solver: solvers::Solver, gradient: Gradient) -> Outcome {
    let device = target.autodiff();
    let (starts, rates) = ([1.0, -2.0, 0.5, 3.0, 1.5, -0.25], [0.5, 1.0, 2.0]);
    let start = upload(&starts, [2, 3], &device).require_grad();
    let rate = upload(&rates, [3], &device).require_grad();
    let field = |_: f64, y: Tensor<2>, p: &[Tensor<1>]| y * p[0].clone().neg().reshape([1, 3]);
    let integrator = Integrator::new(solver, Control::adaptive(1e-6, 1e-6)).with_gradient(gradient);
    let solution = integrator.solve_field(
        Arc::new(field),
        start.clone(),
        std::slice::from_ref(&rate),
        0.0,
        1.0,
    )?;
    let end = |i: usize| f64::from(starts[i]) * (-f64::from(rates[i % 3])).exp();
    let expected: Vec<f64> = (0..6).map(end).collect();
    let grads = solution.state.clone().sum().backward();
    close(
        "the solution",
        &solution.state.into_data(),
        &expected,
        SOLUTIONS,
    )?;
    let missing = |what: &str| Failure::wrong(format!("there is no gradient of the {what}"));
    let start_gradient = start.grad(&grads).ok_or_else(|| missing("start"))?;
    let expected: Vec<f64> = (0..6).map(|i| (-f64::from(rates[i % 3])).exp()).collect();
    close(
        "the gradient of the start",
        &start_gradient.into_data(),
        &expected,
        SOLUTIONS,
    )?;
    let rate_gradient = rate.grad(&grads).ok_or_else(|| missing("rates"))?;
    let expected: Vec<f64> = (0..3).map(|i| -end(i) - end(i + 3)).collect();
    close(
        "the gradient of the rates",
        &rate_gradient.into_data(),
        &expected,
        SOLUTIONS,
    )
}

//! Tests of every gradient against finite differences and against the others.
#![cfg(any(feature = "flex", feature = "ndarray"))]
#![cfg_attr(feature = "ndarray", allow(deprecated))]

use std::sync::Arc;

use burn::tensor::{DType, Device, Tensor, TensorData};
use dnw_ode::{Adaptive, Control, Gradient, Integrator, OdeError, VectorField, solvers};

const ALL: [Gradient; 3] = [Gradient::Through, Gradient::Checkpointed, Gradient::Adjoint];

fn devices() -> Vec<Device> {
    vec![
        #[cfg(feature = "flex")]
        Device::flex(),
        #[cfg(feature = "ndarray")]
        Device::ndarray(),
    ]
}

fn double<const D: usize>(values: &[f64], shape: [usize; D], device: &Device) -> Tensor<D> {
    let data = TensorData::new(values.to_vec(), shape);
    Tensor::from_data(data, (device, DType::F64))
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter().collect()
}

fn assert_near(what: &str, found: &[f64], expected: &[f64], allowed: f64) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let size = expected.iter().fold(1e-3, |most: f64, x| most.max(x.abs()));
    for (found, expected) in found.iter().zip(expected) {
        let error = (found - expected).abs() / size;
        assert!(error <= allowed, "{what}: {found} is not {expected}");
    }
}

/// Solves an equation from t = 0 to 1.
fn solve<const D: usize>(
    integrator: Integrator,
    field: impl VectorField<D> + 'static,
    state: &Tensor<D>,
    parameters: &[Tensor<1>],
) -> Tensor<D> {
    let solution = integrator.solve_field(Arc::new(field), state.clone(), parameters, 0.0, 1.0);
    solution.unwrap().state
}

/// Two states of three entries under `y' = tanh(y W + t b) - s y`: parameters with 9, 3 and 1 elements.
fn field(t: f64, y: Tensor<2>, p: &[Tensor<1>]) -> Tensor<2> {
    let [weight, bias, leak] = p else {
        panic!("three parameters");
    };
    let inputs = y.clone().matmul(weight.clone().reshape([3, 3]));
    let inputs = inputs + bias.clone().mul_scalar(t).reshape([1, 3]);
    inputs.tanh() - y * leak.clone().reshape([1, 1])
}

const STATE: [f64; 6] = [0.5, -1.0, 2.0, 0.1, 0.7, -0.4];
const PARAMETERS: [&[f64]; 3] = [
    &[0.3, -1.2, 0.8, 2.0, 0.1, -0.7, -1.5, 0.9, 0.4],
    &[0.6, -0.3, 1.1],
    &[0.5],
];

/// The loss, and its gradients with respect to the state and each parameter.
fn loss_and_gradient(integrator: &Integrator, device: &Device) -> (f64, Vec<Vec<f64>>) {
    let device = device.clone().autodiff();
    let state = double(&STATE, [2, 3], &device).require_grad();
    let parameters =
        PARAMETERS.map(|values| double(values, [values.len()], &device).require_grad());
    let field = Arc::new(field);
    let solution = integrator
        .solve_field(field, state.clone(), &parameters, 0.0, 1.5)
        .unwrap();
    let loss = solution.state.powi_scalar(3).sum();
    let gradients = loss.backward();
    let mut found = vec![values(state.grad(&gradients).unwrap())];
    found.extend(
        parameters
            .iter()
            .map(|p| values(p.grad(&gradients).unwrap())),
    );
    (values(loss)[0], found)
}

/// Checks that the other gradients agree with that through the solver.
fn assert_gradients_agree(gradient_of: impl Fn(Gradient) -> Vec<f64>) {
    let through = gradient_of(Gradient::Through);
    let checkpointed = gradient_of(Gradient::Checkpointed);
    assert_near("checkpointed", &checkpointed, &through, 1e-12);
    assert_near("adjoint", &gradient_of(Gradient::Adjoint), &through, 1e-6);
}

/// Central differences of the loss, in the same order.
fn differences(integrator: &Integrator, device: &Device) -> Vec<Vec<f64>> {
    let loss = |given: &[Vec<f64>]| {
        let parameters: Vec<Tensor<1>> = given[1..]
            .iter()
            .map(|values| double(values, [values.len()], device))
            .collect();
        let state = double(&given[0], [2, 3], device);
        let solution = integrator.solve_field(Arc::new(field), state, &parameters, 0.0, 1.5);
        values(solution.unwrap().state.powi_scalar(3).sum())[0]
    };
    let given: Vec<Vec<f64>> = [&STATE as &[f64]]
        .iter()
        .chain(&PARAMETERS)
        .map(|values| values.to_vec())
        .collect();
    let h = 1e-5;
    let difference = |part: usize, entry: usize| {
        let at = |change: f64| {
            let mut moved = given.clone();
            moved[part][entry] += change;
            loss(&moved)
        };
        (at(h) - at(-h)) / (2.0 * h)
    };
    (0..given.len())
        .map(|part| {
            (0..given[part].len())
                .map(|entry| difference(part, entry))
                .collect()
        })
        .collect()
}

fn assert_all_near(what: &str, found: &[Vec<f64>], expected: &[Vec<f64>], allowed: f64) {
    assert_eq!(found.len(), expected.len());
    for (part, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert_near(&format!("{what}, part {part}"), found, expected, allowed);
    }
}

#[test]
fn gradients_through_constant_steps_are_those_of_the_discretisation() {
    for device in devices() {
        for solver in solvers::ALL {
            // With so few steps the solution is inaccurate; the gradient must be that of the inaccurate solution.
            let integrator = Integrator::new(solver, Control::Constant { steps: 3 });
            let expected = differences(&integrator, &device);
            for gradient in [Gradient::Through, Gradient::Checkpointed] {
                let (_, found) = loss_and_gradient(&integrator.with_gradient(gradient), &device);
                assert_all_near(solver.name, &found, &expected, 1e-7);
            }
        }
    }
}

#[test]
fn every_gradient_is_that_of_the_equation_if_the_tolerance_is_small() {
    for device in devices() {
        for solver in [solvers::TSIT5, solvers::DOPRI5] {
            let integrator = Integrator::new(solver, Control::adaptive(1e-9, 1e-9));
            let expected = differences(&integrator, &device);
            for gradient in ALL {
                let (_, found) = loss_and_gradient(&integrator.with_gradient(gradient), &device);
                assert_all_near(&format!("{gradient:?}"), &found, &expected, 1e-5);
            }
        }
    }
}

#[test]
fn every_gradient_has_the_same_solution() {
    for device in devices() {
        let control = Control::adaptive(1e-3, 1e-3);
        let loss = |gradient| {
            let integrator = Integrator::new(solvers::DOPRI5, control).with_gradient(gradient);
            loss_and_gradient(&integrator, &device).0
        };
        assert_eq!(loss(Gradient::Through), loss(Gradient::Checkpointed));
        assert_eq!(loss(Gradient::Through), loss(Gradient::Adjoint));
    }
}

#[test]
fn checkpointing_has_the_gradient_through_the_solver() {
    for device in devices() {
        for (solver, control) in [
            (solvers::HEUN, Control::adaptive(1e-3, 1e-3)),
            (solvers::DOPRI5, Control::adaptive(1e-3, 1e-3)),
            // With rejected steps, and a last step beyond the end.
            (
                solvers::TSIT5,
                Control::Adaptive(Adaptive::new(1e-6, 1e-6).with_first_step(8.0)),
            ),
        ] {
            let integrator = Integrator::new(solver, control);
            let (_, remembered) = loss_and_gradient(&integrator, &device);
            let again = integrator.with_gradient(Gradient::Checkpointed);
            let (_, again) = loss_and_gradient(&again, &device);
            assert_all_near(solver.name, &again, &remembered, 1e-13);
        }
    }
}

#[test]
fn the_adjoint_converges_to_the_gradient_through_the_solver() {
    for device in devices() {
        let apart = |tolerance| {
            let control = Control::adaptive(tolerance, tolerance);
            let integrator = Integrator::new(solvers::DOPRI5, control);
            let (_, through) = loss_and_gradient(&integrator, &device);
            let (_, adjoint) =
                loss_and_gradient(&integrator.with_gradient(Gradient::Adjoint), &device);
            let pairs = through.iter().flatten().zip(adjoint.iter().flatten());
            pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
        };
        let (coarse, fine) = (apart(1e-3), apart(1e-7));
        assert!(fine < 1e-5 && fine < coarse / 100.0, "{coarse} and {fine}");
    }
}

/// The gradient of `scale * sum of the final state` with respect to the state and the parameters of `field`.
fn scaled(gradient: Gradient, scale: f64, device: &Device) -> Vec<f64> {
    let device = device.clone().autodiff();
    let state = double(&[0.3, 0.9], [2], &device).require_grad();
    let rate = double(&[1.3], [1], &device).require_grad();
    let field = |_: f64, y: Tensor<1>, p: &[Tensor<1>]| (y * p[0].clone()).sin();
    let integrator = Integrator::new(solvers::DOPRI5, Control::adaptive(1e-3, 1e-3));
    let integrator = integrator.with_gradient(gradient);
    let end = solve(integrator, field, &state, std::slice::from_ref(&rate));
    let gradients = end.sum().mul_scalar(scale).backward();
    [state, rate]
        .iter()
        .flat_map(|x| values(x.grad(&gradients).unwrap()))
        .collect()
}

#[test]
fn the_accuracy_of_the_adjoint_does_not_depend_on_the_scale_of_the_loss() {
    for device in devices() {
        let whole = scaled(Gradient::Adjoint, 1.0, &device);
        let small: Vec<f64> = scaled(Gradient::Adjoint, 1e-9, &device)
            .iter()
            .map(|x| x * 1e9)
            .collect();
        assert_near("scaled", &small, &whole, 1e-12);
        assert_eq!(scaled(Gradient::Adjoint, 0.0, &device), [0.0; 3]);
    }
}

#[test]
fn a_solution_can_be_combined_with_other_layers() {
    for device in devices() {
        let device = device.autodiff();
        let gradient_of = |gradient| {
            let x = double(&[0.2, -0.6], [1, 2], &device);
            let first = double(&[0.5, 1.0, -0.3, 0.8], [2, 2], &device).require_grad();
            let shared = double(&[0.9, -0.2, 0.4, 0.7], [4], &device).require_grad();
            let field = |_: f64, y: Tensor<2>, p: &[Tensor<1>]| {
                y.matmul(p[0].clone().reshape([2, 2])).tanh()
            };
            let integrator = Integrator::new(solvers::DOPRI5, Control::adaptive(1e-9, 1e-9))
                .with_gradient(gradient);
            // The parameter is used squared, twice, and again after the second solution.
            let parameters = [shared.clone().square()];
            let mut state = x.matmul(first.clone()).tanh();
            for _ in 0..2 {
                let solved = integrator.solve_field(Arc::new(field), state, &parameters, 0.0, 0.5);
                state = solved.unwrap().state.sin();
            }
            let loss = state.matmul(shared.clone().reshape([2, 2])).square().sum();
            let gradients = loss.backward();
            [
                values(first.grad(&gradients).unwrap()),
                values(shared.grad(&gradients).unwrap()),
            ]
            .concat()
        };
        assert_gradients_agree(gradient_of);
    }
}

#[test]
fn only_tracked_tensors_have_a_gradient() {
    for device in devices() {
        let device = device.autodiff();
        for gradient in ALL {
            let integrator = Integrator::new(solvers::DOPRI5, Control::adaptive(1e-9, 1e-9))
                .with_gradient(gradient);
            let decay = |_: f64, y: Tensor<1>, p: &[Tensor<1>]| match p {
                [] => y.neg(),
                [rate, ..] => y * rate.clone().neg(),
            };
            // y = y0 exp(-rate t), and a second parameter that is unused.
            let (state, rate) = (double(&[2.0], [1], &device), double(&[1.5], [1], &device));
            let idle = double(&[7.0, 8.0], [2], &device).require_grad();
            let end = |state: &Tensor<1>, parameters: &[Tensor<1>]| {
                solve(integrator, decay, state, parameters)
            };

            let tracked = state.clone().require_grad();
            let gradients = end(&tracked, &[]).sum().backward();
            let of_state = values(tracked.grad(&gradients).unwrap());
            assert_near("state alone", &of_state, &[(-1f64).exp()], 1e-7);

            let tracked = rate.clone().require_grad();
            let gradients = end(&state, &[tracked.clone(), idle.clone()])
                .sum()
                .backward();
            let of_rate = values(tracked.grad(&gradients).unwrap());
            assert_near("parameter alone", &of_rate, &[-2.0 * (-1.5f64).exp()], 1e-7);
            let of_idle = idle.grad(&gradients).map_or(vec![0.0; 2], values);
            assert_eq!(of_idle, [0.0, 0.0]);

            assert!(!end(&state, &[rate]).is_tracked());
        }
    }
}

#[test]
fn a_constant_slope_passes_the_gradient_through() {
    for device in devices() {
        let device = device.autodiff();
        for gradient in ALL {
            let state = double(&[2.0, 3.0], [2], &device).require_grad();
            let ones = double(&[1.0, 1.0], [2], &device);
            let field = move |_: f64, _: Tensor<1>, _: &[Tensor<1>]| ones.clone();
            let integrator = Integrator::new(solvers::RK4, Control::Constant { steps: 2 });
            let end = solve(integrator.with_gradient(gradient), field, &state, &[]);
            let gradients = end.square().sum().backward();
            let found = values(state.grad(&gradients).unwrap());
            assert_near("gradient", &found, &[6.0, 8.0], 1e-12);
        }
    }
}

#[test]
fn a_field_may_have_constants_on_the_training_device() {
    for device in devices() {
        for device in [
            device.clone().autodiff(),
            device.autodiff().gradient_checkpointing(),
        ] {
            let gradient_of = |gradient| {
                let mask = double(&[1.0, 0.0, 1.0], [3], &device);
                let field = move |_: f64, y: Tensor<1>, p: &[Tensor<1>]| {
                    (y * p[0].clone()).cos() * mask.clone()
                };
                let state = double(&[0.1, 0.2, 0.3], [3], &device).require_grad();
                let weight = double(&[1.0, 2.0, 3.0], [3], &device).require_grad();
                let integrator = Integrator::new(solvers::TSIT5, Control::adaptive(1e-8, 1e-8));
                let integrator = integrator.with_gradient(gradient);
                let end = solve(integrator, field, &state, std::slice::from_ref(&weight));
                let gradients = end.square().sum().backward();
                [state, weight]
                    .map(|x| values(x.grad(&gradients).unwrap()))
                    .concat()
            };
            assert_gradients_agree(gradient_of);
        }
    }
}

#[test]
fn a_tracked_tensor_that_is_not_a_parameter_is_an_error() {
    for device in devices() {
        let device = device.autodiff();
        let hidden = double(&[1.5], [1], &device).require_grad();
        let field: Arc<dyn VectorField<1>> =
            Arc::new(move |_: f64, y: Tensor<1>, _: &[Tensor<1>]| y * hidden.clone());
        for gradient in [Gradient::Checkpointed, Gradient::Adjoint] {
            let error = Integrator::new(solvers::DOPRI5, Control::adaptive(1e-3, 1e-3))
                .with_gradient(gradient)
                .solve_field(field.clone(), double(&[1.0], [1], &device), &[], 0.0, 1.0)
                .unwrap_err();
            assert_eq!(error, OdeError::HiddenParameter);
        }
    }
}

#[test]
fn without_autodiff_every_gradient_only_solves() {
    for device in devices() {
        for gradient in ALL {
            let field = |_: f64, y: Tensor<1>, _: &[Tensor<1>]| y.neg();
            let integrator = Integrator::new(solvers::DOPRI5, Control::adaptive(1e-8, 1e-8));
            let start = double(&[1.0], [1], &device);
            let end = solve(integrator.with_gradient(gradient), field, &start, &[]);
            assert!(!end.is_autodiff());
            assert_near("end", &values(end), &[(-1f64).exp()], 1e-6);
        }
    }
}

/// The gradient with respect to the start of a strongly contracting equation.
fn of_a_contracting_equation(gradient: Gradient) -> f64 {
    let device = devices()[0].clone().autodiff();
    let state = double(&[1.0], [1], &device).require_grad();
    let field = |t: f64, y: Tensor<1>, _: &[Tensor<1>]| {
        (y.clone() - y.tanh().mul_scalar(0.5))
            .sub_scalar(t.cos())
            .mul_scalar(-400.0)
    };
    let solved = Integrator::new(solvers::DOPRI5, Control::adaptive(1e-3, 1e-3))
        .with_gradient(gradient)
        .solve_field(Arc::new(field), state.clone(), &[], 0.0, 2.0)
        .unwrap();
    let gradients = solved.state.sum().backward();
    values(state.grad(&gradients).unwrap())[0]
}

#[test]
fn checkpointing_works_for_a_contracting_equation() {
    let found = of_a_contracting_equation(Gradient::Checkpointed);
    assert!((found - of_a_contracting_equation(Gradient::Through)).abs() < 1e-12);
}

#[test]
#[should_panic(expected = "the adjoint cannot integrate the state backwards from t = 2 to 0")]
fn an_unstable_adjoint_panics() {
    of_a_contracting_equation(Gradient::Adjoint);
}

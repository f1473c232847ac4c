//! Tests against equations with known solutions, and of the errors of equations without a solution.
#![cfg(feature = "flex")]

use burn::tensor::{DType, Device, Tensor, TensorData};
use dnw_ode::{Adaptive, Control, Integrator, OdeError, Solution, Solver, solvers};
use proptest::prelude::*;

fn double(values: &[f64]) -> Tensor<1> {
    let data = TensorData::new(values.to_vec(), [values.len()]);
    Tensor::from_data(data, (&Device::flex(), DType::F64))
}

fn values(tensor: Tensor<1>) -> Vec<f64> {
    tensor.into_data().iter().collect()
}

fn constant(solver: Solver, steps: usize) -> Integrator {
    Integrator::new(solver, Control::Constant { steps })
}

/// `y' = y cos t`, so `y = exp(sin t)` from 1.
fn growth(t: f64, y: Tensor<1>) -> Tensor<1> {
    y.mul_scalar(t.cos())
}

/// `y'' = -100 y`: ten periods in 2 pi.
fn oscillator(_: f64, y: Tensor<1>) -> Tensor<1> {
    let (position, speed) = (y.clone().narrow(0, 0, 1), y.narrow(0, 1, 1));
    Tensor::cat(vec![speed, position.mul_scalar(-100.0)], 0)
}

/// `y' = -50 (y - cos t)`, from 0: a fast decay to a slow solution.
fn relaxation(t: f64, y: Tensor<1>) -> Tensor<1> {
    y.sub_scalar(t.cos()).mul_scalar(-50.0)
}

fn relaxed(t: f64) -> f64 {
    (2500.0 * t.cos() + 50.0 * t.sin() - 2500.0 * (-50.0 * t).exp()) / 2501.0
}

#[test]
fn halving_the_step_divides_the_error_by_two_to_the_order() {
    for solver in solvers::ALL {
        // The maximum over several ends, because the leading error may cancel at one of them.
        let error = |steps| {
            let at = |end: f64| {
                let solved = constant(solver, steps).solve(growth, double(&[1.0]), 0.0, end);
                (values(solved.unwrap().state)[0] - end.sin().exp()).abs()
            };
            [1.0, 1.5, 2.0, 2.5].map(at).into_iter().fold(0.0, f64::max)
        };
        let steps = if solver.order < 3 { 256 } else { 32 };
        let gained = (error(steps) / error(2 * steps)).log2();
        let order = f64::from(solver.order);
        assert!(
            (gained - order).abs() < 0.3,
            "{}: {gained} is not {order}",
            solver.name
        );
    }
}

#[test]
fn constant_steps_need_one_evaluation_per_stage() {
    for (solver, evaluations) in [
        (solvers::EULER, 10),
        (solvers::HEUN, 20),
        (solvers::RK4, 40),
        (solvers::TSIT5, 61),
        (solvers::DOPRI5, 61),
    ] {
        let solved = constant(solver, 10)
            .solve(growth, double(&[1.0]), 0.0, 1.0)
            .unwrap();
        let work = (solved.evaluations, solved.accepted, solved.rejected);
        assert_eq!(work, (evaluations, 10, 0), "{}", solver.name);
    }
}

#[test]
fn adaptive_steps_meet_the_tolerance() {
    for solver in [solvers::HEUN, solvers::TSIT5, solvers::DOPRI5] {
        for tolerance in [1e-3, 1e-5, 1e-7] {
            let integrator = Integrator::new(solver, Control::adaptive(tolerance, tolerance))
                .with_limit(1_000_000);
            let solve = |slope: fn(f64, Tensor<1>) -> Tensor<1>, start: &[f64]| {
                values(
                    integrator
                        .solve(slope, double(start), 0.0, 1.0)
                        .unwrap()
                        .state,
                )[0]
            };
            for (found, expected) in [
                (solve(oscillator, &[1.0, 0.0]), 10f64.cos()),
                (solve(relaxation, &[0.0]), relaxed(1.0)),
                (solve(growth, &[1.0]), 1f64.sin().exp()),
            ] {
                // The tolerance is per step; over ten periods errors accumulate.
                let error = (found - expected).abs();
                assert!(
                    error < 100.0 * tolerance,
                    "{} at {tolerance}: {error}",
                    solver.name
                );
            }
        }
    }
}

#[test]
fn a_smaller_tolerance_needs_more_evaluations_and_is_more_accurate() {
    for solver in [solvers::TSIT5, solvers::DOPRI5] {
        let solve = |tolerance| {
            let control = Control::adaptive(tolerance, tolerance);
            let solved = Integrator::new(solver, control)
                .solve(oscillator, double(&[1.0, 0.0]), 0.0, 1.0)
                .unwrap();
            (
                (values(solved.state)[0] - 10f64.cos()).abs(),
                solved.evaluations,
            )
        };
        let (coarse, fine) = (solve(1e-4), solve(1e-8));
        assert!(
            fine.0 < coarse.0 / 100.0,
            "{}: {} and {}",
            solver.name,
            coarse.0,
            fine.0
        );
        assert!(fine.1 > coarse.1);
    }
}

#[test]
fn the_end_inside_a_step_is_interpolated() {
    // One step beyond the end, with polynomials that the interpolant reproduces exactly.
    for (solver, degree) in [
        (solvers::HEUN, 2),
        (solvers::TSIT5, 4),
        (solvers::DOPRI5, 4),
    ] {
        let mut seen: f64 = 0.0;
        let slope = |t: f64, y: Tensor<1>| {
            seen = seen.max(t);
            y.mul_scalar(0.0).add_scalar(t.powi(degree - 1))
        };
        let control = Control::Adaptive(Adaptive::new(0.0, 10.0).with_first_step(1.7));
        let solved = Integrator::new(solver, control)
            .solve(slope, double(&[0.0]), 0.0, 1.0)
            .unwrap();
        let expected = 1.0 / f64::from(degree);
        let found = values(solved.state)[0];
        assert!(
            (found - expected).abs() < 1e-9,
            "{}: {found} is not {expected}",
            solver.name
        );
        assert_eq!((solved.accepted, seen), (1, 1.7), "{}", solver.name);
    }
}

fn error_at(solver: Solver, end: f64) -> f64 {
    let control = Control::adaptive(1e-7, 1e-7);
    let solved = Integrator::new(solver, control)
        .solve(growth, double(&[1.0]), 0.0, end)
        .unwrap();
    (values(solved.state)[0] - end.sin().exp()).abs()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn ends_inside_a_step_are_as_accurate(end in 0.01f64..6.0) {
        for solver in [solvers::TSIT5, solvers::DOPRI5] {
            let error = error_at(solver, end);
            prop_assert!(error < 3e-6, "{} at {end}: {error}", solver.name);
        }
    }

    #[test]
    fn integrating_backwards_returns_to_the_start(start in -2.0f64..2.0, from in -3.0f64..3.0, to in -3.0f64..3.0) {
        let integrator = Integrator::new(solvers::DOPRI5, Control::adaptive(1e-8, 1e-8));
        let there = integrator.solve(growth, double(&[start]), from, to).unwrap();
        let back = integrator.solve(growth, there.state, to, from).unwrap();
        prop_assert!((values(back.state)[0] - start).abs() < 1e-5);
    }
}

#[test]
fn an_empty_interval_returns_the_state_without_evaluations() {
    let solved = constant(solvers::RK4, 3)
        .solve(growth, double(&[2.5]), 1.0, 1.0)
        .unwrap();
    assert_eq!((values(solved.state), solved.evaluations), (vec![2.5], 0));
}

#[test]
fn a_state_keeps_its_shape_and_precision() {
    let state = Tensor::<4>::ones([2, 3, 4, 5], &Device::flex());
    let control = Control::adaptive(1e-3, 1e-3);
    let solved = Integrator::new(solvers::DOPRI5, control)
        .solve(|_, y| y.neg(), state.clone(), 0.0, 1.0)
        .unwrap();
    assert_eq!(solved.state.dims(), [2, 3, 4, 5]);
    assert_eq!(solved.state.dtype(), DType::F32);
    // The initial state is unchanged.
    assert_eq!(state.min().into_scalar::<f32>(), 1.0);
}

fn adaptive(slope: impl FnMut(f64, Tensor<1>) -> Tensor<1>) -> Result<Solution<1>, OdeError> {
    Integrator::new(solvers::DOPRI5, Control::adaptive(1e-6, 1e-6))
        .with_limit(2_000)
        .solve(slope, double(&[1.0]), 0.0, 2.0)
}

#[test]
fn a_solution_that_blows_up_is_an_error() {
    // y = 1 / (1 - t).
    let error = adaptive(|_, y| y.square()).unwrap_err();
    let t = match error {
        OdeError::TooManyEvaluations { t, .. } => t,
        OdeError::StepUnderflow { t, .. } | OdeError::NonFinite { t } => t,
        other => panic!("{other}"),
    };
    assert!((t - 1.0).abs() < 1e-3, "at {t}");
}

#[test]
fn the_limit_is_exact() {
    let mut evaluations = 0;
    let slope = |_: f64, y: Tensor<1>| {
        evaluations += 1;
        y.mul_scalar(-1e5)
    };
    let error = adaptive(slope).unwrap_err();
    assert!(
        matches!(
            error,
            OdeError::TooManyEvaluations {
                limit: 2_000,
                end: 2.0,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(evaluations, 2_000);
}

#[test]
fn a_discontinuity_underflows_the_step_size() {
    let slope = |t: f64, y: Tensor<1>| {
        y.mul_scalar(0.0)
            .add_scalar(if t < 0.5 { 0.0 } else { 1e300 })
    };
    let error = adaptive(slope).unwrap_err();
    let OdeError::StepUnderflow { t, .. } = error else {
        panic!("{error}");
    };
    assert!((t - 0.5).abs() < 1e-6, "at {t}");
}

#[test]
fn a_nan_slope_is_an_error() {
    let at_once = adaptive(|_, y| y.mul_scalar(f64::NAN)).unwrap_err();
    assert_eq!(at_once, OdeError::NonFinite { t: 0.0 });

    let later = adaptive(|t, y| y.mul_scalar(if t < 0.5 { 1.0 } else { f64::NAN })).unwrap_err();
    let OdeError::NonFinite { t } = later else {
        panic!("{later}");
    };
    assert!((t - 0.5).abs() < 1e-6, "at {t}");

    let constant = constant(solvers::RK4, 10).solve(|_, y| y.log(), double(&[-1.0]), 0.0, 1.0);
    assert!(matches!(constant, Err(OdeError::NonFinite { .. })));
}

#[test]
fn a_trial_state_outside_the_slope_s_domain_only_shortens_the_step() {
    // The square root of a negative number is NaN, which only too long steps reach.
    let control = Control::Adaptive(Adaptive::new(1e-6, 1e-6).with_first_step(1.0));
    let solved = Integrator::new(solvers::DOPRI5, control)
        .solve(|_, y| y.sqrt().mul_scalar(-4.0), double(&[1.0]), 0.0, 0.25)
        .unwrap();
    // y = (1 - 2 t)^2.
    assert!((values(solved.state)[0] - 0.25).abs() < 1e-4);
    assert!(solved.rejected > 0);
}

#[test]
fn a_slope_of_another_shape_is_an_error() {
    let error = adaptive(|_, y| Tensor::cat(vec![y.clone(), y], 0)).unwrap_err();
    let expected = OdeError::SlopeShape {
        expected: vec![1],
        found: vec![2],
    };
    assert_eq!(error, expected);
}

#[test]
fn invalid_settings_are_errors() {
    let solve = |integrator: Integrator, end| {
        integrator
            .solve(growth, double(&[1.0]), 0.0, end)
            .unwrap_err()
    };
    let no_estimate = solve(
        Integrator::new(solvers::RK4, Control::adaptive(1e-3, 1e-3)),
        1.0,
    );
    assert_eq!(no_estimate, OdeError::NoErrorEstimate { solver: "rk4" });
    let adaptive = |control| Integrator::new(solvers::DOPRI5, Control::Adaptive(control));
    let usual = Adaptive::new(1e-3, 1e-3);
    for integrator in [
        constant(solvers::RK4, 0),
        constant(solvers::RK4, 1).with_limit(0),
        adaptive(Adaptive::new(-1e-3, 1e-3)),
        adaptive(Adaptive::new(1e-3, 0.0)),
        adaptive(Adaptive::new(f64::NAN, 1e-3)),
        adaptive(usual.with_first_step(0.0)),
        adaptive(Adaptive {
            shrink: 1.0,
            ..usual
        }),
        adaptive(Adaptive { grow: 0.5, ..usual }),
        adaptive(Adaptive {
            safety: 0.0,
            ..usual
        }),
    ] {
        let error = integrator.check().unwrap_err();
        assert!(matches!(error, OdeError::Setting { .. }), "{error}");
        assert_eq!(solve(integrator, 1.0).to_string(), error.to_string());
    }
    let endless = solve(constant(solvers::RK4, 3), f64::INFINITY);
    assert!(matches!(
        endless,
        OdeError::Setting {
            what: "the end",
            ..
        }
    ));
}

use std::sync::Arc;

use burn::tensor::Tensor;

use crate::control::Control;
use crate::error::OdeError;
use crate::field::{Flat, VectorField};
use crate::gradient::{self, Gradient, Through};
use crate::integration::{Integrated, Plan, integrate};
use crate::solvers::Solver;

/// The configuration of a solution: solver, step-size control, gradient and limit, which are independent of each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Integrator {
    /// The solver.
    pub solver: Solver,
    /// The step-size control.
    pub control: Control,
    /// How the gradient is computed.
    pub gradient: Gradient,
    /// The maximum number of evaluations of the slope per solution (default 10,000).
    pub limit: usize,
}

/// The state at the end of an interval, and statistics.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Solution<const D: usize> {
    /// The state at the end.
    pub state: Tensor<D>,
    /// Evaluations of the slope, including those of rejected steps and of the estimate of the first step.
    pub evaluations: usize,
    /// Accepted steps.
    pub accepted: usize,
    /// Rejected steps.
    pub rejected: usize,
}

impl Integrator {
    /// An integrator with the gradient through the solver.
    pub fn new(solver: Solver, control: Control) -> Self {
        Self {
            solver,
            control,
            gradient: Gradient::default(),
            limit: 10_000,
        }
    }

    /// Sets how the gradient is computed.
    pub fn with_gradient(mut self, gradient: Gradient) -> Self {
        self.gradient = gradient;
        self
    }

    /// Sets the maximum number of evaluations of the slope per solution.
    pub fn with_limit(mut self, evaluations: usize) -> Self {
        self.limit = evaluations;
        self
    }

    /// Checks the settings without solving an equation.
    ///
    /// # Errors
    /// [`OdeError::Setting`] or [`OdeError::NoErrorEstimate`].
    pub fn check(&self) -> Result<(), OdeError> {
        self.plan(0.0, 1.0).check()
    }

    /// Solves `d state / dt = slope(t, state)` from `start` to `end`, which may be less than `start`. The gradient is always that
    /// through the solver, because the parameters of a plain function are unknown.
    ///
    /// # Errors
    /// [`OdeError`] if a setting is invalid, the limit is reached, the step size underflows, or the state or its slope is not finite.
    pub fn solve<const D: usize>(
        &self,
        mut slope: impl FnMut(f64, Tensor<D>) -> Tensor<D>,
        state: Tensor<D>,
        start: f64,
        end: f64,
    ) -> Result<Solution<D>, OdeError> {
        let plan = self.plan(start, end);
        let slope = |t, state: &Tensor<D>| Ok(slope(t, state.clone()));
        integrate(&plan, state, slope, &mut Through).map(Solution::new)
    }

    /// Solves `d state / dt = field(t, state, parameters)` from `start` to `end`, which may be less than `start`. The `backward` of a
    /// loss computes the gradients of `state` and `parameters` as [`gradient`](Self::gradient) specifies.
    ///
    /// `parameters`: each flattened, all with the same dtype.
    ///
    /// # Errors
    /// As [`solve`](Self::solve). With a gradient other than that through the solver also
    /// [`OdeError::HiddenParameter`], if the slope depends on a tracked tensor that is not a parameter, and
    /// [`OdeError::Device`], if this crate was built without support for the backend.
    pub fn solve_field<const D: usize>(
        &self,
        field: Arc<dyn VectorField<D>>,
        state: Tensor<D>,
        parameters: &[Tensor<1>],
        start: f64,
        end: f64,
    ) -> Result<Solution<D>, OdeError> {
        let plan = self.plan(start, end);
        let strategy = state.gradient_checkpointing_strategy();
        let of_parameters = || {
            parameters
                .iter()
                .find_map(Tensor::gradient_checkpointing_strategy)
        };
        let solved = match (self.gradient, strategy.or_else(of_parameters)) {
            // Without autodiff there is no gradient.
            (Gradient::Through, _) | (_, None) => {
                let slope = |t, state: &Tensor<D>| Ok(field.slope(t, state.clone(), parameters));
                integrate(&plan, state, slope, &mut Through)?
            }
            (gradient, Some(strategy)) => {
                gradient::check(&state.device())?;
                let flat = Flat::new(parameters, &state);
                let solve = match gradient {
                    Gradient::Checkpointed => gradient::checkpointed,
                    _ => gradient::adjoint,
                };
                solve(&plan, field, state, flat, strategy)?
            }
        };
        Ok(Solution::new(solved))
    }

    fn plan(&self, start: f64, end: f64) -> Plan {
        Plan {
            solver: self.solver,
            control: self.control,
            limit: self.limit,
            start,
            end,
        }
    }
}

impl<const D: usize> Solution<D> {
    fn new(integrated: Integrated<Tensor<D>>) -> Self {
        Self {
            state: integrated.state,
            evaluations: integrated.evaluations,
            accepted: integrated.accepted,
            rejected: integrated.rejected,
        }
    }
}

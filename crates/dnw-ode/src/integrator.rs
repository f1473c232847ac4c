use std::sync::Arc;

use burn::tensor::Tensor;

use crate::control::Control;
use crate::error::OdeError;
use crate::field::{Flat, VectorField};
use crate::gradient::{self, Gradient, Through};
use crate::integration::{Integrated, Plan, integrate};
use crate::solvers::Solver;

/// How equations are solved: a solver, a control of its steps, a gradient, a limit. Each is a choice of its own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Integrator {
    /// How a step is made.
    pub solver: Solver,
    /// How long it is.
    pub control: Control,
    /// How the gradient of the solution is found.
    pub gradient: Gradient,
    /// The most evaluations of the slope that one solution may take (10,000 unless set).
    pub limit: usize,
}

/// The state at the end of an interval, and the work that it took.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Solution<const D: usize> {
    /// The state at the end.
    pub state: Tensor<D>,
    /// Evaluations of the slope, those of rejected steps and of the search for the first step included.
    pub evaluations: usize,
    /// Steps that met the tolerance.
    pub accepted: usize,
    /// Steps that did not.
    pub rejected: usize,
}

impl Integrator {
    /// With a solver and a control; the gradient is that through the solver.
    pub fn new(solver: Solver, control: Control) -> Self {
        Self {
            solver,
            control,
            gradient: Gradient::default(),
            limit: 10_000,
        }
    }

    /// Sets how the gradient is found.
    pub fn with_gradient(mut self, gradient: Gradient) -> Self {
        self.gradient = gradient;
        self
    }

    /// Sets the most evaluations of the slope that one solution may take.
    pub fn with_limit(mut self, evaluations: usize) -> Self {
        self.limit = evaluations;
        self
    }

    /// Whether the settings make sense, before there is anything to solve.
    ///
    /// # Errors
    /// [`OdeError::Setting`] or [`OdeError::NoErrorEstimate`], as any solution would.
    pub fn check(&self) -> Result<(), OdeError> {
        self.plan(0.0, 1.0).check()
    }

    /// Solves `d state / dt = slope(t, state)` from `start` to `end`, which may lie before `start`. The gradient is that through
    /// the solver, whatever the integrator is set to: a plain function does not say what it depends on.
    ///
    /// # Errors
    /// If a setting makes no sense, the limit is reached, steps underflow, or the state or its slope stops being finite.
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

    /// Solves `d state / dt = field(t, state, parameters)` from `start` to `end`, which may lie before `start`. The gradient, found as
    /// [`gradient`](Self::gradient) says, reaches `state` and `parameters` by the `backward` of any loss.
    ///
    /// `parameters`: each flattened, all of one type of number.
    ///
    /// # Errors
    /// As [`solve`](Self::solve). With a gradient other than that through the solver also
    /// [`OdeError::HiddenParameter`], if the field holds tensors that a gradient would have to reach, and
    /// [`OdeError::Device`], if the backend is none of those that this crate was built for.
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
            // Outside autodiff there is no gradient to find.
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

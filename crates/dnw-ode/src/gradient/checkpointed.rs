//! The gradient through the solver, with steps recomputed one at a time.

use std::sync::Arc;

use burn::tensor::{GradientCheckpointingStrategy, Tensor};

use super::operation::{Pullback, pulled_back};
use super::{Start, integrate_untracked};
use crate::error::OdeError;
use crate::field::{Flat, VectorField, pull_back};
use crate::integration::{Integrated, Plan, Step, Watch, attempt};
use crate::solvers::Solver;
use crate::state::State;

/// The accepted steps, each with its initial state.
struct Steps<const D: usize>(Vec<(Step, Tensor<D>)>);

impl<const D: usize> Watch<Tensor<D>> for Steps<D> {
    fn accepted(&mut self, step: Step, state: &Tensor<D>) {
        self.0.push((step, state.untracked()));
    }
}

/// Solves with [`Gradient::Checkpointed`](super::Gradient::Checkpointed). `strategy` is that of the state or the parameters.
pub(crate) fn checkpointed<const D: usize>(
    plan: &Plan,
    field: Arc<dyn VectorField<D>>,
    state: Tensor<D>,
    flat: Flat,
    strategy: GradientCheckpointingStrategy,
) -> Result<Integrated<Tensor<D>>, OdeError> {
    let mut steps = Steps(Vec::new());
    let start = Start::new(&state, &flat, strategy);
    let solved = integrate_untracked(plan, &*field, &start, &mut steps)?;
    let (solver, untracked) = (plan.solver, flat.with(flat.values.clone().inner()));
    let pullback = Pullback::new(move |mut gradient: Tensor<D>| {
        let mut of_parameters = untracked.values.zeros_like();
        for (step, before) in steps.0.iter().rev() {
            let found = pull_back(
                strategy,
                before,
                &untracked,
                &gradient,
                |state, parameters| {
                    let slope = |t, state: &Tensor<D>| field.slope(t, state.clone(), parameters);
                    remake(&solver, *step, &state, slope)
                },
            );
            gradient = found.state;
            of_parameters = of_parameters + found.parameters;
        }
        (gradient, of_parameters)
    });
    Ok(Integrated {
        state: pulled_back(solved.state, state, flat.values, pullback),
        ..solved
    })
}

/// Recomputes an accepted step.
fn remake<const D: usize>(
    solver: &Solver,
    step: Step,
    state: &Tensor<D>,
    slope: impl Fn(f64, &Tensor<D>) -> Tensor<D>,
) -> Tensor<D> {
    let first = slope(step.t, state);
    let slope = |t, state: &Tensor<D>| Ok(slope(t, state));
    attempt(solver, step.t, step.step, state, first, slope)
        .and_then(|made| made.reached(solver, step, state, slope))
        .expect("slopes of a closure cannot fail")
}

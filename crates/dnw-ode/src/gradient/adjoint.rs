//! The continuous adjoint: the gradient as the solution of another ODE.
//!
//! With a = dL/d state, `da/dt = -a df/d state`, and the parameters' gradient is the integral of `a df/d parameters`
//! (Chen et al. 2018, section 2 and appendix B). Both need the state, which is integrated backwards together with them.

use std::sync::Arc;

use burn::tensor::{GradientCheckpointingStrategy, Tensor};

use super::operation::{Pullback, pulled_back};
use super::{MOST_EVALUATIONS_BACK, Start, integrate_untracked};
use crate::error::OdeError;
use crate::field::{Flat, VectorField, pull_back};
use crate::integration::{Integrated, Plan, Unwatched, integrate};
use crate::state::{State, Tolerance, root_mean_square};

/// The state of the backward integration.
#[derive(Clone)]
struct Augmented<const D: usize> {
    state: Tensor<D>,
    adjoint: Tensor<D>,
    parameters: Tensor<1>,
}

impl<const D: usize> State for Augmented<D> {
    fn sum(factors: &[f64], slopes: &[Self]) -> Option<Self> {
        let states: Vec<_> = slopes.iter().map(|slope| slope.state.clone()).collect();
        let adjoints: Vec<_> = slopes.iter().map(|slope| slope.adjoint.clone()).collect();
        let parameters: Vec<_> = slopes
            .iter()
            .map(|slope| slope.parameters.clone())
            .collect();
        Some(Self {
            state: State::sum(factors, &states)?,
            adjoint: State::sum(factors, &adjoints)?,
            parameters: State::sum(factors, &parameters)?,
        })
    }

    fn plus(&self, other: &Self) -> Self {
        Self {
            state: self.state.plus(&other.state),
            adjoint: self.adjoint.plus(&other.adjoint),
            parameters: self.parameters.plus(&other.parameters),
        }
    }

    fn untracked(&self) -> Self {
        // It is not part of a graph.
        self.clone()
    }

    fn norm(&self, a: &Self, b: &Self, tolerance: Tolerance) -> f64 {
        let norms = [
            self.state.norm(&a.state, &b.state, tolerance),
            self.adjoint.norm(&a.adjoint, &b.adjoint, tolerance),
            self.parameters
                .norm(&a.parameters, &b.parameters, tolerance),
        ];
        // Not `max`, which hides NaN.
        norms
            .into_iter()
            .fold(0.0, |most, x| if x <= most { most } else { x })
    }

    fn all_finite(&self) -> bool {
        self.adjoint.all_finite() && self.parameters.all_finite()
    }

    fn check(&self, slope: &Self) -> Result<(), OdeError> {
        self.state.check(&slope.state)
    }
}

/// Solves with [`Gradient::Adjoint`](super::Gradient::Adjoint). `strategy` is that of the state or the parameters.
pub(crate) fn adjoint<const D: usize>(
    plan: &Plan,
    field: Arc<dyn VectorField<D>>,
    state: Tensor<D>,
    flat: Flat,
    strategy: GradientCheckpointingStrategy,
) -> Result<Integrated<Tensor<D>>, OdeError> {
    let start = Start::new(&state, &flat, strategy);
    let solved = integrate_untracked(plan, &*field, &start, &mut Unwatched)?;
    let back = Plan {
        start: plan.end,
        end: plan.start,
        limit: MOST_EVALUATIONS_BACK * solved.evaluations.max(1),
        ..*plan
    };
    let end = solved.state.clone().inner();
    let untracked = flat.with(flat.values.clone().inner());
    let pullback = Pullback::new(move |gradient: Tensor<D>| {
        // The adjoint is linear in its initial value. It is normalised to size 1, so that its accuracy does not depend on the scale of the
        // loss.
        let size = root_mean_square(gradient.clone());
        if size == 0.0 || !size.is_finite() {
            let parameters = untracked.values.zeros_like().add_scalar(size);
            return (gradient, parameters);
        }
        let start = Augmented {
            state: end.clone(),
            adjoint: gradient.div_scalar(size),
            parameters: untracked.values.zeros_like(),
        };
        let slope = |t, at: &Augmented<D>| {
            let found = pull_back(strategy, &at.state, &untracked, &at.adjoint, |state, p| {
                field.slope(t, state, p)
            });
            Ok(Augmented {
                state: found.value,
                adjoint: found.state.neg(),
                parameters: found.parameters.neg(),
            })
        };
        match integrate(&back, start, slope, &mut Unwatched) {
            Ok(found) => (
                found.state.adjoint.mul_scalar(size),
                found.state.parameters.mul_scalar(size),
            ),
            // A backward pass cannot return an error.
            Err(error) => panic!(
                "the adjoint cannot integrate the state backwards from t = {} to {}: {error}; use Gradient::Checkpointed",
                back.start, back.end
            ),
        }
    });
    Ok(Integrated {
        state: pulled_back(solved.state, state, flat.values, pullback),
        ..solved
    })
}

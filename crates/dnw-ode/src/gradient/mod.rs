//! How the gradient of a solution is computed.
//!
//! It is independent of the solver and the control. All three methods work with the `backward` of the loss; they differ in what they
//! keep until then.

mod adjoint;
mod checkpointed;
mod operation;
mod through;

pub(crate) use adjoint::adjoint;
pub(crate) use checkpointed::checkpointed;
pub(crate) use operation::check;
pub(crate) use through::Through;

use burn::tensor::{GradientCheckpointingStrategy, Tensor};

use crate::error::OdeError;
use crate::field::{Flat, VectorField, constant};
use crate::integration::{Integrated, Plan, Watch, integrate};

/// How the gradient of a solution is computed.
///
/// | | memory | gradient | evaluations in the backward pass |
/// | --- | --- | --- | --- |
/// | [`Through`](Self::Through) | every accepted step's graph | of the discretisation | none |
/// | [`Checkpointed`](Self::Checkpointed) | a state per accepted step, and one step's graph | the same | those of the accepted steps |
/// | [`Adjoint`](Self::Adjoint) | one state, and one slope's graph | of the equation, to the tolerance | about as many as in the forward pass |
///
/// All treat step sizes as constants. torchdiffeq differentiates through the estimate of the first step, so that its gradients differ by
/// about the tolerance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Gradient {
    /// Through the solver: every accepted step stays in the graph. Rejected steps do not.
    #[default]
    Through,
    /// Through the solver with checkpointing: only the state before each accepted step is kept, and each step is recomputed in the backward
    /// pass, last first.
    Checkpointed,
    /// The continuous adjoint (Chen et al. 2018, *Neural ordinary differential equations*): the state, its adjoint
    /// and the gradient of the parameters are integrated backwards from the end.
    ///
    /// The backward integration is unstable if the equation is strongly contracting. If it needs [`MOST_EVALUATIONS_BACK`] times the
    /// evaluations of the forward integration, or fails, the backward pass panics, because it cannot return an error.
    /// [`Checkpointed`](Self::Checkpointed) does not have this problem.
    Adjoint,
}

/// The adjoint fails after this many times the evaluations of the forward integration.
pub const MOST_EVALUATIONS_BACK: usize = 50;

/// The inputs of an operation with a custom gradient: constants outside the graph of the loss.
struct Start<const D: usize> {
    state: Tensor<D>,
    parameters: Vec<Tensor<1>>,
}

/// Integrates without a graph.
fn integrate_untracked<const D: usize>(
    plan: &Plan,
    field: &dyn VectorField<D>,
    start: &Start<D>,
    watch: &mut impl Watch<Tensor<D>>,
) -> Result<Integrated<Tensor<D>>, OdeError> {
    let slope = |t, state: &Tensor<D>| {
        let slope = field.slope(t, state.clone(), &start.parameters);
        match slope.is_tracked() {
            true => Err(OdeError::HiddenParameter),
            false => Ok(slope),
        }
    };
    integrate(plan, start.state.clone(), slope, watch)
}

impl<const D: usize> Start<D> {
    fn new(state: &Tensor<D>, flat: &Flat, strategy: GradientCheckpointingStrategy) -> Self {
        let parameters = flat.with(constant(&flat.values, strategy));
        Self {
            state: constant(state, strategy),
            parameters: parameters.split(),
        }
    }
}

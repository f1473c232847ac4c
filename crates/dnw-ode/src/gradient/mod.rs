//! How the gradient of a solution is found.
//!
//! A choice apart from the solver and the control. All three put the gradient where `backward` of the loss
//! looks for it; they differ in what they keep until then.

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

/// How the gradient of a solution is found.
///
/// | | memory | gradient | evaluations in the backward pass |
/// | --- | --- | --- | --- |
/// | [`Through`](Self::Through) | every accepted step's graph | of the numbers computed | none |
/// | [`Checkpointed`](Self::Checkpointed) | a state per accepted step, and one step's graph | the same | those of the accepted steps again |
/// | [`Adjoint`](Self::Adjoint) | one state, and one slope's graph | of the equation, to the tolerance | about as many as forward |
///
/// All treat the lengths of the steps as constants. (torchdiffeq does not for the first step, where it finds that itself: its
/// gradients differ from these by about the tolerance.)
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Gradient {
    /// Through the solver: every accepted step stays in the graph. Rejected steps do not.
    #[default]
    Through,
    /// Through the solver again: only the state before each accepted step is kept, and each step is made a second time during the
    /// backward pass, last first.
    Checkpointed,
    /// The continuous adjoint (Chen et al. 2018, *Neural ordinary differential equations*): the state, its adjoint
    /// and the gradient of the parameters are integrated back from the end.
    ///
    /// Following the state backwards is unstable where going forwards is strongly contracting. If the way back takes
    /// [`MOST_EVALUATIONS_BACK`] times the evaluations of the way forward, or fails, the backward pass panics and says so:
    /// it has no other way to end. [`Checkpointed`](Self::Checkpointed) cannot fail so.
    Adjoint,
}

/// The adjoint gives up after this many times the evaluations that the forward integration took.
pub const MOST_EVALUATIONS_BACK: usize = 50;

/// What an operation with a gradient of its own starts from: constants, outside the graph of the loss.
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

//! The right-hand side of an equation, and its vector-Jacobian products.

use burn::tensor::{GradientCheckpointingStrategy, Tensor};

/// The right-hand side f of `d state / dt = f(t, state)`.
///
/// Whatever of it is to be learned comes in as `parameters`, each flattened: [`Gradient::Adjoint`](crate::Gradient) and
/// [`Gradient::Checkpointed`](crate::Gradient) evaluate the slope again during the backward pass, on copies of the parameters
/// outside the loss' graph. What else a field holds is a constant. A closure is a field.
///
/// The slope must be a function: the same arguments give the same slope. No solver changes a state in place, so a slope may keep
/// the one that it was given.
///
/// ```
/// use std::sync::Arc;
/// use burn::tensor::{Device, Tensor};
/// use dnw_ode::{Control, Gradient, Integrator, solvers};
///
/// # fn main() -> Result<(), dnw_ode::OdeError> {
/// # #[cfg(feature = "flex")] {
/// let device = Device::flex().autodiff();
/// let rate = Tensor::<1>::from_floats([2.0], &device).require_grad();
/// let decay = |_t: f64, y: Tensor<2>, p: &[Tensor<1>]| y * p[0].clone().neg().reshape([1, 1]);
///
/// let solution = Integrator::new(solvers::TSIT5, Control::adaptive(1e-6, 1e-6))
///     .with_gradient(Gradient::Adjoint)
///     .solve_field(Arc::new(decay), Tensor::ones([4, 3], &device), &[rate.clone()], 0.0, 1.0)?;
/// let gradients = solution.state.mean().backward();
///
/// // y = exp(-rate t), so dy / d rate = -t exp(-rate t).
/// let found = rate.grad(&gradients).unwrap().into_scalar::<f32>();
/// assert!((found + (-2.0f32).exp()).abs() < 1e-4);
/// # } Ok(()) }
/// ```
pub trait VectorField<const D: usize>: Send + Sync {
    /// The slope at time `t`, shaped as `state`.
    ///
    /// `parameters`: those given to [`Integrator::solve_field`](crate::Integrator::solve_field), in that order.
    fn slope(&self, t: f64, state: Tensor<D>, parameters: &[Tensor<1>]) -> Tensor<D>;
}

impl<const D: usize, F> VectorField<D> for F
where
    F: Fn(f64, Tensor<D>, &[Tensor<1>]) -> Tensor<D> + Send + Sync,
{
    fn slope(&self, t: f64, state: Tensor<D>, parameters: &[Tensor<1>]) -> Tensor<D> {
        self(t, state, parameters)
    }
}

/// Parameters laid one after the other, so that one tracked tensor stands for all.
#[derive(Clone, Debug)]
pub(crate) struct Flat {
    /// At least one: a zero stands for no parameters.
    pub values: Tensor<1>,
    lengths: Vec<usize>,
}

impl Flat {
    /// The parameters of a field whose state is `state`.
    pub fn new<const D: usize>(parameters: &[Tensor<1>], state: &Tensor<D>) -> Self {
        let values = match parameters {
            [] => Tensor::zeros([1], (&state.device(), state.dtype())),
            parameters => Tensor::cat(parameters.to_vec(), 0),
        };
        let lengths = parameters.iter().map(|p| p.dims()[0]).collect();
        Self { values, lengths }
    }

    /// Other values in the same places.
    pub fn with(&self, values: Tensor<1>) -> Self {
        Self {
            values,
            lengths: self.lengths.clone(),
        }
    }

    /// Each parameter.
    pub fn split(&self) -> Vec<Tensor<1>> {
        let mut start = 0;
        let piece = |&length: &usize| {
            let piece = self.values.clone().narrow(0, start, length);
            start += length;
            piece
        };
        self.lengths.iter().map(piece).collect()
    }
}

/// The same values as a constant on a device with autodiff, as whatever a field holds. (`detach` would not do: in Burn it keeps
/// the wish for a gradient.)
pub(crate) fn constant<const D: usize>(
    tensor: &Tensor<D>,
    strategy: GradientCheckpointingStrategy,
) -> Tensor<D> {
    let inner = tensor.clone().inner();
    inner
        .autodiff()
        .with_gradient_checkpointing_strategy(strategy)
}

/// What a function of a state and parameters gives, and what a cotangent of that becomes: all outside any graph.
pub(crate) struct PulledBack<const D: usize> {
    pub value: Tensor<D>,
    pub state: Tensor<D>,
    pub parameters: Tensor<1>,
}

/// The value of `function` and the product of `cotangent` with its Jacobian, by a graph that lives for this call only.
///
/// That graph shares no node with any other, which is what lets it run inside another graph's backward pass.
pub(crate) fn pull_back<const D: usize>(
    strategy: GradientCheckpointingStrategy,
    state: &Tensor<D>,
    parameters: &Flat,
    cotangent: &Tensor<D>,
    function: impl FnOnce(Tensor<D>, &[Tensor<1>]) -> Tensor<D>,
) -> PulledBack<D> {
    let x = constant(state, strategy).require_grad();
    let p = parameters.with(constant(&parameters.values, strategy).require_grad());
    let value = function(x.clone(), &p.split());
    let (mut of_state, mut of_parameters) = (None, None);
    // A slope may depend on nothing.
    if value.is_tracked() {
        let gradients = (value.clone() * constant(cotangent, strategy))
            .sum()
            .backward();
        of_state = x.grad(&gradients);
        of_parameters = p.values.grad(&gradients);
    }
    PulledBack {
        value: value.inner(),
        state: of_state.unwrap_or_else(|| state.zeros_like()),
        parameters: of_parameters.unwrap_or_else(|| parameters.values.zeros_like()),
    }
}

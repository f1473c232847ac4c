//! The right-hand side of an equation, and its vector-Jacobian products.

use burn::tensor::{GradientCheckpointingStrategy, Tensor};

/// The right-hand side f of `d state / dt = f(t, state)`.
///
/// Trainable tensors are passed as `parameters`, each flattened: [`Gradient::Adjoint`](crate::Gradient) and
/// [`Gradient::Checkpointed`](crate::Gradient) evaluate the slope again in the backward pass, on copies of the parameters outside the
/// graph of the loss. All other tensors of a field are constants. Closures implement this trait.
///
/// The slope must be deterministic: the same arguments result in the same slope. Solvers never change a state in place, so a slope may
/// keep its argument.
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
    /// The slope at time `t`, with the shape of `state`.
    ///
    /// `parameters`: those of [`Integrator::solve_field`](crate::Integrator::solve_field), in the same order.
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

/// The concatenation of the parameters, so that one tracked tensor represents all.
#[derive(Clone, Debug)]
pub(crate) struct Flat {
    /// At least one element: a zero if there are no parameters.
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

    /// The same layout with other values.
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

/// The same values as a constant on a device with autodiff. Burn's `detach` is not enough, because it keeps `require_grad`.
pub(crate) fn constant<const D: usize>(
    tensor: &Tensor<D>,
    strategy: GradientCheckpointingStrategy,
) -> Tensor<D> {
    let inner = tensor.clone().inner();
    inner
        .autodiff()
        .with_gradient_checkpointing_strategy(strategy)
}

/// The value of a function of state and parameters and its vector-Jacobian products, outside any graph.
pub(crate) struct PulledBack<const D: usize> {
    pub value: Tensor<D>,
    pub state: Tensor<D>,
    pub parameters: Tensor<1>,
}

/// The value of `function` and the product of `cotangent` with its Jacobian, by a graph that exists only during this call.
///
/// The graph shares no node with any other, so that it can run within the backward pass of another graph.
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
    // A slope may be a constant.
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

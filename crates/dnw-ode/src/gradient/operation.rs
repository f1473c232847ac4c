//! An autodiff operation with a custom gradient: a value computed from a state and parameters, with a function that maps the value's
//! gradient to theirs.
//!
//! The value is computed outside the graph. The function is written with tensor operations, so it works on every backend.

// Burn deprecates ndarray in favour of flex.
#![cfg_attr(feature = "ndarray", allow(deprecated))]

use std::fmt;
use std::sync::Arc;

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{
    Autodiff, Backend, BackendTensor, Dispatch, DispatchDevice, DispatchKindConversion,
    DispatchTensor, backend_extension,
};
use burn::tensor::{Device, Tensor};

use crate::error::OdeError;

/// Maps the gradient of a value to those of its state and parameters, outside any graph.
#[derive(Clone)]
pub(crate) struct Pullback(Arc<Back>);

type Back = dyn Fn(DispatchTensor) -> [DispatchTensor; 2] + Send + Sync;

impl Pullback {
    pub fn new<const D: usize>(
        back: impl Fn(Tensor<D>) -> (Tensor<D>, Tensor<1>) + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(move |gradient| {
            let (state, parameters) = back(Tensor::from_dispatch(gradient));
            [state.into_dispatch(), parameters.into_dispatch()]
        }))
    }
}

impl fmt::Debug for Pullback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pullback")
    }
}

/// Checks that the operation supports a device.
pub(crate) fn check(device: &Device) -> Result<(), OdeError> {
    let inner = device.clone().inner();
    match inner.as_dispatch() {
        #[cfg(feature = "flex")]
        DispatchDevice::Flex(_) => Ok(()),
        #[cfg(feature = "ndarray")]
        DispatchDevice::NdArray(_) => Ok(()),
        #[cfg(feature = "cube")]
        DispatchDevice::Cube(_) => Ok(()),
        #[cfg(feature = "remote")]
        DispatchDevice::Remote(_) => Ok(()),
        #[allow(unreachable_patterns)]
        other => Err(OdeError::Device {
            device: format!("{other:?}"),
        }),
    }
}

/// Returns `value` with a gradient to `state` and `parameters` by `pullback`. The device must pass [`check`].
pub(crate) fn pulled_back<const D: usize>(
    value: Tensor<D>,
    state: Tensor<D>,
    parameters: Tensor<1>,
    pullback: Pullback,
) -> Tensor<D> {
    Tensor::from_dispatch(<Dispatch as Solved>::solved(
        value.into_dispatch(),
        state.into_dispatch(),
        parameters.into_dispatch(),
        pullback,
    ))
}

#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(feature = "cube"),
    Remote: cfg(feature = "remote"),
    Autodiff
)]
pub(crate) trait Solved: Backend {
    fn solved(
        value: FloatTensor<Self>,
        state: FloatTensor<Self>,
        parameters: FloatTensor<Self>,
        pullback: Pullback,
    ) -> FloatTensor<Self>;
}

/// Without autodiff there is no gradient.
macro_rules! solved_without_gradient {
    ($backend:ty) => {
        impl Solved for $backend {
            fn solved(
                value: FloatTensor<Self>,
                _: FloatTensor<Self>,
                _: FloatTensor<Self>,
                _: Pullback,
            ) -> FloatTensor<Self> {
                value
            }
        }
    };
}

#[cfg(feature = "flex")]
solved_without_gradient!(burn::backend::Flex);
#[cfg(feature = "ndarray")]
solved_without_gradient!(burn::backend::NdArray);
#[cfg(feature = "cube")]
solved_without_gradient!(burn::backend::Cube);
// The gradient function runs in this process; only its tensors are on the server.
#[cfg(feature = "remote")]
solved_without_gradient!(burn::backend::Remote);

impl<B: Backend, C: CheckpointStrategy> Solved for Autodiff<B, C>
where
    DispatchTensor: DispatchKindConversion<B>,
{
    fn solved(
        value: FloatTensor<Self>,
        state: FloatTensor<Self>,
        parameters: FloatTensor<Self>,
        pullback: Pullback,
    ) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct BringBack;

        impl<B: Backend> Backward<B, 2> for BringBack
        where
            DispatchTensor: DispatchKindConversion<B>,
        {
            type State = Pullback;

            fn backward(self, ops: Ops<Pullback, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
                let gradient = grads.consume::<B>(&ops.node);
                let gradient = DispatchTensor::from_backend(BackendTensor::Float(gradient));
                let found = (ops.state.0)(gradient);
                for (node, gradient) in ops.parents.into_iter().zip(found) {
                    if let Some(node) = node {
                        let gradient: BackendTensor<B> = DispatchTensor::try_into_backend(gradient)
                            .expect("a function of tensors stays on their backend");
                        grads.register::<B>(node.id, gradient.float());
                    }
                }
            }
        }

        let nodes = [state.node(), parameters.node()];
        let value = value.into_primitive();
        match Backward::<B, 2>::prepare::<C>(BringBack, nodes)
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => prep.finish(pullback, value),
            OpsKind::UnTracked(prep) => prep.finish(value),
        }
    }
}

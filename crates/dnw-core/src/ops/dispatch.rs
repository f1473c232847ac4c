//! The interface to Burn: how an operation reaches the backend of its tensors, and autodiff.
//!
//! An operation is a value: [`Operation`] if autodiff follows it, [`Untracked`] if not. Both go through
//! [`Run`], which Burn's macro implements for its runtime dispatch. This file is independent of the
//! individual operations.

use std::fmt::Debug;

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::{BoolTensor, FloatTensor};
use burn::backend::{
    Autodiff, AutodiffBackend, Backend, BackendTensor, Dispatch, DispatchAutodiffContext,
    DispatchTensor, DispatchTensorKind, ExtensionType, backend_extension,
};
#[cfg(feature = "cube")]
use burn_cubecl::{CubeBackend, kernel::into_contiguous, tensor::CubeTensor};
use tracing::Span;

use super::cpu::CpuBackend;

/// An operation on `N` float tensors, which may have gradients, and `M` masks.
///
/// Its caller has checked by [`Kernels`](super::Kernels) that the float tensors have 32 bits and are on a backend that it is implemented for.
pub trait Operation<const N: usize, const M: usize>: Clone + Debug + Send + 'static {
    /// Results besides the output.
    type Extra;
    /// What the backward pass on a CPU needs of the forward pass.
    type Saved<B: CpuBackend>: Clone + Debug + Send + 'static;

    /// The span that profiles name it by.
    fn span() -> Span;

    /// The output on a CPU. All float tensors are contiguous.
    fn forward_cpu<B: CpuBackend>(
        &self,
        floats: [FloatTensor<B>; N],
        masks: [BoolTensor<B>; M],
    ) -> (FloatTensor<B>, Self::Extra, Self::Saved<B>);

    /// The gradients to the float tensors, at least where `needed`, from that of the output, `dy`, which is contiguous.
    fn backward_cpu<B: CpuBackend>(
        &self,
        saved: Self::Saved<B>,
        dy: &FloatTensor<B>,
        needed: [bool; N],
    ) -> [Option<FloatTensor<B>>; N];

    /// The output on a GPU, and what the backward pass needs besides the inputs. All tensors are contiguous.
    #[cfg(feature = "cube")]
    fn forward_gpu(
        &self,
        _floats: &[CubeTensor; N],
        _masks: &[CubeTensor; M],
    ) -> (CubeTensor, Self::Extra, Vec<CubeTensor>) {
        no_gpu_kernel(self)
    }

    /// As [`backward_cpu`](Self::backward_cpu), from the inputs of [`forward_gpu`](Self::forward_gpu) and what it saved.
    #[cfg(feature = "cube")]
    fn backward_gpu(
        &self,
        _floats: [CubeTensor; N],
        _masks: [CubeTensor; M],
        _saved: Vec<CubeTensor>,
        _dy: CubeTensor,
        _needed: [bool; N],
    ) -> [Option<CubeTensor>; N] {
        no_gpu_kernel(self)
    }
}

/// An operation without a kernel for GPUs was dispatched to one: its function forgot to ask `Kernels`.
#[cfg(feature = "cube")]
fn no_gpu_kernel(operation: &impl Debug) -> ! {
    unreachable!("{operation:?} has no kernel for GPUs, which its caller checks")
}

/// An operation that autodiff does not follow: it selects, or updates in place. Its tensors may have gaps.
pub trait Untracked: Debug {
    /// Results besides tensors.
    type Extra;

    /// Runs on a CPU: the resulting tensors, and the results besides.
    fn run_cpu<B: CpuBackend>(self, tensors: Tensors<B>) -> (Tensors<B>, Self::Extra);

    /// The same on a GPU.
    #[cfg(feature = "cube")]
    fn run_gpu(self, _: Tensors<CubeBackend>) -> (Tensors<CubeBackend>, Self::Extra)
    where
        Self: Sized,
    {
        no_gpu_kernel(&self)
    }
}

/// The tensors of an operation.
pub struct Tensors<B: Backend> {
    floats: Vec<FloatTensor<B>>,
    masks: Vec<BoolTensor<B>>,
}

impl<B: Backend> Tensors<B> {
    pub(super) fn new<const N: usize, const M: usize>(
        floats: [FloatTensor<B>; N],
        masks: [BoolTensor<B>; M],
    ) -> Self {
        Self {
            floats: floats.into(),
            masks: masks.into(),
        }
    }

    /// Any number of tensors.
    pub(super) fn from_lists(floats: Vec<FloatTensor<B>>, masks: Vec<BoolTensor<B>>) -> Self {
        Self { floats, masks }
    }

    /// The same tensors.
    pub(super) fn into_lists(self) -> (Vec<FloatTensor<B>>, Vec<BoolTensor<B>>) {
        (self.floats, self.masks)
    }

    /// The same tensors.
    ///
    /// # Panics
    /// If there are not as many.
    pub(super) fn split<const N: usize, const M: usize>(
        self,
    ) -> ([FloatTensor<B>; N], [BoolTensor<B>; M]) {
        let (Ok(floats), Ok(masks)) = (self.floats.try_into(), self.masks.try_into()) else {
            panic!("an operation has {N} float tensors and {M} masks");
        };
        (floats, masks)
    }
}

/// Burn's derive of this takes fields that are tensors, not lists of them.
impl<B: Backend> ExtensionType<B> for Tensors<B> {
    type Target = Tensors<Dispatch>;

    fn map_to_dispatch<F>(self, map_kind: F, autodiff: DispatchAutodiffContext) -> Self::Target
    where
        F: Fn(BackendTensor<B>) -> DispatchTensorKind,
    {
        let kind = |kind| DispatchTensor { kind, autodiff };
        let float = |tensor| kind(map_kind(BackendTensor::Float(tensor)));
        let mask = |tensor| kind(map_kind(BackendTensor::Bool(tensor)));
        Tensors {
            floats: self.floats.into_iter().map(float).collect(),
            masks: self.masks.into_iter().map(mask).collect(),
        }
    }

    fn map_from_dispatch<F>(tensors: Self::Target, unwrap_kind: F) -> Self
    where
        F: Fn(DispatchTensor) -> BackendTensor<B>,
    {
        let float = |tensor| unwrap_kind(tensor).float();
        let mask = |tensor| unwrap_kind(tensor).bool();
        Tensors {
            floats: tensors.floats.into_iter().map(float).collect(),
            masks: tensors.masks.into_iter().map(mask).collect(),
        }
    }

    fn routing_tensor(tensors: &Self::Target) -> Option<&DispatchTensor> {
        tensors.floats.first().or(tensors.masks.first())
    }

    fn routing_float_tensor(tensors: &Self::Target) -> Option<&DispatchTensor> {
        tensors.floats.first()
    }

    fn autodiff_context(tensors: &Self::Target) -> DispatchAutodiffContext {
        let all = tensors.floats.iter().chain(&tensors.masks);
        all.fold(DispatchAutodiffContext::Disabled, |context, tensor| {
            context.merge(tensor.autodiff)
        })
    }
}

/// A backend that runs operations.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(feature = "cube"),
    Autodiff
)]
pub trait Run: Backend {
    /// The output of an operation, and what it returns besides.
    #[allow(unused_variables)] // where no backend is compiled in
    fn run<const N: usize, const M: usize, O: Operation<N, M>>(
        #[extension_type] tensors: Tensors<Self>,
        operation: O,
    ) -> (FloatTensor<Self>, O::Extra);

    /// Runs an operation that autodiff does not follow.
    #[allow(unused_variables)] // where no backend is compiled in
    fn run_untracked<U: Untracked>(
        #[extension_type] tensors: Tensors<Self>,
        operation: U,
    ) -> (Tensors<Self>, U::Extra);
}

/// Runs an operation on the backend of its tensors.
pub(super) fn run<const N: usize, const M: usize, O: Operation<N, M>>(
    operation: O,
    floats: [DispatchTensor; N],
    masks: [DispatchTensor; M],
) -> (DispatchTensor, O::Extra) {
    <Dispatch as Run>::run(Tensors::new(floats, masks), operation)
}

/// Runs an operation that autodiff does not follow on the backend of its tensors.
pub(super) fn run_untracked<const N: usize, const M: usize, U: Untracked>(
    operation: U,
    floats: [DispatchTensor; N],
    masks: [DispatchTensor; M],
) -> (Tensors<Dispatch>, U::Extra) {
    run_untracked_on(operation, Tensors::new(floats, masks))
}

/// [`run_untracked`] on any number of tensors, which are on one device and at least one.
pub(super) fn run_untracked_on<U: Untracked>(
    operation: U,
    tensors: Tensors<Dispatch>,
) -> (Tensors<Dispatch>, U::Extra) {
    <Dispatch as Run>::run_untracked(tensors, operation)
}

/// How a backend below autodiff computes an operation. [`Run`] calls it, with or without autodiff.
pub trait Execute: Backend {
    /// What the backward pass needs of the forward pass.
    type Saved<const N: usize, const M: usize, O: Operation<N, M>>: Clone + Debug + Send + 'static;

    /// The output of an operation, what it returns besides, and what its backward pass needs.
    fn forward<const N: usize, const M: usize, O: Operation<N, M>>(
        operation: &O,
        tensors: Tensors<Self>,
    ) -> (FloatTensor<Self>, O::Extra, Self::Saved<N, M, O>);

    /// The gradients of an operation, at least where `needed`.
    fn backward<const N: usize, const M: usize, O: Operation<N, M>>(
        operation: &O,
        saved: Self::Saved<N, M, O>,
        dy: FloatTensor<Self>,
        needed: [bool; N],
    ) -> [Option<FloatTensor<Self>>; N];

    /// Runs an operation that autodiff does not follow.
    fn untracked<U: Untracked>(tensors: Tensors<Self>, operation: U) -> (Tensors<Self>, U::Extra);
}

impl<B: CpuBackend> Execute for B {
    type Saved<const N: usize, const M: usize, O: Operation<N, M>> = O::Saved<B>;

    fn forward<const N: usize, const M: usize, O: Operation<N, M>>(
        operation: &O,
        tensors: Tensors<B>,
    ) -> (FloatTensor<B>, O::Extra, O::Saved<B>) {
        let (floats, masks) = tensors.split();
        operation.forward_cpu(floats.map(B::contiguous), masks)
    }

    fn backward<const N: usize, const M: usize, O: Operation<N, M>>(
        operation: &O,
        saved: O::Saved<B>,
        dy: FloatTensor<B>,
        needed: [bool; N],
    ) -> [Option<FloatTensor<B>>; N] {
        let dy = B::contiguous(dy);
        let found = operation.backward_cpu(saved, &dy, needed);
        B::recycle(dy);
        found
    }

    fn untracked<U: Untracked>(tensors: Tensors<B>, operation: U) -> (Tensors<B>, U::Extra) {
        operation.run_cpu(tensors)
    }
}

#[cfg(feature = "cube")]
impl Execute for CubeBackend {
    type Saved<const N: usize, const M: usize, O: Operation<N, M>> =
        ([CubeTensor; N], [CubeTensor; M], Vec<CubeTensor>);

    fn forward<const N: usize, const M: usize, O: Operation<N, M>>(
        operation: &O,
        tensors: Tensors<Self>,
    ) -> (CubeTensor, O::Extra, Self::Saved<N, M, O>) {
        let (floats, masks) = tensors.split();
        let (floats, masks) = (floats.map(into_contiguous), masks.map(into_contiguous));
        let (y, extra, saved) = operation.forward_gpu(&floats, &masks);
        (y, extra, (floats, masks, saved))
    }

    fn backward<const N: usize, const M: usize, O: Operation<N, M>>(
        operation: &O,
        (floats, masks, saved): Self::Saved<N, M, O>,
        dy: CubeTensor,
        needed: [bool; N],
    ) -> [Option<CubeTensor>; N] {
        operation.backward_gpu(floats, masks, saved, into_contiguous(dy), needed)
    }

    fn untracked<U: Untracked>(tensors: Tensors<Self>, operation: U) -> (Tensors<Self>, U::Extra) {
        operation.run_gpu(tensors)
    }
}

impl<B: Execute> Run for B {
    fn run<const N: usize, const M: usize, O: Operation<N, M>>(
        tensors: Tensors<B>,
        operation: O,
    ) -> (FloatTensor<B>, O::Extra) {
        let (y, extra, _) = B::forward(&operation, tensors);
        (y, extra)
    }

    fn run_untracked<U: Untracked>(tensors: Tensors<B>, operation: U) -> (Tensors<B>, U::Extra) {
        B::untracked(tensors, operation)
    }
}

impl<B: Execute, C: CheckpointStrategy> Run for Autodiff<B, C> {
    fn run<const N: usize, const M: usize, O: Operation<N, M>>(
        tensors: Tensors<Self>,
        operation: O,
    ) -> (FloatTensor<Self>, O::Extra) {
        /// The backward pass of any operation, as autodiff registers it.
        #[derive(Debug)]
        struct Registered<O, const M: usize>(O);

        impl<B: Execute, const N: usize, const M: usize, O: Operation<N, M>> Backward<B, N>
            for Registered<O, M>
        {
            type State = B::Saved<N, M, O>;

            fn backward(
                self,
                ops: Ops<Self::State, N>,
                grads: &mut Gradients,
                _: &mut Checkpointer,
            ) {
                let _span = O::span().entered();
                let needed = ops.parents.each_ref().map(Option::is_some);
                let dy = grads.consume::<B>(&ops.node);
                let found = B::backward(&self.0, ops.state, dy, needed);
                for (parent, gradient) in ops.parents.into_iter().zip(found) {
                    if let (Some(node), Some(gradient)) = (parent, gradient) {
                        grads.register::<B>(node.id, gradient);
                    }
                }
            }
        }

        let _span = O::span().entered();
        let (floats, masks) = tensors.split::<N, M>();
        let nodes = floats.each_ref().map(|tensor| tensor.node());
        let floats = floats.map(|tensor| tensor.into_primitive());
        let (y, extra, saved) = B::forward(&operation, Tensors::new(floats, masks));
        let prepared = Registered::<O, M>(operation).prepare::<C>(nodes);
        let y = match prepared.compute_bound().stateful() {
            OpsKind::Tracked(tracked) => tracked.finish(saved, y),
            OpsKind::UnTracked(untracked) => untracked.finish(y),
        };
        (y, extra)
    }

    fn run_untracked<U: Untracked>(
        tensors: Tensors<Self>,
        operation: U,
    ) -> (Tensors<Self>, U::Extra) {
        let Tensors { floats, masks } = tensors;
        let floats = floats.into_iter().map(|tensor| tensor.into_primitive());
        let floats = floats.collect();
        let (tensors, value) = B::untracked(Tensors { floats, masks }, operation);
        let Tensors { floats, masks } = tensors;
        let floats = floats.into_iter().map(Self::from_inner).collect();
        (Tensors { floats, masks }, value)
    }
}

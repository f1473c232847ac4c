//! Backends that compute on the CPU: their tensors as slices of this process's memory.

use std::borrow::Cow;

use burn::backend::tensor::{BoolTensor, FloatTensor};
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::Shape;
use dnw_kernels::pool;

#[cfg(feature = "flex")]
mod flex;
// Burn calls its ndarray backend deprecated; it is one of ours for as long as Burn publishes it.
#[cfg(feature = "ndarray")]
#[allow(deprecated)]
mod ndarray;

/// The address of a tensor's first element. It identifies the elements as long as a handle on them is held:
/// held elements are not changed in place, and their memory is not reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address(usize);

impl Address {
    /// That of a slice.
    pub(crate) fn of<T>(elements: &[T]) -> Self {
        Self(elements.as_ptr() as usize)
    }
}

/// A backend that computes on the CPU, on elements that can be read without a copy.
pub trait CpuBackend: Backend {
    /// The same elements, row-major and without gaps.
    fn contiguous(tensor: FloatTensor<Self>) -> FloatTensor<Self>;

    /// Whether the elements are row-major and without gaps.
    fn is_contiguous(tensor: &FloatTensor<Self>) -> bool;

    /// The elements of a contiguous tensor of 32-bit floats.
    fn floats(tensor: &FloatTensor<Self>) -> &[f32];

    /// A byte for each element, zero for `false`, in the tensor's order.
    fn bytes(tensor: &BoolTensor<Self>) -> Cow<'_, [u8]>;

    /// The address of a mask's elements.
    fn mask_address(tensor: &BoolTensor<Self>) -> Address;

    /// A tensor of these elements.
    fn tensor(elements: Vec<f32>, shape: Shape) -> FloatTensor<Self>;

    /// Changes the elements, row-major: in place if nobody else holds them.
    fn change(tensor: FloatTensor<Self>, change: impl FnOnce(&mut [f32])) -> FloatTensor<Self>;

    /// Toggles some elements of a mask: in place if nobody else holds it.
    fn toggle(mask: BoolTensor<Self>, entries: &[usize]) -> BoolTensor<Self>;

    /// Returns the memory of a tensor to the pool if nobody else holds it.
    fn recycle(tensor: FloatTensor<Self>) {
        drop(tensor);
    }
}

/// A buffer for as many elements as a tensor has, from the pool. The caller writes all of them.
pub(super) fn uninitialised_like<B: CpuBackend>(tensor: &FloatTensor<B>) -> Vec<f32> {
    pool::acquire(tensor.shape().num_elements())
}

/// Zeros, as many as a tensor has elements.
pub(super) fn zeros_like<B: CpuBackend>(tensor: &FloatTensor<B>) -> Vec<f32> {
    let mut zeros = uninitialised_like::<B>(tensor);
    zeros.fill(0.0);
    zeros
}

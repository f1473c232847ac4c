//! Tensors of Burn's CubeCL backend as buffers of `dnw-cube`.

use burn::backend::cubecl::dtype_to_storage_type;
use burn::backend::{
    BackendTensor, DispatchAutodiffContext, DispatchTensor, DispatchTensorKind, TensorMetadata,
};
use burn::tensor::{DType, Shape, Tensor};
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;
use dnw_cube::bits::MaskBits;
use dnw_cube::{Buffer, ElemType};

/// The elements of a contiguous tensor.
pub(super) fn buffer(tensor: &CubeTensor) -> Buffer {
    let length = tensor.shape().num_elements();
    Buffer::new(tensor.handle.clone(), length, tensor.dtype.size())
}

/// An uninitialised tensor of 32-bit floats on the device of another tensor, and its buffer.
pub(super) fn empty(like: &CubeTensor, shape: Shape) -> (CubeTensor, Buffer) {
    let found = Buffer::uninitialised(&like.client, shape.num_elements());
    (tensor(like, shape, &found), found)
}

/// A buffer of 32-bit floats as a tensor on the device of another one.
pub(super) fn tensor(like: &CubeTensor, shape: Shape, buffer: &Buffer) -> CubeTensor {
    let (client, device) = (like.client.clone(), like.device.clone());
    CubeTensor::new_contiguous(client, device, shape, buffer.handle(), DType::F32)
}

/// The bits of a mask, to save for the backward pass, which takes tensors of 32 bits.
pub(super) fn save_bits(like: &CubeTensor, bits: &MaskBits) -> CubeTensor {
    tensor(like, Shape::from([bits.words.length()]), &bits.words)
}

/// The bits of a mask by target, which were saved last. `sizes`: targets and the possible edges of each.
pub(super) fn saved_bits(saved: &[CubeTensor], sizes: [usize; 2]) -> MaskBits {
    let words = saved.last().expect("the bits are saved");
    MaskBits::from_words(buffer(words), sizes)
}

/// How the device stores a mask's booleans.
pub(super) fn storage(mask: &CubeTensor) -> ElemType {
    dtype_to_storage_type(mask.dtype)
}

/// The tensor, to change in place: contiguous, and a copy if anybody else holds it.
pub(super) fn to_change(tensor: CubeTensor) -> CubeTensor {
    let tensor = into_contiguous(tensor);
    match tensor.can_mut() {
        true => tensor,
        false => tensor.copy(),
    }
}

/// A tensor of floats as users of Burn have it, without autodiff.
pub(super) fn floats<const D: usize>(tensor: CubeTensor) -> Tensor<D> {
    Tensor::from_dispatch(DispatchTensor {
        kind: DispatchTensorKind::Cube(BackendTensor::Float(tensor)),
        autodiff: DispatchAutodiffContext::Disabled,
    })
}

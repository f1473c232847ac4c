//! The CPU backend ndarray.

use std::borrow::Cow;

use burn::backend::NdArray;
use burn::backend::TensorMetadata;
use burn::backend::ndarray::NdArrayTensor;
use burn::tensor::{Shape, TensorData};

use super::{Address, CpuBackend};

impl CpuBackend for NdArray {
    fn contiguous(tensor: NdArrayTensor) -> NdArrayTensor {
        let NdArrayTensor::F32(storage) = &tensor else {
            unreachable!("of 32-bit floats, which is checked before a kernel runs");
        };
        let view = storage.view();
        if view.is_standard_layout() {
            return tensor;
        }
        let values: Vec<f32> = view.iter().copied().collect();
        Self::tensor(values, tensor.shape())
    }

    fn is_contiguous(tensor: &NdArrayTensor) -> bool {
        let NdArrayTensor::F32(storage) = tensor else {
            unreachable!("of 32-bit floats, which is checked before a kernel runs");
        };
        storage.view().is_standard_layout()
    }

    fn floats(tensor: &NdArrayTensor) -> &[f32] {
        let NdArrayTensor::F32(storage) = tensor else {
            unreachable!("of 32-bit floats, which is checked before a kernel runs");
        };
        storage.view().to_slice().expect("made contiguous")
    }

    fn bytes(tensor: &NdArrayTensor) -> Cow<'_, [u8]> {
        let NdArrayTensor::Bool(storage) = tensor else {
            unreachable!("a mask is a tensor of booleans");
        };
        Cow::Owned(
            storage
                .view()
                .iter()
                .map(|&is_real| u8::from(is_real))
                .collect(),
        )
    }

    fn mask_address(tensor: &NdArrayTensor) -> Address {
        let NdArrayTensor::Bool(storage) = tensor else {
            unreachable!("a mask is a tensor of booleans");
        };
        Address::of(storage.view().to_slice().unwrap_or_default())
    }

    fn tensor(elements: Vec<f32>, shape: Shape) -> NdArrayTensor {
        NdArrayTensor::from_data(TensorData::new(elements, shape))
    }

    fn change(tensor: NdArrayTensor, change: impl FnOnce(&mut [f32])) -> NdArrayTensor {
        let NdArrayTensor::F32(storage) = Self::contiguous(tensor) else {
            unreachable!("of 32-bit floats, which is checked before a kernel runs");
        };
        let mut array = storage.into_owned();
        change(array.as_slice_mut().expect("made contiguous"));
        NdArrayTensor::F32(array.into())
    }

    fn toggle(mask: NdArrayTensor, entries: &[usize]) -> NdArrayTensor {
        let NdArrayTensor::Bool(storage) = mask else {
            unreachable!("a mask is a tensor of booleans");
        };
        let mut array = storage.into_owned();
        for &entry in entries {
            array[[entry].as_slice()] ^= true;
        }
        NdArrayTensor::Bool(array.into())
    }
}

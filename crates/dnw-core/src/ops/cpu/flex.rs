//! The CPU backend flex.

use std::borrow::Cow;

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::tensor::{DType, Shape, TensorData};
use dnw_kernels::pool;

use super::{Address, CpuBackend};

/// The same elements without gaps, without a second handle on them.
fn owned(tensor: FlexTensor) -> FlexTensor {
    if tensor.is_contiguous() {
        tensor
    } else {
        tensor.to_contiguous()
    }
}

impl CpuBackend for Flex {
    fn contiguous(tensor: FlexTensor) -> FlexTensor {
        tensor.to_contiguous()
    }

    fn is_contiguous(tensor: &FlexTensor) -> bool {
        tensor.is_contiguous()
    }

    fn floats(tensor: &FlexTensor) -> &[f32] {
        tensor
            .as_slice()
            .expect("contiguous, and of 32-bit floats, which is checked before a kernel runs")
    }

    fn bytes(tensor: &FlexTensor) -> Cow<'_, [u8]> {
        let of = |tensor: &FlexTensor| tensor.layout().contiguous_offsets();
        match of(tensor) {
            Some((start, end)) => Cow::Borrowed(&tensor.bytes()[start..end]),
            None => {
                let copy = tensor.to_contiguous();
                let (start, end) = of(&copy).expect("made contiguous");
                Cow::Owned(copy.bytes()[start..end].to_vec())
            }
        }
    }

    fn mask_address(tensor: &FlexTensor) -> Address {
        Address::of(tensor.bytes())
    }

    fn tensor(elements: Vec<f32>, shape: Shape) -> FlexTensor {
        FlexTensor::from_data(TensorData::new(elements, shape))
    }

    fn change(tensor: FlexTensor, change: impl FnOnce(&mut [f32])) -> FlexTensor {
        let mut tensor = owned(tensor);
        let (start, end) = tensor
            .layout()
            .contiguous_offsets()
            .expect("made contiguous");
        change(&mut tensor.storage_mut::<f32>()[start..end]);
        tensor
    }

    fn toggle(mask: FlexTensor, entries: &[usize]) -> FlexTensor {
        let mut mask = owned(mask);
        let (start, end) = mask.layout().contiguous_offsets().expect("made contiguous");
        let bytes = &mut mask.storage_mut::<u8>()[start..end];
        for &entry in entries {
            bytes[entry] ^= 1;
        }
        mask
    }

    fn recycle(tensor: FlexTensor) {
        let elements = tensor.layout().num_elements();
        let is_whole = tensor.layout().contiguous_offsets() == Some((0, elements))
            && tensor.bytes().len() == elements * size_of::<f32>();
        if tensor.dtype() == DType::F32 && tensor.is_unique() && is_whole {
            // The block itself comes out, since nobody else holds it.
            if let Ok(block) = tensor.into_data().try_into_vec() {
                pool::release(block);
            }
        }
    }
}

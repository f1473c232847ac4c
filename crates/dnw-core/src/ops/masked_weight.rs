//! The weights of the real edges, and zero elsewhere: what a product or convolution without a kernel of its own reads. Every entry receives
//! the gradient of the dense operation.

use burn::backend::TensorMetadata;
use burn::backend::tensor::{BoolTensor, FloatTensor};
use burn::tensor::{Bool, Tensor};
use tracing::{Span, trace_span};

use super::cpu::{CpuBackend, uninitialised_like};
use super::dispatch::{self, Operation};
use super::kernels::Kernels;
#[cfg(feature = "cube")]
use {
    super::gpu::{buffer, empty, storage},
    burn_cubecl::tensor::CubeTensor,
    dnw_cube::masked,
};

/// The weight where `real`, which has its shape, and zero elsewhere; the gradient reaches every entry.
pub(super) fn masked_weight<const D: usize>(
    weight: Tensor<D>,
    real: Tensor<D, Bool>,
    kernels: Kernels,
) -> Tensor<D> {
    if !kernels.on_cpu(&weight) && !kernels.on_gpu(&weight) {
        let kept = weight.clone().mask_fill(real.bool_not(), 0.0);
        return kept.detach() + (weight.clone() - weight.detach());
    }
    let floats = [weight.into_dispatch()];
    let (masked, ()) = dispatch::run(MaskedWeight, floats, [real.into_dispatch()]);
    Tensor::from_dispatch(masked)
}

/// Input: the weight; mask: `real`.
#[derive(Clone, Debug)]
struct MaskedWeight;

impl Operation<1, 1> for MaskedWeight {
    type Extra = ();
    type Saved<B: CpuBackend> = ();

    fn span() -> Span {
        trace_span!("masked weight")
    }

    fn forward_cpu<B: CpuBackend>(
        &self,
        [weight]: [FloatTensor<B>; 1],
        [real]: [BoolTensor<B>; 1],
    ) -> (FloatTensor<B>, (), ()) {
        let mut masked = uninitialised_like::<B>(&weight);
        let (weights, real) = (B::floats(&weight), B::bytes(&real));
        for ((masked, &weight), &real) in masked.iter_mut().zip(weights).zip(real.iter()) {
            *masked = if real == 0 { 0.0 } else { weight };
        }
        (B::tensor(masked, weight.shape()), (), ())
    }

    fn backward_cpu<B: CpuBackend>(
        &self,
        (): (),
        dy: &FloatTensor<B>,
        _: [bool; 1],
    ) -> [Option<FloatTensor<B>>; 1] {
        [Some(dy.clone())]
    }

    #[cfg(feature = "cube")]
    fn forward_gpu(
        &self,
        [weight]: &[CubeTensor; 1],
        [real]: &[CubeTensor; 1],
    ) -> (CubeTensor, (), Vec<CubeTensor>) {
        let (masked, output) = empty(weight, weight.shape());
        let (client, store) = (&weight.client, storage(real));
        masked::mask(client, &buffer(weight), &buffer(real), store, &output);
        (masked, (), Vec::new())
    }

    #[cfg(feature = "cube")]
    fn backward_gpu(
        &self,
        _: [CubeTensor; 1],
        _: [CubeTensor; 1],
        _: Vec<CubeTensor>,
        dy: CubeTensor,
        _: [bool; 1],
    ) -> [Option<CubeTensor>; 1] {
        [Some(dy)]
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use burn::tensor::{Device, Distribution};
    use proptest::prelude::*;

    use super::*;
    use crate::ops::testing::{agree, random};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn a_masked_weight_is_that_of_plain_tensors(
            targets in 1usize..9, sources in 1usize..9, side in 1usize..4, density in 0.0f64..1.0,
        ) {
            let device = Device::flex().autodiff();
            let w = random([targets, sources, side, side], &device);
            let real = w.random_like(Distribution::Uniform(0.0, 1.0)).detach().lower_elem(density);
            let by = |kernels| {
                let real = real.clone();
                move |[w]: [Tensor<4>; 1]| masked_weight(w, real.clone(), kernels)
            };
            agree([w], by(Kernels::Fastest), by(Kernels::Reference));
        }
    }
}

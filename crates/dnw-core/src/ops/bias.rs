//! The bias of a convolution.

use burn::backend::TensorMetadata;
use burn::backend::tensor::{BoolTensor, FloatTensor};
use burn::tensor::{Shape, Tensor};
use tracing::{Span, trace_span};

use super::cpu::{CpuBackend, uninitialised_like};
use super::dispatch::{self, Operation};
use super::fixed_sum::sum_of;
use super::kernels::Kernels;

/// Adds a bias to each channel. On a CPU the gradient of the bias is a sum in an order that is the same on every machine.
///
/// `x`: `[batch, channels, height, width]`; `bias`: `[channels]`; the result: as `x`.
pub(crate) fn add_bias(x: Tensor<4>, bias: Tensor<1>, kernels: Kernels) -> Tensor<4> {
    let [_, channels, height, width] = x.dims();
    if !kernels.on_cpu(&x) || !kernels.on_cpu(&bias) || height * width == 0 {
        return x + bias.reshape([1, channels, 1, 1]);
    }
    let sum = AddBias {
        channels,
        pixels: height * width,
    };
    let (y, ()) = dispatch::run(sum, [x.into_dispatch(), bias.into_dispatch()], []);
    Tensor::from_dispatch(y)
}

/// Inputs: `x`, `bias`.
#[derive(Clone, Debug)]
struct AddBias {
    channels: usize,
    /// Pixels of a feature map.
    pixels: usize,
}

impl Operation<2, 0> for AddBias {
    type Extra = ();
    type Saved<B: CpuBackend> = ();

    fn span() -> Span {
        trace_span!("bias")
    }

    fn forward_cpu<B: CpuBackend>(
        &self,
        [x, bias]: [FloatTensor<B>; 2],
        []: [BoolTensor<B>; 0],
    ) -> (FloatTensor<B>, (), ()) {
        let mut y = uninitialised_like::<B>(&x);
        let maps = B::floats(&x).chunks_exact(self.pixels);
        let biases = B::floats(&bias).iter().cycle();
        for ((y, x), bias) in y.chunks_exact_mut(self.pixels).zip(maps).zip(biases) {
            for (y, x) in y.iter_mut().zip(x) {
                *y = x + bias;
            }
        }
        (B::tensor(y, x.shape()), (), ())
    }

    fn backward_cpu<B: CpuBackend>(
        &self,
        (): (),
        dy: &FloatTensor<B>,
        [_, bias_needed]: [bool; 2],
    ) -> [Option<FloatTensor<B>>; 2] {
        let db = bias_needed.then(|| {
            let mut db = vec![0.0; self.channels];
            let maps = B::floats(dy).chunks_exact(self.pixels);
            for (channel, map) in (0..self.channels).cycle().zip(maps) {
                db[channel] += sum_of(map, |dy| dy);
            }
            B::tensor(db, Shape::from([self.channels]))
        });
        [Some(dy.clone()), db]
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use burn::tensor::Device;
    use proptest::prelude::*;

    use super::*;
    use crate::ops::testing::{agree, random};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn a_bias_is_that_of_plain_tensors(
            batch in 1usize..4, channels in 1usize..6, height in 1usize..9, width in 1usize..19,
        ) {
            let device = Device::flex().autodiff();
            let x = random([batch, channels, height, width], &device);
            let bias = random([1, channels, 1, 1], &device);
            let by = |kernels| move |[x, bias]: [Tensor<4>; 2]| add_bias(x, bias.reshape([channels]), kernels);
            agree([x, bias], by(Kernels::Fastest), by(Kernels::Reference));
        }
    }
}

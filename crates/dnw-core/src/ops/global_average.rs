//! Global average pooling.

use burn::backend::TensorMetadata;
use burn::backend::tensor::{BoolTensor, FloatTensor};
use burn::tensor::{Shape, Tensor};
use dnw_kernels::pool;
use tracing::{Span, trace_span};

use super::cpu::CpuBackend;
use super::dispatch::{self, Operation};
use super::kernels::Kernels;

/// The mean of each feature map.
///
/// On a CPU this is a kernel with an order of additions that is the same on every machine.
///
/// # Shapes
/// - `x`: `[batch, channels, height, width]`
/// - result: `[batch, channels]`
pub fn global_average(x: Tensor<4>) -> Tensor<2> {
    global_average_by(x, Kernels::default())
}

fn global_average_by(x: Tensor<4>, kernels: Kernels) -> Tensor<2> {
    let [images, channels, height, width] = x.dims();
    if !kernels.on_cpu(&x) || height * width == 0 {
        return x.mean_dim(3).mean_dim(2).flatten(1, 3);
    }
    let pixels = height * width;
    let (y, ()) = dispatch::run(GlobalAverage { pixels }, [x.into_dispatch()], []);
    Tensor::<4>::from_dispatch(y).reshape([images, channels])
}

/// Input: the feature maps.
#[derive(Clone, Debug)]
struct GlobalAverage {
    /// Pixels of a feature map.
    pixels: usize,
}

impl Operation<1, 0> for GlobalAverage {
    type Extra = ();
    /// The shape of the input.
    type Saved<B: CpuBackend> = Shape;

    fn span() -> Span {
        trace_span!("global average")
    }

    fn forward_cpu<B: CpuBackend>(
        &self,
        [x]: [FloatTensor<B>; 1],
        []: [BoolTensor<B>; 0],
    ) -> (FloatTensor<B>, (), Shape) {
        let shape = x.shape();
        let maps = B::floats(&x).chunks_exact(self.pixels);
        let means = maps.map(|map| map.iter().sum::<f32>() / self.pixels as f32);
        let y = means.collect();
        let output = Shape::from([shape[0], shape[1], 1, 1]);
        (B::tensor(y, output), (), shape)
    }

    fn backward_cpu<B: CpuBackend>(
        &self,
        shape: Shape,
        dy: &FloatTensor<B>,
        _: [bool; 1],
    ) -> [Option<FloatTensor<B>>; 1] {
        let mut dx = pool::acquire(shape.num_elements());
        let maps = dx.chunks_exact_mut(self.pixels).zip(B::floats(dy));
        for (map, dy) in maps {
            map.fill(dy / self.pixels as f32);
        }
        [Some(B::tensor(dx, shape))]
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
        fn global_averages_are_those_of_plain_tensors(
            batch in 1usize..4, channels in 1usize..6, height in 1usize..9, width in 1usize..19,
        ) {
            let x = random([batch, channels, height, width], &Device::flex().autodiff());
            let by = |kernels| move |[x]: [Tensor<4>; 1]| global_average_by(x, kernels);
            agree([x], by(Kernels::Fastest), by(Kernels::Reference));
        }
    }
}

//! The convolution over the real entries of a kernel. Every entry receives the gradient of the dense
//! convolution.

use std::sync::Arc;

use burn::backend::TensorMetadata;
use burn::backend::tensor::{BoolTensor, FloatTensor};
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Bool, Shape, Tensor};
use dnw_kernels::convolution::{self, ConvolutionPass, ConvolutionShape};
use dnw_kernels::pool;
use tracing::{Span, trace_span};

use super::cpu::CpuBackend;
use super::dispatch::{self, Operation};
use super::index::{Edges, IndexCache};
use super::kernels::Kernels;
use super::masked_weight::masked_weight;

/// Below this many channels per group Burn's own convolution is faster: it has a special path for few
/// channels.
const FEW: usize = 8;

/// The entries of a weight without a wiring up to which the index of all entries, which is made in each pass, costs little.
const SMALL: usize = 1 << 16;

/// `x`: `[batch, sources, height, width]`; `weight`, `real`: `[targets, sources / groups, height, width]`.
pub(crate) fn wired_convolution(
    x: Tensor<4>,
    weight: Tensor<4>,
    real: Tensor<4, Bool>,
    options: ConvOptions<2>,
    index: &IndexCache,
    kernels: Kernels,
) -> Tensor<4> {
    let is_for_kernels = options.groups == 1 || weight.dims()[1] >= FEW;
    let on_kernels = (is_for_kernels && kernels.on_cpu(&x))
        .then(|| WiredConvolution::new(&x, &weight, &options, index));
    match on_kernels.flatten() {
        Some(convolution) => convolution.run(x, weight, real),
        None => conv2d(x, masked_weight(weight, real, kernels), None, options),
    }
}

/// The convolution of a layer without a wiring.
///
/// On a CPU small weights are computed by the kernels of wired layers, which add in the same order on every machine.
///
/// `x`, `weight`: as in [`wired_convolution`].
pub(crate) fn convolution(
    x: Tensor<4>,
    weight: Tensor<4>,
    options: ConvOptions<2>,
    kernels: Kernels,
) -> Tensor<4> {
    let is_small = weight.shape().num_elements() <= SMALL;
    let index = IndexCache::default();
    let on_kernels = (is_small && kernels.on_cpu(&x))
        .then(|| WiredConvolution::new(&x, &weight, &options, &index));
    match on_kernels.flatten() {
        Some(convolution) => {
            let all = Tensor::full(weight.dims(), true, &weight.device().inner());
            convolution.run(x, weight, all)
        }
        None => conv2d(x, weight, None, options),
    }
}

/// Inputs: `x`, `weight`; mask: `real`.
#[derive(Clone, Debug)]
struct WiredConvolution {
    shape: ConvolutionShape,
    /// Height and width of the output.
    output: [usize; 2],
    index: IndexCache,
}

impl WiredConvolution {
    /// None where the kernels do not support the convolution.
    fn new(
        x: &Tensor<4>,
        weight: &Tensor<4>,
        options: &ConvOptions<2>,
        index: &IndexCache,
    ) -> Option<Self> {
        let [images, sources, height, width] = x.dims();
        let [targets, of_group, kernel_height, kernel_width] = weight.dims();
        let [(top, bottom), (left, right)] = options.padding;
        let shape = ConvolutionShape {
            images,
            sources,
            targets,
            maps: [height, width],
            kernel: [kernel_height, kernel_width],
            stride: options.stride,
            padding: [top, left],
            dilation: options.dilation,
            groups: options.groups,
        };
        let fits = (top, left) == (bottom, right) && sources == of_group * options.groups;
        let output = shape.output().filter(|_| fits)?;
        Some(Self {
            shape,
            output,
            index: index.clone(),
        })
    }

    fn run(self, x: Tensor<4>, weight: Tensor<4>, real: Tensor<4, Bool>) -> Tensor<4> {
        let floats = [x.into_dispatch(), weight.into_dispatch()];
        let (y, ()) = dispatch::run(self, floats, [real.into_dispatch()]);
        Tensor::from_dispatch(y)
    }
}

impl Operation<2, 1> for WiredConvolution {
    type Extra = ();
    /// The pass holds what it needs of the input, so that the input itself is not kept.
    type Saved<B: CpuBackend> = (Edges, Arc<ConvolutionPass>, [Shape; 2]);

    fn span() -> Span {
        trace_span!("wired convolution")
    }

    fn forward_cpu<B: CpuBackend>(
        &self,
        [x, weight]: [FloatTensor<B>; 2],
        [real]: [BoolTensor<B>; 1],
    ) -> (FloatTensor<B>, (), Self::Saved<B>) {
        let edges = Edges::new::<B>(&weight, &real, &self.index);
        let (shape, [height, width]) = (&self.shape, self.output);
        let output = Shape::from([shape.images, shape.targets, height, width]);
        let mut y = pool::acquire(output.num_elements());
        let x_values = B::floats(&x);
        let pass = convolution::forward(shape, x_values, &edges.weights, &edges.index, &mut y);
        let shapes = [x.shape(), weight.shape()];
        B::recycle(x);
        (B::tensor(y, output), (), (edges, Arc::new(pass), shapes))
    }

    fn backward_cpu<B: CpuBackend>(
        &self,
        (edges, pass, [x, weight]): Self::Saved<B>,
        dy: &FloatTensor<B>,
        [x_needed, weight_needed]: [bool; 2],
    ) -> [Option<FloatTensor<B>>; 2] {
        let mut dx = x_needed.then(|| pool::acquire(x.num_elements()));
        let mut dw = weight_needed.then(|| pool::acquire(weight.num_elements()));
        convolution::backward(
            &self.shape,
            &pass,
            &edges.weights,
            &edges.index,
            B::floats(dy),
            [dx.as_deref_mut(), dw.as_deref_mut()],
        );
        [
            dx.map(|dx| B::tensor(dx, x)),
            dw.map(|dw| B::tensor(dw, weight)),
        ]
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
        fn the_wired_convolution_is_that_of_plain_tensors(
            batch in 1usize..4, of_group in 1usize..10, targets in 1usize..5, groups in 1usize..3,
            side in 3usize..9, kernel in 1usize..4, stride in 1usize..3, padding in 0usize..2, density in 0.0f64..1.0,
        ) {
            let device = Device::flex().autodiff();
            let x = random([batch, of_group * groups, side, side + 1], &device);
            let w = random([targets * groups, of_group, kernel, kernel], &device);
            let real = w.random_like(Distribution::Uniform(0.0, 1.0)).detach().lower_elem(density);
            let by = |kernels| {
                let real = real.clone();
                move |[x, w]: [Tensor<4>; 2]| {
                    let options = ConvOptions::new([stride; 2], [padding; 2], [1; 2], groups);
                    wired_convolution(x, w, real.clone(), options, &IndexCache::default(), kernels)
                }
            };
            agree([x, w], by(Kernels::Fastest), by(Kernels::Reference));
        }

        #[test]
        fn a_convolution_without_a_wiring_is_that_of_plain_tensors(
            batch in 1usize..4, of_group in 1usize..4, targets in 1usize..5, groups in 1usize..5,
            side in 3usize..9, kernel in 1usize..4, stride in 1usize..3, padding in 0usize..2,
        ) {
            let device = Device::flex().autodiff();
            let x = random([batch, of_group * groups, side, side + 1], &device);
            let w = random([targets * groups, of_group, kernel, kernel], &device);
            let by = |kernels| move |[x, w]: [Tensor<4>; 2]| {
                let options = ConvOptions::new([stride; 2], [padding; 2], [1; 2], groups);
                convolution(x, w, options, kernels)
            };
            agree([x, w], by(Kernels::Fastest), by(Kernels::Reference));
        }
    }
}

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
#[cfg(feature = "cube")]
use {
    super::gpu::{buffer, empty, save_bits, saved_bits, storage},
    burn::backend::ops::{FloatTensorOps, ModuleOps},
    burn_cubecl::{CubeBackend, tensor::CubeTensor},
    dnw_cube::bits::MaskBits,
    dnw_cube::convolution as gpu_convolution,
};

/// Below this many channels per group Burn's own convolution is faster: it has a special path for few
/// channels.
const FEW: usize = 8;
/// How many numbers of a GPU's input may be written as a matrix for the gradient of the weight: 16 MiB, which the level 2 caches of large GPUs hold.
#[cfg(feature = "cube")]
const MOST_COLUMNS: usize = 1 << 22;

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
    let on_gpu = options.groups == 1 && kernels.on_gpu(&x) && kernels.on_gpu(&weight);
    let is_for_cpu = options.groups == 1 || weight.dims()[1] >= FEW;
    let on_kernels = (on_gpu || (is_for_cpu && kernels.on_cpu(&x)))
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

    #[cfg(feature = "cube")]
    fn forward_gpu(
        &self,
        [x, weight]: &[CubeTensor; 2],
        [real]: &[CubeTensor; 1],
    ) -> (CubeTensor, (), Vec<CubeTensor>) {
        let shape = self.gpu_shape();
        let sizes = [shape.targets, shape.edges_of_target()];
        let mask = MaskBits::of_targets(&x.client, &buffer(real), sizes, storage(real));
        let [height, width] = shape.output;
        let (y, output) = empty(x, Shape::from([shape.images, shape.targets, height, width]));
        let (inputs, weights) = (buffer(x), buffer(weight));
        gpu_convolution::forward(&x.client, &shape, &inputs, &weights, &mask, &output);
        (y, (), vec![save_bits(x, &mask)])
    }

    #[cfg(feature = "cube")]
    fn backward_gpu(
        &self,
        [x, weight]: [CubeTensor; 2],
        _: [CubeTensor; 1],
        saved: Vec<CubeTensor>,
        dy: CubeTensor,
        [x_needed, weight_needed]: [bool; 2],
    ) -> [Option<CubeTensor>; 2] {
        let shape = self.gpu_shape();
        let dx = x_needed.then(|| {
            let sizes = [shape.targets, shape.edges_of_target()];
            let mask = saved_bits(&saved, sizes).by_source(&x.client, shape.taps());
            let (dx, output) = empty(&x, x.shape());
            let (dy, weights) = (buffer(&dy), buffer(&weight));
            gpu_convolution::input_gradient(&x.client, &shape, &dy, &weights, &mask, &output);
            dx
        });
        let dw = weight_needed.then(|| self.weight_gradient_gpu(&shape, x, weight, dy));
        [dx, dw]
    }
}

#[cfg(feature = "cube")]
impl WiredConvolution {
    fn gpu_shape(&self) -> gpu_convolution::ConvolutionShape {
        let shape = &self.shape;
        gpu_convolution::ConvolutionShape {
            images: shape.images,
            sources: shape.sources,
            targets: shape.targets,
            input: shape.maps,
            output: self.output,
            kernel: shape.kernel,
            stride: shape.stride,
            padding: shape.padding,
            dilation: shape.dilation,
        }
    }

    /// The gradient of all edges. It is a dense product with the matrix of the input's columns, by Burn's own, which uses the GPU's matrix units.
    /// Where that matrix is large it is Burn's convolution, which tries several ways and need not write it.
    fn weight_gradient_gpu(
        &self,
        shape: &gpu_convolution::ConvolutionShape,
        x: CubeTensor,
        weight: CubeTensor,
        dy: CubeTensor,
    ) -> CubeTensor {
        let [positions, edges] = [shape.positions(), shape.edges_of_target()];
        if positions * edges > MOST_COLUMNS {
            let options = ConvOptions::new(shape.stride, shape.padding, shape.dilation, 1);
            return CubeBackend::conv2d_weight_backward(x, weight, dy, options);
        }
        let (columns, output) = empty(&x, Shape::from([positions, edges]));
        gpu_convolution::columns(&x.client, shape, &buffer(&x), &output);
        let dy = CubeBackend::float_permute(dy, &[1, 0, 2, 3]);
        let dy = CubeBackend::float_reshape(dy, Shape::from([shape.targets, positions]));
        CubeBackend::float_reshape(CubeBackend::float_matmul(dy, columns), weight.shape())
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

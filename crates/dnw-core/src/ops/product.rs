//! The wired product, `y = (M * W) x`: every target sums its real edges. Every entry of `W` receives the dense product's gradient, and
//! `x` that of the real edges.

use burn::backend::TensorMetadata;
use burn::backend::tensor::{BoolTensor, FloatTensor};
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Bool, Shape, Tensor};
use dnw_kernels::pool;
use dnw_kernels::product::{self, Layout, ProductShape};
use tracing::{Span, trace_span};

use super::cpu::{CpuBackend, uninitialised_like};
use super::dispatch::{self, Operation};
use super::index::{Edges, IndexCache};
use super::kernels::Kernels;
use super::masked_weight::masked_weight;
#[cfg(feature = "cube")]
use {
    super::gpu::{buffer, empty, save_bits, saved_bits, storage},
    burn::backend::ops::FloatTensorOps,
    burn_cubecl::{CubeBackend, tensor::CubeTensor},
    dnw_cube::bits::MaskBits,
    dnw_cube::product::{Strides, gather},
};

/// The product at every pixel.
///
/// `x`: `[batch, sources, height, width]`; `weight`, `real`: `[targets, sources, 1, 1]`; the result:
/// `[batch, targets, height, width]`.
pub(crate) fn wired_product(
    x: Tensor<4>,
    weight: Tensor<4>,
    real: Tensor<4, Bool>,
    index: &IndexCache,
    kernels: Kernels,
) -> Tensor<4> {
    let on_gpu = kernels.on_gpu(&x) && kernels.on_gpu(&weight);
    if !on_gpu && !kernels.on_cpu(&x) {
        let options = ConvOptions::new([1, 1], [0, 0], [1, 1], 1);
        return conv2d(x, masked_weight(weight, real, kernels), None, options);
    }
    let [images, sources, height, width] = x.dims();
    let targets = weight.dims()[0];
    let product = WiredProduct {
        shape: ProductShape {
            images,
            targets,
            sources,
            pixels: height * width,
            layout: Layout::TargetsFirst,
        },
        output: Shape::from([images, targets, height, width]),
        index: index.clone(),
    };
    product.run(x, weight, real)
}

/// The product of a linear layer, `y = x (M * W)`.
///
/// `x`: `[rows, inputs]`; `weight`, `real`: `[inputs, outputs]`.
pub(crate) fn wired_linear(
    x: Tensor<2>,
    weight: Tensor<2>,
    real: Tensor<2, Bool>,
    index: &IndexCache,
    kernels: Kernels,
) -> Tensor<2> {
    if !kernels.on_cpu(&x) {
        return x.matmul(masked_weight(weight, real, kernels));
    }
    let ([images, sources], [_, targets]) = (x.dims(), weight.dims());
    let product = WiredProduct {
        shape: ProductShape {
            images,
            targets,
            sources,
            pixels: 1,
            layout: Layout::SourcesFirst,
        },
        output: Shape::from([images, targets]),
        index: index.clone(),
    };
    product.run(x, weight, real)
}

/// Inputs: `x`, `weight`; mask: `real`.
#[derive(Clone, Debug)]
struct WiredProduct {
    shape: ProductShape,
    output: Shape,
    index: IndexCache,
}

impl WiredProduct {
    fn run<const D: usize>(
        self,
        x: Tensor<D>,
        weight: Tensor<D>,
        real: Tensor<D, Bool>,
    ) -> Tensor<D> {
        let floats = [x.into_dispatch(), weight.into_dispatch()];
        let (y, ()) = dispatch::run(self, floats, [real.into_dispatch()]);
        Tensor::from_dispatch(y)
    }
}

impl Operation<2, 1> for WiredProduct {
    type Extra = ();
    type Saved<B: CpuBackend> = (Edges, [FloatTensor<B>; 2]);

    fn span() -> Span {
        trace_span!("wired product")
    }

    fn forward_cpu<B: CpuBackend>(
        &self,
        [x, weight]: [FloatTensor<B>; 2],
        [real]: [BoolTensor<B>; 1],
    ) -> (FloatTensor<B>, (), Self::Saved<B>) {
        let edges = Edges::new::<B>(&weight, &real, &self.index);
        let mut y = pool::acquire(self.output.num_elements());
        let x_values = B::floats(&x);
        product::forward(self.shape, x_values, &edges.weights, &edges.index, &mut y);
        let y = B::tensor(y, self.output.clone());
        (y, (), (edges, [x, weight]))
    }

    fn backward_cpu<B: CpuBackend>(
        &self,
        (edges, [x, weight]): Self::Saved<B>,
        dy: &FloatTensor<B>,
        [x_needed, weight_needed]: [bool; 2],
    ) -> [Option<FloatTensor<B>>; 2] {
        let (x_values, dy) = (B::floats(&x), B::floats(dy));
        let dx = x_needed.then(|| {
            let mut dx = uninitialised_like::<B>(&x);
            product::input_gradient(self.shape, dy, &edges.weights, &edges.index, &mut dx);
            B::tensor(dx, x.shape())
        });
        let dw = weight_needed.then(|| {
            let mut dw = uninitialised_like::<B>(&weight);
            product::weight_gradient(self.shape, x_values, dy, &mut dw);
            B::tensor(dw, weight.shape())
        });
        B::recycle(x);
        [dx, dw]
    }

    #[cfg(feature = "cube")]
    fn forward_gpu(
        &self,
        [x, weight]: &[CubeTensor; 2],
        [real]: &[CubeTensor; 1],
    ) -> (CubeTensor, (), Vec<CubeTensor>) {
        let sizes = [self.shape.targets, self.shape.sources];
        let mask = MaskBits::of_targets(&x.client, &buffer(real), sizes, storage(real));
        let (y, output) = empty(x, self.output.clone());
        let strides = Strides {
            row: self.shape.sources,
            column: 1,
        };
        let (inputs, weights) = (buffer(x), buffer(weight));
        let images = self.shape.images;
        gather(
            &x.client, &inputs, &weights, strides, &mask, images, &output,
        );
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
        let ProductShape {
            images,
            targets,
            sources,
            pixels,
            ..
        } = self.shape;
        let dx = x_needed.then(|| {
            let mask = saved_bits(&saved, [targets, sources]).by_source(&x.client, 1);
            let (dx, output) = empty(&x, x.shape());
            let strides = Strides {
                row: 1,
                column: sources,
            };
            let (dy, weights) = (buffer(&dy), buffer(&weight));
            gather(&x.client, &dy, &weights, strides, &mask, images, &output);
            dx
        });
        // One dense product over all images, by Burn's own: it uses the GPU's matrix units.
        let dw = weight_needed.then(|| {
            let dy = CubeBackend::float_permute(dy, &[1, 0, 2, 3]);
            let dy = CubeBackend::float_reshape(dy, Shape::from([targets, images * pixels]));
            let x = CubeBackend::float_permute(x, &[0, 2, 3, 1]);
            let x = CubeBackend::float_reshape(x, Shape::from([images * pixels, sources]));
            CubeBackend::float_reshape(CubeBackend::float_matmul(dy, x), weight.shape())
        });
        [dx, dw]
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
        fn the_wired_product_is_that_of_plain_tensors(
            batch in 1usize..5, sources in 1usize..9, targets in 1usize..9, height in 1usize..9, width in 1usize..9,
            density in 0.0f64..1.0,
        ) {
            let device = Device::flex().autodiff();
            let (x, w) = (random([batch, sources, height, width], &device), random([targets, sources, 1, 1], &device));
            let real = w.random_like(Distribution::Uniform(0.0, 1.0)).detach().lower_elem(density);
            let by = |kernels| {
                let real = real.clone();
                move |[x, w]: [Tensor<4>; 2]| wired_product(x, w, real.clone(), &IndexCache::default(), kernels)
            };
            agree([x, w], by(Kernels::Fastest), by(Kernels::Reference));
        }
    }
}

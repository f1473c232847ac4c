//! Batch norm by the statistics of the batch, and the ReLU after it where there is one.

use std::sync::Arc;

use burn::backend::TensorMetadata;
use burn::backend::tensor::{BoolTensor, FloatTensor};
use burn::tensor::module::batch_norm_train;
use burn::tensor::{Device, Tensor, activation};
use dnw_kernels::norm::{self, NormParameters, NormShape};
use tracing::{Span, trace_span};

use super::cpu::{CpuBackend, uninitialised_like};
use super::dispatch::{self, Operation};
use super::kernels::Kernels;
#[cfg(feature = "cube")]
use {
    super::gpu::{buffer, empty, floats, tensor},
    burn_cubecl::tensor::CubeTensor,
    dnw_cube::norm as gpu_norm,
};

/// Mean and biased variance of each channel of a batch, `[channels]` each, where they were computed.
#[derive(Debug)]
pub(super) enum FoundStatistics {
    Host([Vec<f32>; 2]),
    #[cfg(feature = "cube")]
    Gpu([CubeTensor; 2]),
}

impl FoundStatistics {
    /// On the device, without autodiff.
    pub(super) fn tensors(self, device: &Device) -> [Tensor<1>; 2] {
        match self {
            Self::Host(found) => found.map(|of| Tensor::from_floats(of.as_slice(), device)),
            #[cfg(feature = "cube")]
            Self::Gpu(found) => found.map(floats),
        }
    }
}

/// The output, and the statistics of the batch: mean and biased variance, `[channels]` each.
///
/// `x`: `[batch, channels, height, width]`; `gamma`, `beta`: `[channels]`.
pub(crate) fn batch_norm(
    x: Tensor<4>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f64,
    rectified: bool,
    kernels: Kernels,
) -> (Tensor<4>, [Tensor<1>; 2]) {
    let on_gpu = kernels.on_gpu(&x) && kernels.on_gpu(&gamma);
    if !on_gpu && (!kernels.on_cpu(&x) || !kernels.on_cpu(&gamma)) {
        let found = batch_norm_train(x, gamma, beta, epsilon);
        let output = match rectified {
            true => activation::relu(found.output),
            false => found.output,
        };
        return (output, [found.mean, found.variance]);
    }
    let (device, [images, channels, height, width]) = (x.device().inner(), x.dims());
    let norm = BatchNorm {
        shape: NormShape {
            images,
            channels,
            pixels: height * width,
        },
        epsilon: epsilon as f32,
        rectified,
    };
    let floats = [
        x.into_dispatch(),
        gamma.into_dispatch(),
        beta.into_dispatch(),
    ];
    let (y, statistics) = dispatch::run(norm, floats, []);
    (Tensor::from_dispatch(y), statistics.tensors(&device))
}

/// Inputs: `x`, `gamma`, `beta`.
#[derive(Clone, Debug)]
struct BatchNorm {
    shape: NormShape,
    epsilon: f32,
    rectified: bool,
}

impl BatchNorm {
    fn parameters<'a, B: CpuBackend>(
        &self,
        [gamma, beta]: &'a [FloatTensor<B>; 2],
    ) -> NormParameters<'a> {
        NormParameters {
            gamma: B::floats(gamma),
            beta: B::floats(beta),
            epsilon: self.epsilon,
            rectified: self.rectified,
        }
    }
}

impl Operation<3, 0> for BatchNorm {
    type Extra = FoundStatistics;
    /// `x`, the parameters, and mean and variance of each channel.
    type Saved<B: CpuBackend> = (FloatTensor<B>, [FloatTensor<B>; 2], Arc<Vec<f32>>);

    fn span() -> Span {
        trace_span!("batch norm")
    }

    fn forward_cpu<B: CpuBackend>(
        &self,
        [x, gamma, beta]: [FloatTensor<B>; 3],
        []: [BoolTensor<B>; 0],
    ) -> (FloatTensor<B>, FoundStatistics, Self::Saved<B>) {
        let affine = [gamma, beta];
        let parameters = self.parameters::<B>(&affine);
        let mut y = uninitialised_like::<B>(&x);
        let pairs = norm::forward(self.shape, B::floats(&x), &parameters, &mut y);
        let of = |at: usize| pairs.iter().skip(at).step_by(2).copied().collect();
        let statistics = FoundStatistics::Host([of(0), of(1)]);
        let y = B::tensor(y, x.shape());
        (y, statistics, (x, affine, Arc::new(pairs)))
    }

    fn backward_cpu<B: CpuBackend>(
        &self,
        (x, affine, statistics): Self::Saved<B>,
        dy: &FloatTensor<B>,
        _: [bool; 3],
    ) -> [Option<FloatTensor<B>>; 3] {
        let parameters = self.parameters::<B>(&affine);
        let (x_values, dy) = (B::floats(&x), B::floats(dy));
        let mut dx = uninitialised_like::<B>(&x);
        let [gamma, beta] =
            norm::backward(self.shape, x_values, &statistics, &parameters, dy, &mut dx);
        let dx = B::tensor(dx, x.shape());
        B::recycle(x);
        let [dgamma, dbeta] = [(gamma, &affine[0]), (beta, &affine[1])]
            .map(|(gradient, like)| B::tensor(gradient, like.shape()));
        [dx, dgamma, dbeta].map(Some)
    }

    #[cfg(feature = "cube")]
    fn forward_gpu(
        &self,
        [x, gamma, beta]: &[CubeTensor; 3],
        []: &[CubeTensor; 0],
    ) -> (CubeTensor, FoundStatistics, Vec<CubeTensor>) {
        let (client, inputs) = (&x.client, buffer(x));
        let (y, output) = empty(x, x.shape());
        let (shape, affine) = (self.gpu_shape(), self.gpu_affine(gamma, beta));
        let found = gpu_norm::statistics(client, shape, &inputs);
        gpu_norm::forward(client, shape, &inputs, &found, &affine, &output);
        let found = [found.mean, found.variance].map(|of| tensor(x, gamma.shape(), &of));
        (y, FoundStatistics::Gpu(found.clone()), found.into())
    }

    #[cfg(feature = "cube")]
    fn backward_gpu(
        &self,
        [x, gamma, beta]: [CubeTensor; 3],
        []: [CubeTensor; 0],
        saved: Vec<CubeTensor>,
        dy: CubeTensor,
        _: [bool; 3],
    ) -> [Option<CubeTensor>; 3] {
        let statistics = gpu_norm::Statistics {
            mean: buffer(&saved[0]),
            variance: buffer(&saved[1]),
        };
        let (dx, output) = empty(&x, x.shape());
        let (shape, affine) = (self.gpu_shape(), self.gpu_affine(&gamma, &beta));
        let (inputs, dy) = (buffer(&x), buffer(&dy));
        let client = &x.client;
        let found = gpu_norm::backward(
            client,
            shape,
            &inputs,
            &statistics,
            &affine,
            &dy,
            &output,
            0,
        );
        let [dgamma, dbeta] = found.map(|of| tensor(&x, gamma.shape(), &of));
        [dx, dgamma, dbeta].map(Some)
    }
}

#[cfg(feature = "cube")]
impl BatchNorm {
    fn gpu_shape(&self) -> gpu_norm::NormShape {
        gpu_norm::NormShape {
            channels: self.shape.channels,
            images: self.shape.images,
            pixels: self.shape.pixels,
            channels_first: false,
        }
    }

    fn gpu_affine(&self, gamma: &CubeTensor, beta: &CubeTensor) -> gpu_norm::Affine {
        gpu_norm::Affine {
            gamma: buffer(gamma),
            beta: buffer(beta),
            epsilon: self.epsilon,
            rectified: self.rectified,
        }
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use burn::tensor::Tolerance;
    use proptest::prelude::*;

    use super::*;
    use crate::ops::testing::{agree, random};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn batch_norm_and_its_statistics_are_those_of_plain_tensors(
            batch in 2usize..5, channels in 1usize..6, side in 2usize..9, rectified in any::<bool>(),
        ) {
            let device = Device::flex().autodiff();
            let x = random([batch, channels, side, side], &device);
            let (gamma, beta) = (random([channels, 1, 1, 1], &device), random([channels, 1, 1, 1], &device));
            let by = |kernels| {
                move |[x, g, b]: [Tensor<4>; 3]| {
                    batch_norm(x, g.flatten(0, 3), b.flatten(0, 3), 1e-2, rectified, kernels)
                }
            };
            let of = |kernels| by(kernels)([x.clone(), gamma.clone(), beta.clone()]).1;
            for (a, b) in of(Kernels::Fastest).into_iter().zip(of(Kernels::Reference)) {
                a.into_data().assert_approx_eq::<f32>(&b.into_data(), Tolerance::rel_abs(1e-4, 1e-5));
            }
            let output = |kernels| move |inputs| by(kernels)(inputs).0;
            agree([x, gamma, beta], output(Kernels::Fastest), output(Kernels::Reference));
        }
    }
}

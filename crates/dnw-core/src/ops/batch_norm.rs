//! Batch norm by the statistics of the batch, and the ReLU after it where there is one.

use std::sync::Arc;

use burn::backend::TensorMetadata;
use burn::backend::tensor::{BoolTensor, FloatTensor};
use burn::tensor::module::batch_norm_train;
use burn::tensor::{Tensor, activation};
use dnw_kernels::norm::{self, NormParameters, NormShape};
use tracing::{Span, trace_span};

use super::cpu::{CpuBackend, uninitialised_like};
use super::dispatch::{self, Operation};
use super::kernels::Kernels;

/// Mean and biased variance of each node's input in a batch, `[nodes with a node function]` each.
pub type BatchStatistics = [Vec<f32>; 2];

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
    if !kernels.on_cpu(&x) || !kernels.on_cpu(&gamma) {
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
    let statistics = statistics.map(|of| Tensor::from_floats(of.as_slice(), &device));
    (Tensor::from_dispatch(y), statistics)
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
    type Extra = BatchStatistics;
    /// `x`, the parameters, and mean and variance of each channel.
    type Saved<B: CpuBackend> = (FloatTensor<B>, [FloatTensor<B>; 2], Arc<Vec<f32>>);

    fn span() -> Span {
        trace_span!("batch norm")
    }

    fn forward_cpu<B: CpuBackend>(
        &self,
        [x, gamma, beta]: [FloatTensor<B>; 3],
        []: [BoolTensor<B>; 0],
    ) -> (FloatTensor<B>, BatchStatistics, Self::Saved<B>) {
        let affine = [gamma, beta];
        let parameters = self.parameters::<B>(&affine);
        let mut y = uninitialised_like::<B>(&x);
        let pairs = norm::forward(self.shape, B::floats(&x), &parameters, &mut y);
        let of = |at: usize| pairs.iter().skip(at).step_by(2).copied().collect();
        let statistics = [of(0), of(1)];
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
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use burn::tensor::{Device, Tolerance};
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

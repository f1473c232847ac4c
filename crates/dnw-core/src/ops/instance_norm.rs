//! Instance norm.

use burn::tensor::Tensor;

use super::batch_norm::batch_norm;
use super::kernels::Kernels;

/// Normalises each feature map of each image to a mean of zero and a variance of one, then multiplies by `gamma` and adds `beta`;
/// computed in the type of `gamma`.
///
/// On a CPU it is the batch norm of one image that has the feature maps of all images as its channels.
///
/// `x`: `[batch, nodes, height, width]`; `gamma`, `beta`: `[nodes]`.
pub(crate) fn instance_norm(
    x: Tensor<4>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f64,
    kernels: Kernels,
) -> Tensor<4> {
    let ([images, nodes, height, width], dtype) = (x.dims(), x.dtype());
    let x = x.cast(gamma.dtype());
    if kernels.on_cpu(&x) {
        let of_maps = |of_nodes: Tensor<1>| of_nodes.repeat(&[images]);
        let maps = x.reshape([1, images * nodes, height, width]);
        let (gamma, beta) = (of_maps(gamma), of_maps(beta));
        let (normed, _) = batch_norm(maps, gamma, beta, epsilon, false, kernels);
        return normed.reshape([images, nodes, height, width]).cast(dtype);
    }
    let mean = x.clone().mean_dim(3).mean_dim(2);
    let centred = x - mean;
    let variance = (centred.clone() * centred.clone()).mean_dim(3).mean_dim(2);
    let normed = centred / (variance + epsilon).sqrt();
    let normed = normed * gamma.reshape([1, nodes, 1, 1]) + beta.reshape([1, nodes, 1, 1]);
    normed.cast(dtype)
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
        fn an_instance_norm_is_that_of_plain_tensors(
            batch in 1usize..4, nodes in 1usize..6, height in 1usize..9, width in 2usize..19,
        ) {
            let device = Device::flex().autodiff();
            let x = random([batch, nodes, height, width], &device);
            let [gamma, beta] = [(); 2].map(|()| random([1, nodes, 1, 1], &device));
            let by = |kernels| move |[x, gamma, beta]: [Tensor<4>; 3]| {
                instance_norm(x, gamma.reshape([nodes]), beta.reshape([nodes]), 1e-2, kernels)
            };
            agree([x, gamma, beta], by(Kernels::Fastest), by(Kernels::Reference));
        }
    }
}

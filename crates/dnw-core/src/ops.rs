//! The operations that a backend may do better than its plain tensors can.
//!
//! Each has a body in plain tensors, which is the reference and serves every backend, and one for the CPU
//! backend flex on the kernels of `dnw-kernels`. The choice is made by the device of the tensors, at run time.

use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Bool, Tensor, activation};

#[cfg(feature = "flex")]
mod flex;

/// Which bodies are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kernels {
    /// The fastest that the device has.
    #[default]
    Fastest,
    /// Plain tensors, on every device.
    Reference,
}

impl Kernels {
    /// Whether the CPU kernels serve this tensor: on flex, of 32-bit floats.
    #[cfg(feature = "flex")]
    fn serve(self, x: &Tensor<4>) -> bool {
        let floats = x.dtype() == burn::tensor::DType::F32;
        self == Self::Fastest && floats && flex::is_device_of(x)
    }
}

/// `y = (M * W) x` over pixels, where every entry of `W` receives the dense product's gradient and `x` that of
/// the real edges.
///
/// `x`: `[batch, sources, height, width]`; `weight`, `real`: `[targets, sources, 1, 1]`; the result:
/// `[batch, targets, height, width]`.
pub(crate) fn wired_product(
    x: Tensor<4>,
    weight: Tensor<4>,
    real: Tensor<4, Bool>,
    kernels: Kernels,
) -> Tensor<4> {
    #[cfg(feature = "flex")]
    if kernels.serve(&x) {
        return flex::wired_product(x, weight, real);
    }
    let _ = kernels;
    let kept = weight.clone().mask_fill(real.bool_not(), 0.0);
    let effective = kept.detach() + (weight.clone() - weight.detach());
    let options = ConvOptions::new([1, 1], [0, 0], [1, 1], 1);
    conv2d(x, effective, None, options)
}

/// The node function: instance norm, ReLU, depthwise 3 x 3 with one pixel of padding.
///
/// `x`: `[batch, nodes, height, width]`; `gamma`, `beta`: `[nodes]`; `kernel`: `[nodes, 1, 3, 3]`.
pub(crate) fn node_function(
    x: Tensor<4>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    kernel: Tensor<4>,
    epsilon: f64,
    kernels: Kernels,
) -> Tensor<4> {
    #[cfg(feature = "flex")]
    if kernels.serve(&x) {
        return flex::fused_nodes(x, gamma, beta, kernel, epsilon);
    }
    let _ = kernels;
    let nodes = x.dims()[1];
    let normed = instance_norm(x, gamma, beta, epsilon);
    let options = ConvOptions::new([1, 1], [1, 1], [1, 1], nodes);
    conv2d(activation::relu(normed), kernel, None, options)
}

/// Each map of each image with a mean of zero and a variance of one, times `gamma`, plus `beta`; computed in their type.
///
/// `x`: `[batch, nodes, height, width]`; `gamma`, `beta`: `[nodes]`.
pub(crate) fn instance_norm(
    x: Tensor<4>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f64,
) -> Tensor<4> {
    let (nodes, given) = (x.dims()[1], x.dtype());
    let x = x.cast(gamma.dtype());
    let (variance, mean) = moments_over_pixels(x.clone());
    let normed = (x - mean) / (variance + epsilon).sqrt();
    let normed = normed * gamma.reshape([1, nodes, 1, 1]) + beta.reshape([1, nodes, 1, 1]);
    normed.cast(given)
}

/// The biased variance and the mean over height and width, kept as dimensions of one.
fn moments_over_pixels(x: Tensor<4>) -> (Tensor<4>, Tensor<4>) {
    let mean = x.clone().mean_dim(3).mean_dim(2);
    let centred = x - mean.clone();
    ((centred.clone() * centred).mean_dim(3).mean_dim(2), mean)
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use burn::tensor::{Device, Distribution, Tolerance};
    use proptest::prelude::*;

    fn random<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
        Tensor::random(shape, Distribution::Normal(0.0, 1.0), device).require_grad()
    }

    /// The outputs of two bodies and their gradients to every input agree.
    fn agree<const N: usize>(
        inputs: [Tensor<4>; N],
        fast: impl Fn([Tensor<4>; N]) -> Tensor<4>,
        plain: impl Fn([Tensor<4>; N]) -> Tensor<4>,
    ) {
        let (a, b) = (fast(inputs.clone()), plain(inputs.clone()));
        let tolerance = Tolerance::<f32>::rel_abs(2e-3, 2e-4);
        a.to_data().assert_approx_eq(&b.to_data(), tolerance);
        let direction = a.random_like(Distribution::Normal(0.0, 1.0)).detach();
        let gradients = [a, b].map(|y| (y * direction.clone()).sum().backward());
        for input in inputs {
            let [a, b] = gradients
                .each_ref()
                .map(|g| input.grad(g).expect("a gradient").to_data());
            a.assert_approx_eq(&b, tolerance);
        }
    }

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
            let again = real.clone();
            agree(
                [x, w],
                move |[x, w]| wired_product(x, w, real.clone(), Kernels::Fastest),
                move |[x, w]| wired_product(x, w, again.clone(), Kernels::Reference),
            );
        }

        #[test]
        fn the_fused_node_function_is_that_of_plain_tensors(
            batch in 1usize..4, nodes in 1usize..6, height in 2usize..11, width in 2usize..11,
        ) {
            let device = Device::flex().autodiff();
            let x = random([batch, nodes, height, width], &device);
            let (gamma, beta) = (random([nodes, 1, 1, 1], &device), random([nodes, 1, 1, 1], &device));
            let kernel = random([nodes, 1, 3, 3], &device);
            agree(
                [x, gamma, beta, kernel],
                |[x, g, b, k]| node_function(x, g.flatten(0, 3), b.flatten(0, 3), k, 1e-2, Kernels::Fastest),
                |[x, g, b, k]| node_function(x, g.flatten(0, 3), b.flatten(0, 3), k, 1e-2, Kernels::Reference),
            );
        }
    }
}

//! Shared code of the tests of operations.

use burn::tensor::{Device, Distribution, Tensor, Tolerance};

pub(super) fn random<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), device).require_grad()
}

/// The outputs of two implementations and their gradients to every input agree.
pub(super) fn agree<const N: usize, const D: usize, const E: usize>(
    inputs: [Tensor<D>; N],
    fast: impl Fn([Tensor<D>; N]) -> Tensor<E>,
    reference: impl Fn([Tensor<D>; N]) -> Tensor<E>,
) {
    let (a, b) = (fast(inputs.clone()), reference(inputs.clone()));
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

//! Gradient clipping by norm.

use burn::optim::grad_clipping::GradientClippingConfig;
use burn::tensor::Tensor;

use super::cpu::CpuBackend;
use super::dispatch::{self, Tensors, Untracked};
use super::fixed_sum::sum_of;
use super::kernels::Kernels;

/// The gradient of one tensor, scaled down to a norm of `limit` if its norm is larger.
///
/// On a CPU the norm is a sum in an order that is the same on every machine.
pub fn clip_norm<const D: usize>(gradient: Tensor<D>, limit: f32) -> Tensor<D> {
    clip_norm_by(gradient, limit, Kernels::default())
}

fn clip_norm_by<const D: usize>(gradient: Tensor<D>, limit: f32, kernels: Kernels) -> Tensor<D> {
    if !kernels.on_cpu(&gradient) {
        return GradientClippingConfig::Norm(limit)
            .init()
            .clip_gradient(gradient);
    }
    let (tensors, ()) = dispatch::run_untracked(ClipNorm { limit }, [gradient.into_dispatch()], []);
    let ([clipped], []) = tensors.split();
    Tensor::from_dispatch(clipped)
}

#[derive(Debug)]
struct ClipNorm {
    limit: f32,
}

impl Untracked for ClipNorm {
    type Extra = ();

    fn run_cpu<B: CpuBackend>(self, tensors: Tensors<B>) -> (Tensors<B>, ()) {
        let ([gradient], []) = tensors.split();
        let clipped = B::change(B::contiguous(gradient), |values| {
            let square = |value: f32| f64::from(value) * f64::from(value);
            let norm = sum_of(values, square).sqrt();
            if norm > f64::from(self.limit) {
                let factor = (f64::from(self.limit) / norm) as f32;
                values.iter_mut().for_each(|value| *value *= factor);
            }
        });
        (Tensors::new([clipped], []), ())
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use burn::tensor::{Device, Tolerance};
    use proptest::prelude::*;

    use super::*;
    use crate::ops::testing::random;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn clipped_gradients_are_those_of_burn(rows in 1usize..9, columns in 1usize..40, limit in 0.01f32..20.0) {
            let gradient = random([rows, columns], &Device::flex().autodiff()).detach();
            let [a, b] = [Kernels::Fastest, Kernels::Reference]
                .map(|kernels| clip_norm_by(gradient.clone(), limit, kernels).to_data());
            a.assert_approx_eq(&b, Tolerance::<f32>::rel_abs(1e-5, 1e-7));
        }
    }

    #[test]
    fn a_gradient_within_the_limit_is_unchanged() {
        let gradient = Tensor::<1>::from_floats([3.0, 4.0], &Device::flex());
        let values = |limit| {
            clip_norm(gradient.clone(), limit)
                .to_data()
                .iter()
                .collect::<Vec<f32>>()
        };
        assert_eq!(values(5.0), [3.0, 4.0]);
        assert_eq!(values(2.5), [1.5, 2.0]);
    }
}

//! Gradient clipping.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use dnw_core::optim::clip_norm;

/// Scales the gradient of each tensor down to a norm of `limit` if its norm is larger.
pub(super) fn clip<M: Module>(gradients: &mut GradientsParams, model: &M, limit: f32) {
    struct Clip<'a> {
        gradients: &'a mut GradientsParams,
        limit: f32,
    }

    impl ModuleVisitor for Clip<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.gradients.remove::<D>(param.id) {
                self.gradients
                    .register(param.id, clip_norm(gradient, self.limit));
            }
        }
    }

    model.visit(&mut Clip { gradients, limit });
}

//! A scaled loss, for gradients of 16 bits.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

/// What a loss is multiplied by, so that its gradients lie where numbers of 16 bits are fine, and which follows them.
///
/// An update whose gradients overflow is computed again with half the scale. None is left out, so that the clock, the rate and the
/// order of the data are those of a training in 32 bits.
#[derive(Clone, Debug)]
pub(super) struct LossScale {
    factor: f32,
    /// Updates since it last changed.
    clean: u32,
}

impl LossScale {
    /// Where it begins.
    const START: f32 = 65536.0;
    /// It doubles after so many updates without an overflow.
    const PATIENCE: u32 = 2000;
    /// It grows no further: the loss itself must stay finite.
    const MOST: f32 = 16_777_216.0;

    pub(super) fn new() -> Self {
        Self {
            factor: Self::START,
            clean: 0,
        }
    }

    /// The factor, a power of two.
    pub(super) fn factor(&self) -> f32 {
        self.factor
    }

    /// An update went through.
    pub(super) fn went_through(&mut self) {
        self.clean += 1;
        if self.clean == Self::PATIENCE {
            self.factor = (self.factor * 2.0).min(Self::MOST);
            self.clean = 0;
        }
    }

    /// The gradients overflowed; whether there is a smaller scale to try.
    pub(super) fn backs_off(&mut self) -> bool {
        self.clean = 0;
        let goes_on = self.factor > 1.0;
        self.factor /= 2.0;
        goes_on
    }
}

/// Whether every gradient is a finite number. Waits for the device once.
pub(super) fn are_finite<M: Module>(gradients: &GradientsParams, model: &M) -> bool {
    struct Sum<'a> {
        gradients: &'a GradientsParams,
        sum: Option<Tensor<1>>,
    }

    impl ModuleVisitor for Sum<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.gradients.get::<D>(param.id) {
                // x - x is zero for every number but an infinite one.
                let own = (gradient.clone() - gradient).sum();
                self.sum = Some(match self.sum.take() {
                    Some(sum) => sum + own,
                    None => own,
                });
            }
        }
    }

    let mut sum = Sum {
        gradients,
        sum: None,
    };
    model.visit(&mut sum);
    sum.sum.is_none_or(|sum| sum.into_scalar::<f32>() == 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_scale_halves_at_an_overflow_and_doubles_after_many_updates_without() {
        let mut scale = LossScale::new();
        assert!(scale.backs_off());
        assert_eq!(scale.factor(), LossScale::START / 2.0);
        for _ in 1..LossScale::PATIENCE {
            scale.went_through();
        }
        assert!(scale.backs_off(), "the count begins again");
        for _ in 0..LossScale::PATIENCE {
            scale.went_through();
        }
        assert_eq!(scale.factor(), LossScale::START / 2.0);
        let halvings = (0..).take_while(|_| scale.backs_off()).count();
        assert_eq!(halvings, 15, "from 2^15 down to 1");
    }
}

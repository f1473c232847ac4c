//! The loss scale, for 16-bit gradients.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// The factor of the loss that keeps gradients within the range of 16-bit floats. It adapts to them.
///
/// An update whose gradients overflow is repeated with half the scale. No update is skipped, so the clock, the learning rate and the order of
/// the data are those of a training in 32 bits.
#[derive(Clone, Debug)]
pub(super) struct LossScale {
    factor: f32,
    /// Updates since the last change.
    clean: u32,
}

/// The state of the loss scale.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LossScaleRecord {
    /// The base-2 logarithm of the factor of the loss.
    pub exponent: i32,
    /// Updates since the last change.
    pub clean: u32,
}

impl LossScale {
    /// The initial scale.
    const START: f32 = 65536.0;
    /// It doubles after this many updates without an overflow.
    const PATIENCE: u32 = 2000;
    /// The largest scale: the loss itself must stay finite.
    const MAX: f32 = 16_777_216.0;

    pub(super) fn new() -> Self {
        Self {
            factor: Self::START,
            clean: 0,
        }
    }

    /// The state of the scale.
    pub(super) fn to_record(&self) -> LossScaleRecord {
        LossScaleRecord {
            // Powers of two have exact logarithms.
            exponent: self.factor.log2().round() as i32,
            clean: self.clean,
        }
    }

    /// The scale of a record; `None` if it is out of range.
    pub(super) fn from_record(record: LossScaleRecord) -> Option<Self> {
        let factor = 2f32.powi(record.exponent);
        let is_scale = (0.5..=Self::MAX).contains(&factor) && record.clean < Self::PATIENCE;
        is_scale.then_some(Self {
            factor,
            clean: record.clean,
        })
    }

    /// The scale, a power of two.
    pub(super) fn factor(&self) -> f32 {
        self.factor
    }

    /// Counts an update without overflow.
    pub(super) fn count_update(&mut self) {
        self.clean += 1;
        if self.clean == Self::PATIENCE {
            self.factor = (self.factor * 2.0).min(Self::MAX);
            self.clean = 0;
        }
    }

    /// Halves the scale after an overflow; false if it is already the smallest.
    pub(super) fn halve(&mut self) -> bool {
        self.clean = 0;
        let goes_on = self.factor > 1.0;
        self.factor /= 2.0;
        goes_on
    }
}

/// Whether all gradients are finite. Waits for the device once.
pub(super) fn are_finite<M: Module>(gradients: &GradientsParams, model: &M) -> bool {
    struct Sum<'a> {
        gradients: &'a GradientsParams,
        sum: Option<Tensor<1>>,
    }

    impl ModuleVisitor for Sum<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.gradients.get::<D>(param.id) {
                // x - x is zero for every finite number.
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
    fn a_loss_scale_halves_on_overflow_and_doubles_after_many_updates_without_overflow() {
        let mut scale = LossScale::new();
        assert!(scale.halve());
        assert_eq!(scale.factor(), LossScale::START / 2.0);
        for _ in 1..LossScale::PATIENCE {
            scale.count_update();
        }
        assert!(scale.halve(), "the count begins again");
        for _ in 0..LossScale::PATIENCE {
            scale.count_update();
        }
        assert_eq!(scale.factor(), LossScale::START / 2.0);
        let halvings = (0..).take_while(|_| scale.halve()).count();
        assert_eq!(halvings, 15, "from 2^15 down to 1");
    }
}

//! Numbers of fewer bits, for devices that compute faster in them.
//!
//! Weights, optimizer and the choice of edges stay in 32 bits. An update computes the network forward and backward with a copy of the
//! model in the type asked for, takes the loss in 32 bits, and casts the gradients back before anything looks at them.

use std::fmt;
use std::str::FromStr;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{DType, FloatDType, Tensor};

use super::averages::Path;
use super::execution::{ExecutionError, Place};

/// In which numbers a network is computed while it is trained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// 32-bit floats.
    #[default]
    F32,
    /// 16-bit floats of 11 significant bits, with a scaled loss.
    F16,
    /// 16-bit floats of 8 significant bits and the range of 32-bit ones.
    Bf16,
    /// Norms in `f32`, everything else in `bf16`, or in `f16` where a device does not have that.
    Mixed,
}

impl Precision {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::F32, Self::F16, Self::Bf16, Self::Mixed];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::Mixed => "mixed",
        }
    }

    /// What it is on these devices, which must all be able to.
    pub(super) fn on(self, places: &[Place]) -> Result<Arithmetic, ExecutionError> {
        let wanted: &[FloatDType] = match self {
            Self::F32 => &[FloatDType::F32],
            Self::F16 => &[FloatDType::F16],
            Self::Bf16 => &[FloatDType::BF16],
            Self::Mixed => &[FloatDType::BF16, FloatDType::F16],
        };
        let has = |place: &Place, dtype: FloatDType| {
            let dtype = DType::from(dtype);
            place.device.clone().inner().supports_dtype(dtype)
        };
        let lacking = |dtype: FloatDType| places.iter().find(|place| !has(place, dtype));
        let found = wanted.iter().find(|dtype| lacking(**dtype).is_none());
        if let Some(&dtype) = found {
            let norms_in_f32 = self == Self::Mixed;
            return Ok(Arithmetic {
                dtype,
                norms_in_f32,
            });
        }
        let place = lacking(wanted[wanted.len() - 1]).unwrap_or(&places[0]);
        let types = [FloatDType::F32, FloatDType::F16, FloatDType::BF16];
        let types = types.into_iter().filter(|dtype| has(place, *dtype));
        let names: Vec<_> = types.map(name).collect();
        Err(ExecutionError::Precision {
            device: place.name.clone(),
            precision: self,
            has: names.join(", "),
        })
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is that of no [`Precision`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no precision `{0}`: there are f32, f16, bf16, mixed")]
pub struct UnknownPrecision(String);

impl FromStr for Precision {
    type Err = UnknownPrecision;

    fn from_str(name: &str) -> Result<Self, UnknownPrecision> {
        let found = Self::ALL.into_iter().find(|known| known.name() == name);
        found.ok_or_else(|| UnknownPrecision(name.to_owned()))
    }
}

fn name(dtype: FloatDType) -> &'static str {
    match dtype {
        FloatDType::F16 => "f16",
        FloatDType::BF16 => "bf16",
        _ => "f32",
    }
}

/// A [`Precision`] on given devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Arithmetic {
    dtype: FloatDType,
    norms_in_f32: bool,
}

impl Default for Arithmetic {
    fn default() -> Self {
        Self {
            dtype: FloatDType::F32,
            norms_in_f32: false,
        }
    }
}

impl fmt::Display for Arithmetic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(name(self.dtype))?;
        if self.norms_in_f32 {
            f.write_str(", norms in f32")?;
        }
        Ok(())
    }
}

impl Arithmetic {
    /// Whether everything is in 32 bits.
    pub(super) fn is_plain(self) -> bool {
        self.dtype == FloatDType::F32
    }

    /// Whether small gradients would be lost without a scaled loss.
    pub(super) fn scales_loss(self) -> bool {
        self.dtype == FloatDType::F16
    }

    /// A tensor in this type.
    pub(super) fn cast<const D: usize>(self, tensor: Tensor<D>) -> Tensor<D> {
        tensor.cast(self.dtype)
    }

    /// The model, which is on a plain device, with its parameters in this type: they keep their identities and whether they learn.
    /// Running averages stay as they are, and so do norms where they are to.
    pub(super) fn cast_model<M: Module>(self, model: M) -> M {
        if self.is_plain() {
            return model;
        }
        model.map(&mut Cast {
            arithmetic: self,
            path: Path::default(),
        })
    }

    /// Gradients in 32 bits, of the loss without its scale.
    pub(super) fn restore<M: Module>(
        self,
        gradients: GradientsParams,
        model: &M,
        scale: f32,
    ) -> GradientsParams {
        if self.is_plain() {
            return gradients;
        }
        let mut restore = Restore { gradients, scale };
        model.visit(&mut restore);
        restore.gradients
    }
}

/// The traversal that casts parameters.
struct Cast {
    arithmetic: Arithmetic,
    path: Path,
}

impl ModuleMapper for Cast {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let stays = self.arithmetic.norms_in_f32 && self.path.is_of_a_norm();
        if stays || self.path.is_running_average() {
            return param;
        }
        param.map(|tensor| self.arithmetic.cast(tensor))
    }
}

/// The traversal that casts gradients back.
struct Restore {
    gradients: GradientsParams,
    scale: f32,
}

impl ModuleVisitor for Restore {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.remove::<D>(param.id) {
            let gradient = gradient.cast(FloatDType::F32) / self.scale;
            self.gradients.register(param.id, gradient);
        }
    }
}

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
    fn names_are_read_and_others_refused_with_those_there_are() {
        for precision in Precision::ALL {
            assert_eq!(precision.name().parse(), Ok(precision));
        }
        let refused = "fp8".parse::<Precision>().unwrap_err();
        assert_eq!(
            refused.to_string(),
            "there is no precision `fp8`: there are f32, f16, bf16, mixed"
        );
    }

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

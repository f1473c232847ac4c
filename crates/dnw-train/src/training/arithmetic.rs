//! Numbers of fewer bits, for devices that compute faster in them.
//!
//! Weights, optimizer and the selection of edges stay in 32 bits. An update computes the network forward and backward with a copy of the
//! model in the type asked for, takes the loss in 32 bits, and casts the gradients back before anything looks at them.

use std::fmt;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{DType, FloatDType, Tensor};

use super::averages::Path;
use super::execution::ExecutionError;
use super::place::Place;
use super::precision::Precision;

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
    /// What a precision is on these devices, which must all be able to.
    pub(super) fn of(precision: Precision, places: &[Place]) -> Result<Self, ExecutionError> {
        let wanted: &[FloatDType] = match precision {
            Precision::F32 => &[FloatDType::F32],
            Precision::F16 => &[FloatDType::F16],
            Precision::Bf16 => &[FloatDType::BF16],
            Precision::Mixed => &[FloatDType::BF16, FloatDType::F16],
        };
        let has = |place: &Place, dtype: FloatDType| {
            let dtype = DType::from(dtype);
            place.device.clone().inner().supports_dtype(dtype)
        };
        let lacking = |dtype: FloatDType| places.iter().find(|place| !has(place, dtype));
        let found = wanted.iter().find(|dtype| lacking(**dtype).is_none());
        if let Some(&dtype) = found {
            let norms_in_f32 = precision == Precision::Mixed;
            return Ok(Self {
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
            precision,
            has: names.join(", "),
        })
    }

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
    /// Running averages keep their type, and so do norms if the precision says so.
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

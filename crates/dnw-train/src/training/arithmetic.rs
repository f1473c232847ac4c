//! Half precision, for devices that are faster in it.
//!
//! Weights, optimizer and the selection of edges stay in 32 bits. An update computes the forward and backward pass on a copy of the model in
//! the requested type, the loss in 32 bits, and casts the gradients back at once.

use std::fmt;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{DType, FloatDType, Tensor};

use super::averages::Path;
use super::execution::ExecutionError;
use super::named_device::NamedDevice;
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
    /// A precision on these devices, which must all support it.
    pub(super) fn of(
        precision: Precision,
        devices: &[NamedDevice],
    ) -> Result<Self, ExecutionError> {
        let wanted: &[FloatDType] = match precision {
            Precision::F32 => &[FloatDType::F32],
            Precision::F16 => &[FloatDType::F16],
            Precision::Bf16 => &[FloatDType::BF16],
            Precision::Mixed => &[FloatDType::BF16, FloatDType::F16],
        };
        let supported = |device: &NamedDevice, dtype: FloatDType| {
            let dtype = DType::from(dtype);
            device.device.clone().inner().supports_dtype(dtype)
        };
        let lacking = |dtype: FloatDType| devices.iter().find(|device| !supported(device, dtype));
        let found = wanted.iter().find(|dtype| lacking(**dtype).is_none());
        if let Some(&dtype) = found {
            let norms_in_f32 = precision == Precision::Mixed;
            return Ok(Self {
                dtype,
                norms_in_f32,
            });
        }
        let device = lacking(wanted[wanted.len() - 1]).unwrap_or(&devices[0]);
        let types = [FloatDType::F32, FloatDType::F16, FloatDType::BF16];
        let types = types.into_iter().filter(|dtype| supported(device, *dtype));
        let names: Vec<_> = types.map(name).collect();
        Err(ExecutionError::Precision {
            device: device.name.clone(),
            precision,
            supported: names.join(", "),
        })
    }

    /// Whether everything is in 32 bits.
    pub(super) fn is_plain(self) -> bool {
        self.dtype == FloatDType::F32
    }

    /// Whether small gradients would be lost without a loss scale.
    pub(super) fn scales_loss(self) -> bool {
        self.dtype == FloatDType::F16
    }

    /// Casts a tensor to this type.
    pub(super) fn cast<const D: usize>(self, tensor: Tensor<D>) -> Tensor<D> {
        tensor.cast(self.dtype)
    }

    /// Casts the parameters of a model, which is on a device without autodiff. They keep their ids and whether they require a gradient.
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

    /// Casts gradients to 32 bits and divides them by the loss scale.
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

/// Casts parameters.
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
        let stays = self.arithmetic.norms_in_f32 && self.path.is_in_norm();
        if stays || self.path.is_running_average() {
            return param;
        }
        param.map(|tensor| self.arithmetic.cast(tensor))
    }
}

/// Casts gradients back.
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

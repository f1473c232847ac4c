//! Errors of the settings of a training.

use crate::training::Precision;

/// Why a training cannot be computed with these settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExecutionError {
    /// There is no device.
    #[error("a training needs a device")]
    NoDevice,
    /// A device does not support a precision.
    #[error("the device `{device}` cannot train in {precision}: it computes in {supported}")]
    Precision {
        /// The device.
        device: String,
        /// The requested precision.
        precision: Precision,
        /// The types that it supports.
        supported: String,
    },
    /// There are fewer images in a batch than devices.
    #[error("{devices} devices cannot share batches of {batch}")]
    Batch {
        /// Images in a batch.
        batch: usize,
        /// Devices.
        devices: usize,
    },
}

impl ExecutionError {
    /// What to do about it.
    pub fn help(&self) -> String {
        match self {
            Self::NoDevice => "name one with `--device`, or several with `--devices`".into(),
            Self::Precision { .. } => {
                "leave `--precision` out, or name one of these; `dnw devices` lists other devices"
                    .into()
            }
            Self::Batch { batch, .. } => {
                format!("name at most {batch} devices, or give `--set batch=N` a larger N")
            }
        }
    }
}

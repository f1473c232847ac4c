//! Errors of a training.

use dnw_core::WiringError;
use dnw_device::guard::is_out_of_memory;

use super::execution::ExecutionError;
use crate::data::DataError;
use crate::recipe::RecipeError;

/// Why a training stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainingError {
    /// The loss is not a finite number.
    #[error(
        "the loss of update {update} (epoch {epoch}) is {loss}: the weights have grown out of bounds"
    )]
    Loss {
        /// The update, counted from 1.
        update: u64,
        /// The epoch, counted from 1.
        epoch: u64,
        /// The loss.
        loss: f32,
    },
    /// The test loss is not a finite number.
    #[error(
        "the test loss after update {update} (epoch {epoch}) is {loss}: the weights have grown out of bounds"
    )]
    TestLoss {
        /// The update, counted from 1.
        update: u64,
        /// The epoch, counted from 1.
        epoch: u64,
        /// The loss.
        loss: f64,
    },
    /// A weight, or a gradient that the rule keeps, is not a finite number.
    #[error(
        "after update {update} (epoch {epoch}) `{tensor}` holds a number that is not finite: the weights have grown out of bounds"
    )]
    NotFinite {
        /// The update, counted from 1.
        update: u64,
        /// The epoch, counted from 1.
        epoch: u64,
        /// The tensor.
        tensor: String,
    },
    /// The loss, or a gradient at every loss scale, is too large for 16-bit floats.
    #[error("{what} of update {update} (epoch {epoch}) is too large for f16")]
    Overflow {
        /// What is too large.
        what: &'static str,
        /// The update, counted from 1.
        update: u64,
        /// The epoch, counted from 1.
        epoch: u64,
    },
    /// A device's memory ran out.
    #[error(
        "the device `{device}` ran out of memory in update {update} (epoch {epoch}), with {images} images at once: {message}"
    )]
    Memory {
        /// The device.
        device: String,
        /// The update, counted from 1.
        update: u64,
        /// The epoch, counted from 1.
        epoch: u64,
        /// The images that were computed at once.
        images: usize,
        /// The driver's message.
        message: String,
    },
    /// A device failed.
    #[error("the device `{device}` failed in update {update} (epoch {epoch}): {message}")]
    Device {
        /// The device.
        device: String,
        /// The update, counted from 1.
        update: u64,
        /// The epoch, counted from 1.
        epoch: u64,
        /// The driver's message.
        message: String,
    },
    /// The edges cannot be selected.
    #[error("after update {update}: {source}")]
    Wiring {
        /// The update, counted from 1.
        update: u64,
        /// The reason.
        source: WiringError,
    },
    /// The data cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The recipe does not fit the data or the model.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// The model cannot be wired by the recipe.
    #[error(transparent)]
    Wire(#[from] WiringError),
    /// A device does not support the precision, or there are too many devices.
    #[error(transparent)]
    Execution(#[from] ExecutionError),
}

impl TrainingError {
    /// The update in which the training diverged, counted from 1, if that is the error: a loss, gradient, score or weight is not finite.
    pub fn diverged(&self) -> Option<u64> {
        match self {
            Self::Loss { update, .. }
            | Self::TestLoss { update, .. }
            | Self::NotFinite { update, .. }
            | Self::Overflow { update, .. }
            | Self::Wiring {
                update,
                source: WiringError::NotANumber { .. },
            } => Some(*update),
            _ => None,
        }
    }
}

/// The update and device of a panic in a backend.
pub(super) struct Failure {
    pub(super) device: String,
    pub(super) update: u64,
    pub(super) epoch: u64,
    /// The images that were computed at once.
    pub(super) images: usize,
}

impl Failure {
    /// The panic as an error, with the first line of the driver's message. The other lines name places in its source.
    pub(super) fn with_message(self, message: &str) -> TrainingError {
        const MAX_LENGTH: usize = 240;
        let is_out_of_memory = is_out_of_memory(message);
        let first = message.lines().map(str::trim).find(|line| !line.is_empty());
        let first = first.unwrap_or("it gave up");
        let message = match first.char_indices().nth(MAX_LENGTH) {
            Some((end, _)) => format!("{}..", &first[..end]),
            None => first.to_owned(),
        };
        let Self {
            device,
            update,
            epoch,
            images,
        } = self;
        if is_out_of_memory {
            return TrainingError::Memory {
                device,
                update,
                epoch,
                images,
                message,
            };
        }
        TrainingError::Device {
            device,
            update,
            epoch,
            message,
        }
    }
}

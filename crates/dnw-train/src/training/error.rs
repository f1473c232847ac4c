//! Why a training stopped.

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
    /// The loss on the test part is not a finite number.
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
    /// The loss, or a gradient however little the loss is scaled, is too large for numbers of 16 bits.
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
        /// What its driver says.
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
        /// What its driver says.
        message: String,
    },
    /// The edges cannot be selected.
    #[error("after update {update}: {source}")]
    Wiring {
        /// The update, counted from 1.
        update: u64,
        /// Why.
        source: WiringError,
    },
    /// The data cannot be had.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The recipe does not fit.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// The model cannot be wired as asked.
    #[error(transparent)]
    Wire(#[from] WiringError),
    /// It cannot be computed as asked.
    #[error(transparent)]
    Execution(#[from] ExecutionError),
}

/// When and where a backend panicked.
pub(super) struct Failed {
    pub(super) device: String,
    pub(super) update: u64,
    pub(super) epoch: u64,
    /// The images that were computed at once.
    pub(super) images: usize,
}

impl Failed {
    /// The panic as an error. Of what a driver says, the first line that says anything is kept: the rest are places in its source.
    pub(super) fn saying(self, message: &str) -> TrainingError {
        const LONGEST: usize = 240;
        let first = message.lines().map(str::trim).find(|line| !line.is_empty());
        let mut said: String = first.unwrap_or("it gave up").chars().collect();
        if said.chars().count() > LONGEST {
            said = said.chars().take(LONGEST).chain("..".chars()).collect();
        }
        let Self {
            device,
            update,
            epoch,
            images,
        } = self;
        if is_out_of_memory(message) {
            return TrainingError::Memory {
                device,
                update,
                epoch,
                images,
                message: said,
            };
        }
        TrainingError::Device {
            device,
            update,
            epoch,
            message: said,
        }
    }
}

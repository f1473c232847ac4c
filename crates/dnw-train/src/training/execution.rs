//! How a training is computed: devices, micro-batches, precision.
//!
//! None of these change what is trained, and a recipe means the same on every machine. So they are options beside the recipe, like the number
//! of threads, and not part of it.

use std::num::NonZeroUsize;
use std::ops::Range;

use burn::tensor::Device;
use dnw_device::Opened;

use super::arithmetic::Arithmetic;
use super::named_device::NamedDevice;
use super::precision::Precision;

mod error;

pub use error::ExecutionError;

/// The devices, the images per micro-batch and the precision of a training.
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use std::num::NonZeroUsize;
/// use burn::tensor::Device;
/// use dnw_train::training::{Execution, Precision};
///
/// # fn main() -> Result<(), dnw_train::training::ExecutionError> {
/// let execution = Execution::on(&Device::flex())
///     .with_micro_batch(NonZeroUsize::new(32))
///     .with_precision(Precision::Bf16)?;
/// # Ok(()) }
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Execution {
    /// At least one device.
    devices: Vec<NamedDevice>,
    micro_batch: Option<NonZeroUsize>,
    precision: Precision,
    arithmetic: Arithmetic,
}

impl Execution {
    /// On one device, whole batches at once, in 32-bit floats.
    pub fn on(device: &Device) -> Self {
        Self::new(vec![NamedDevice {
            name: format!("{:?}", device.clone().inner()),
            device: device.clone().autodiff(),
        }])
    }

    /// On several devices, which share each batch. The model, the optimizer and the selection of edges are on the first.
    ///
    /// # Errors
    /// [`ExecutionError::NoDevice`] if the list is empty.
    pub fn over(opened: &[Opened]) -> Result<Self, ExecutionError> {
        if opened.is_empty() {
            return Err(ExecutionError::NoDevice);
        }
        let devices = opened.iter().map(|opened| NamedDevice {
            name: opened.name.to_string(),
            device: opened.device.clone().autodiff(),
        });
        Ok(Self::new(devices.collect()))
    }

    fn new(devices: Vec<NamedDevice>) -> Self {
        Self {
            devices,
            micro_batch: None,
            precision: Precision::F32,
            arithmetic: Arithmetic::default(),
        }
    }

    /// Computes each device's share of a batch in micro-batches of at most this many images, and adds up their gradients.
    ///
    /// The update equals that of the whole batch, up to rounding. With batch norms it differs: they use the statistics of each micro-batch, and
    /// update their running averages once for each.
    #[must_use]
    pub fn with_micro_batch(mut self, images: Option<NonZeroUsize>) -> Self {
        self.micro_batch = images;
        self
    }

    /// Computes the forward and backward pass in this precision.
    ///
    /// # Errors
    /// [`ExecutionError::Precision`] if a device does not support it.
    pub fn with_precision(mut self, precision: Precision) -> Result<Self, ExecutionError> {
        self.arithmetic = Arithmetic::of(precision, &self.devices)?;
        self.precision = precision;
        Ok(self)
    }

    /// The first device, which has the model, with autodiff.
    pub fn device(&self) -> &Device {
        &self.devices[0].device
    }

    /// Checks that every device gets an image of a batch of this size.
    ///
    /// # Errors
    /// [`ExecutionError::Batch`] if there are more devices than images.
    pub fn check_batch(&self, batch: usize) -> Result<(), ExecutionError> {
        let devices = self.devices.len();
        if batch < devices {
            return Err(ExecutionError::Batch { batch, devices });
        }
        Ok(())
    }

    /// The settings that are not the default, as label and value.
    pub fn environment(&self) -> Vec<(String, String)> {
        let mut entries = Vec::new();
        if self.devices.len() > 1 {
            let names: Vec<_> = self
                .devices
                .iter()
                .map(|device| device.name.as_str())
                .collect();
            entries.push(("devices".to_owned(), names.join(", ")));
        }
        if self.precision != Precision::F32 {
            entries.push(("precision".to_owned(), self.arithmetic.to_string()));
        }
        if let Some(images) = self.micro_batch {
            entries.push(("micro-batch".to_owned(), images.to_string()));
        }
        entries
    }

    pub(super) fn devices(&self) -> &[NamedDevice] {
        &self.devices
    }

    pub(super) fn arithmetic(&self) -> Arithmetic {
        self.arithmetic
    }

    /// Whether the gradients are computed on the model itself, and not on copies.
    pub(super) fn is_direct(&self) -> bool {
        self.devices.len() == 1 && self.arithmetic.is_plain()
    }

    /// The images of each device, of this many: equal shares, the first ones larger by one if the number is not divisible.
    pub(super) fn shares(&self, images: usize) -> Vec<Range<usize>> {
        let devices = self.devices.len();
        let (each, left) = (images / devices, images % devices);
        let begin = |i: usize| i * each + i.min(left);
        (0..devices).map(|i| begin(i)..begin(i + 1)).collect()
    }

    /// The most images of this many that are computed at once.
    pub(super) fn at_once(&self, images: usize) -> usize {
        self.micro_batch
            .map_or(images, |most| images.min(most.get()))
    }
}

impl From<&Device> for Execution {
    fn from(device: &Device) -> Self {
        Self::on(device)
    }
}

impl From<&Self> for Execution {
    fn from(execution: &Self) -> Self {
        execution.clone()
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use dnw_device::{Backend, DeviceName, open};

    #[test]
    fn shares_are_contiguous_and_differ_by_at_most_one_image() {
        let flex = open(&DeviceName::of(Backend::Flex)).unwrap();
        let three = Execution::over(&vec![flex; 3]).unwrap();
        assert_eq!(three.shares(8), [0..3, 3..6, 6..8]);
        assert_eq!(three.shares(3), [0..1, 1..2, 2..3]);
        let refused = three.check_batch(2).unwrap_err();
        assert_eq!(refused.to_string(), "3 devices cannot share batches of 2");
        assert_eq!(Execution::over(&[]).unwrap_err(), ExecutionError::NoDevice);
    }
}

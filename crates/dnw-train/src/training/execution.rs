//! How a training is computed: devices, parts of a batch, precision.
//!
//! None of it says what is trained: a recipe means the same on any machine. So it is asked for beside the device and the threads, and
//! is no part of a recipe.

use std::num::NonZeroUsize;
use std::ops::Range;

use burn::tensor::Device;
use dnw_device::Opened;

use super::arithmetic::Arithmetic;
use super::place::Place;
use super::precision::Precision;

mod error;

pub use error::ExecutionError;

/// On which devices, how many images at once, in which numbers.
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
    /// At least one.
    places: Vec<Place>,
    micro_batch: Option<NonZeroUsize>,
    precision: Precision,
    arithmetic: Arithmetic,
}

impl Execution {
    /// On one device, whole batches at once, in 32-bit floats.
    pub fn on(device: &Device) -> Self {
        Self::at(vec![Place {
            name: format!("{:?}", device.clone().inner()),
            device: device.clone().autodiff(),
        }])
    }

    /// On several devices, which share each batch; the model, the optimizer and the selection of edges live on the first.
    ///
    /// # Errors
    /// [`ExecutionError::NoDevice`] if there is none.
    pub fn over(opened: &[Opened]) -> Result<Self, ExecutionError> {
        if opened.is_empty() {
            return Err(ExecutionError::NoDevice);
        }
        let places = opened.iter().map(|opened| Place {
            name: opened.name.to_string(),
            device: opened.device.clone().autodiff(),
        });
        Ok(Self::at(places.collect()))
    }

    fn at(places: Vec<Place>) -> Self {
        Self {
            places,
            micro_batch: None,
            precision: Precision::F32,
            arithmetic: Arithmetic::default(),
        }
    }

    /// Computes each device's share of a batch in parts of at most so many images, and adds up their gradients.
    ///
    /// The update is that of the whole batch but for the order in which numbers are added, save that batch norm takes the statistics of
    /// each part, and moves its running averages once for each.
    #[must_use]
    pub fn with_micro_batch(mut self, images: Option<NonZeroUsize>) -> Self {
        self.micro_batch = images;
        self
    }

    /// Computes the network forward and backward in numbers of this type.
    ///
    /// # Errors
    /// [`ExecutionError::Precision`] if a device does not have them.
    pub fn with_precision(mut self, precision: Precision) -> Result<Self, ExecutionError> {
        self.arithmetic = Arithmetic::of(precision, &self.places)?;
        self.precision = precision;
        Ok(self)
    }

    /// The device of the model, the first, with autodiff.
    pub fn device(&self) -> &Device {
        &self.places[0].device
    }

    /// Whether every device gets an image of such batches.
    ///
    /// # Errors
    /// [`ExecutionError::Batch`] if not.
    pub fn check_batch(&self, batch: usize) -> Result<(), ExecutionError> {
        let devices = self.places.len();
        if batch < devices {
            return Err(ExecutionError::Batch { batch, devices });
        }
        Ok(())
    }

    /// What of it is not as usual, as label and value.
    pub fn environment(&self) -> Vec<(String, String)> {
        let mut entries = Vec::new();
        if self.places.len() > 1 {
            let names: Vec<_> = self
                .places
                .iter()
                .map(|place| place.name.as_str())
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

    pub(super) fn places(&self) -> &[Place] {
        &self.places
    }

    pub(super) fn arithmetic(&self) -> Arithmetic {
        self.arithmetic
    }

    /// Whether the network is computed with the very model that is trained, and not with copies of it.
    pub(super) fn is_direct(&self) -> bool {
        self.places.len() == 1 && self.arithmetic.is_plain()
    }

    /// Of so many images, those of each device: equal shares, the first ones larger by one where they do not divide.
    pub(super) fn shares(&self, images: usize) -> Vec<Range<usize>> {
        let devices = self.places.len();
        let (each, left) = (images / devices, images % devices);
        let begin = |i: usize| i * each + i.min(left);
        (0..devices).map(|i| begin(i)..begin(i + 1)).collect()
    }

    /// The most images of so many that are computed at once.
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
    fn shares_are_equal_but_for_one_and_follow_each_other() {
        let flex = open(&DeviceName::of(Backend::Flex)).unwrap();
        let three = Execution::over(&vec![flex; 3]).unwrap();
        assert_eq!(three.shares(8), [0..3, 3..6, 6..8]);
        assert_eq!(three.shares(3), [0..1, 1..2, 2..3]);
        let refused = three.check_batch(2).unwrap_err();
        assert_eq!(refused.to_string(), "3 devices cannot share batches of 2");
        assert_eq!(Execution::over(&[]).unwrap_err(), ExecutionError::NoDevice);
    }
}

//! The device under test.

use burn::tensor::Device;
use dnw_device::{Backend, DeviceName, Opened};

use crate::tolerance::{EXACT, Tolerance};

/// The device under test.
#[derive(Clone, Debug)]
pub struct TestDevice {
    /// The device, without autodiff.
    pub device: Device,
    /// Its name.
    pub name: DeviceName,
    /// The name of the hardware or driver, for messages.
    pub model: String,
}

impl From<Opened> for TestDevice {
    fn from(opened: Opened) -> Self {
        Self {
            device: opened.device,
            name: opened.name,
            model: opened.model,
        }
    }
}

impl TestDevice {
    /// Flex, the reference, as the device under test.
    pub(crate) fn flex() -> Self {
        Self {
            device: Device::flex(),
            name: DeviceName::of(Backend::Flex),
            model: String::new(),
        }
    }

    /// The device with autodiff.
    pub fn autodiff(&self) -> Device {
        self.device.clone().autodiff()
    }

    /// Its backend; `None` if the name does not say.
    pub fn backend(&self) -> Option<Backend> {
        self.name.backend()
    }

    /// How many random shapes to try: `many`, but only three where each shape compiles and tunes new kernels.
    pub(crate) fn samples(&self, many: u64) -> u64 {
        match self.backend() {
            Some(Backend::Flex | Backend::NdArray | Backend::LibTorch) => many,
            _ => many.min(3),
        }
    }

    /// The tolerance against flex for the same computation. Flex itself must match to the bit.
    pub(crate) fn against_flex(&self, tolerance: Tolerance) -> Tolerance {
        match self.backend() {
            Some(Backend::Flex) => EXACT,
            _ => tolerance,
        }
    }
}

/// The device that others are compared with: flex, with autodiff.
pub(crate) fn reference_device() -> Device {
    Device::flex().autodiff()
}

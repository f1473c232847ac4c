//! The device that a run of the suite is about.

use burn::tensor::Device;
use dnw_device::{Backend, DeviceName, Opened};

use crate::tolerance::{Allowed, EXACT};

/// An opened device and the one that it is compared with.
#[derive(Clone, Debug)]
pub struct UnderTest {
    /// The device, without autodiff.
    pub device: Device,
    /// Its name.
    pub name: DeviceName,
    /// What it is, for people.
    pub model: String,
}

impl From<Opened> for UnderTest {
    fn from(opened: Opened) -> Self {
        Self {
            device: opened.device,
            name: opened.name,
            model: opened.model,
        }
    }
}

impl UnderTest {
    /// The one that others are compared with, as if it were the one under test.
    pub(crate) fn flex() -> Self {
        Self {
            device: Device::flex(),
            name: DeviceName::of(Backend::Flex),
            model: String::new(),
        }
    }

    /// The device with autodiff.
    pub fn learning(&self) -> Device {
        self.device.clone().autodiff()
    }

    /// Its backend; none where the name leaves it open.
    pub fn backend(&self) -> Option<Backend> {
        self.name.backend()
    }

    /// How many drawings of shapes to try, of `many` that take no time. Where kernels are compiled, each shape brings its own to
    /// compile and choose among.
    pub(crate) fn drawings(&self, many: u64) -> u64 {
        match self.backend() {
            Some(Backend::Flex | Backend::NdArray | Backend::LibTorch) => many,
            _ => many.min(3),
        }
    }

    /// The tolerance against flex for the same computation. Flex itself must match to the bit.
    pub(crate) fn beside_flex(&self, allowed: Allowed) -> Allowed {
        match self.backend() {
            Some(Backend::Flex) => EXACT,
            _ => allowed,
        }
    }
}

/// What others are compared with: flex, with autodiff.
pub(crate) fn reference() -> Device {
    Device::flex().autodiff()
}

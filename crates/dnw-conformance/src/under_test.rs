//! The device that a run of the suite is about.

use burn::tensor::Device;
use dnw_device::{Backend, DeviceName, Opened};

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
    /// The device with autodiff.
    pub fn learning(&self) -> Device {
        self.device.clone().autodiff()
    }

    /// Its backend; none where the name leaves it open.
    pub fn backend(&self) -> Option<Backend> {
        self.name.backend()
    }

    /// Whether it is itself what others are compared with.
    pub fn is_reference(&self) -> bool {
        self.backend() == Some(Backend::Flex)
    }
}

/// What others are compared with: flex, with autodiff.
pub(crate) fn reference() -> Device {
    Device::flex().autodiff()
}

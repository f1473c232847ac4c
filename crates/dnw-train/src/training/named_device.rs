//! The devices of a training.

use burn::tensor::Device;

/// A device and its name.
#[derive(Clone, Debug)]
pub(super) struct NamedDevice {
    pub(super) name: String,
    /// With autodiff.
    pub(super) device: Device,
}

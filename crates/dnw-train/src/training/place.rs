//! Where a training is computed.

use burn::tensor::Device;

/// A device and what it is called.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) name: String,
    /// With autodiff.
    pub(super) device: Device,
}

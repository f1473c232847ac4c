//! Which implementation of an operation runs.

use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::{DType, Device, Tensor};

/// Which implementations are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kernels {
    /// The fastest that the device has.
    #[default]
    Fastest,
    /// Plain tensors, on every device.
    Reference,
}

/// Whether this process uses plain tensors only.
static REFERENCE_ONLY: AtomicBool = AtomicBool::new(false);

impl Kernels {
    /// Uses plain tensors throughout this process, whatever models ask for, to find out whether a kernel is
    /// at fault.
    pub fn switch_off() {
        REFERENCE_ONLY.store(true, Ordering::Relaxed);
    }

    /// Whether the CPU kernels support this tensor: 32-bit floats on a CPU backend.
    pub(crate) fn on_cpu<const D: usize>(self, x: &Tensor<D>) -> bool {
        self.are_enabled() && x.dtype() == DType::F32 && is_cpu(&x.device())
    }

    /// Whether the GPU kernels support this tensor: 32-bit floats on a GPU.
    pub(crate) fn on_gpu<const D: usize>(self, x: &Tensor<D>) -> bool {
        self.are_enabled() && x.dtype() == DType::F32 && is_gpu(&x.device())
    }

    fn are_enabled(self) -> bool {
        self == Self::Fastest && !REFERENCE_ONLY.load(Ordering::Relaxed)
    }
}

/// Whether a device's tensors are slices of this process's memory.
pub(crate) fn is_cpu(device: &Device) -> bool {
    match device.clone().inner().as_dispatch() {
        #[cfg(feature = "flex")]
        burn::backend::DispatchDevice::Flex(_) => true,
        #[cfg(feature = "ndarray")]
        burn::backend::DispatchDevice::NdArray(_) => true,
        #[allow(unreachable_patterns)]
        _ => false,
    }
}

/// Whether a device is a GPU that runs compute kernels.
fn is_gpu(device: &Device) -> bool {
    match device.clone().inner().as_dispatch() {
        #[cfg(feature = "cube")]
        burn::backend::DispatchDevice::Cube(_) => true,
        #[allow(unreachable_patterns)]
        _ => false,
    }
}

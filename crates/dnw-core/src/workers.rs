//! On which thread a model computes.

use burn::tensor::Device;

/// Runs `work`, such as a training step, on one of the worker threads of a CPU device. Kernels called from a
/// worker thread start faster: there is one thread less to wake, and no thread to return to. The result is
/// the same. For other devices `work` runs on the calling thread.
///
/// The work must not wait for other threads that compute on the CPU: it would block a thread that these may
/// need.
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex();
/// let sum = dnw_core::on_workers(&device, || Tensor::<1>::ones([3], &device).sum().into_scalar::<f32>());
/// assert_eq!(sum, 3.0);
/// # }
/// ```
pub fn on_workers<T: Send>(device: &Device, work: impl FnOnce() -> T + Send) -> T {
    #[cfg(any(feature = "flex", feature = "ndarray"))]
    if crate::ops::is_cpu(device) {
        return dnw_kernels::on_workers(work);
    }
    let _ = device;
    work()
}

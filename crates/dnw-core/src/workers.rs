//! On which thread a model computes.

use burn::tensor::Device;

/// Does something on one of the threads that the device computes with, if these are threads of this process: training steps, say. What
/// calls many kernels is quicker there, because each of them then has one thread less to wake, and none to come back to. The result is
/// the same. For other devices it is simply done.
///
/// The work must not wait for other threads that compute on the CPU; it would hold up a thread that these may need.
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

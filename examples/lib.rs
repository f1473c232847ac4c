//! What the examples share: something to learn, a device, and a learner that prints nothing.
//!
//! Nothing in here knows of wirings.

#![deny(missing_docs)]
#![recursion_limit = "256"]

#[cfg(feature = "learner")]
mod quiet;
mod shapes;

#[cfg(feature = "learner")]
pub use quiet::Quiet;
pub use shapes::{CLASSES, SIDE, Shape, ShapeBatch, ShapeBatcher, shapes};

use burn::tensor::Device;

/// The device that the first argument of the program names, or the best that was compiled in.
///
/// # Errors
/// A sentence that says why it cannot be had.
pub fn device_from_arguments() -> Result<Device, String> {
    let name = std::env::args().nth(1).unwrap_or_else(|| "auto".into());
    let opened = name.parse().and_then(|name| dnw_device::open(&name));
    match opened {
        Ok(opened) => Ok(opened.device),
        Err(error) => Err(format!("{error} ({})", error.help())),
    }
}

//! The library of the examples: a data set, a device, and a renderer that prints nothing.
//!
//! It is independent of wirings.

#![deny(missing_docs)]
#![recursion_limit = "256"]

#[cfg(feature = "learner")]
mod quiet;
mod shapes;

#[cfg(feature = "learner")]
pub use quiet::Quiet;
pub use shapes::{CLASSES, SIDE, Shape, ShapeBatch, ShapeBatcher, shapes};

use burn::tensor::Device;

/// Opens the device of the program's first argument, or the best compiled-in device.
///
/// # Errors
/// A message if it cannot be opened.
pub fn device_from_arguments() -> Result<Device, String> {
    let name = std::env::args().nth(1).unwrap_or_else(|| "auto".into());
    let opened = name.parse().and_then(|name| dnw_device::open(&name));
    match opened {
        Ok(opened) => Ok(opened.device),
        Err(error) => Err(format!("{error} ({})", error.help())),
    }
}

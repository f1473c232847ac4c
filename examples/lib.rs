//! What the examples share: something to learn, a device, and a learner that prints nothing.
//!
//! Nothing in here knows of wirings.

#![deny(missing_docs)]
#![recursion_limit = "256"]

mod device;
mod quiet;
mod shapes;

pub use device::device_from_arguments;
pub use quiet::Quiet;
pub use shapes::{CLASSES, SIDE, Shape, ShapeBatch, ShapeBatcher, shapes};

//! Burn's devices by name.
//!
//! A [`DeviceName`] is what people write after `--device`; [`open`] makes it a [`Device`](burn::tensor::Device) that has proved
//! to work, or says in one sentence why not and what to do. [`backends`] lists what the program was built with and what is present.
//!
//! Which backends exist is decided by this crate's features, which are those of the program: `flex` (default), `ndarray`, `wgpu`,
//! `vulkan`, `metal`, `cuda`, `rocm`, `libtorch`, `remote`. Several may be compiled in together.

#![deny(missing_docs)]
#![recursion_limit = "256"]

mod adapters;
mod backend;
mod error;
pub mod guard;
mod name;
mod open;

pub use adapters::Adapter;
pub use backend::{Backend, Present, backends};
pub use error::DeviceError;
pub use name::{DeviceName, Kind, Which};
pub use open::{Opened, host, open};

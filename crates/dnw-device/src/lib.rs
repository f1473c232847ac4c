//! Burn devices by name.
//!
//! A [`DeviceName`] is the value of `--device`. [`open`] opens the [`Device`](burn::tensor::Device) and checks that it works; its errors
//! have a help text. [`backends`] lists the compiled-in backends and the present devices, by querying drivers in this process or in a
//! child process ([`probe`]). [`serve`] makes devices available to other processes and machines.
//!
//! The features of this crate select the backends: `flex` (default), `ndarray`, `wgpu`,
//! `vulkan`, `metal`, `cuda`, `rocm`, `libtorch`, `remote`. Several can be enabled together.

#![deny(missing_docs)]
#![recursion_limit = "256"]

mod adapters;
mod address;
mod alive;
mod backend;
mod error;
pub mod guard;
mod listen;
mod name;
mod open;
mod present;
pub mod probe;
mod processor;
#[cfg(feature = "remote")]
mod remote;
mod serve;

pub use adapters::{Adapter, host_memory};
pub use address::{RemoteAddress, Transport};
pub use backend::Backend;
pub use error::{DeviceError, ServeError};
pub use listen::Listen;
pub use name::{DeviceName, Kind, Which};
pub use open::{Opened, best, host, open, open_found_by, preferred};
pub use present::{Present, backends};
pub use processor::processor;
pub use serve::{Offer, ServerEvent, new_token, serve};

/// The environment variable with the token for a server.
pub const TOKEN_VARIABLE: &str = "DNW_TOKEN";

//! Burn's devices by name.
//!
//! A [`DeviceName`] is what people write after `--device`; [`open`] makes it a [`Device`](burn::tensor::Device) that has proved
//! to work, or says in one sentence why not and what to do. [`backends`] lists what the program was built with and what is present,
//! by asking drivers here or in a child process ([`probe`]). [`serve`] offers devices to other processes and machines.
//!
//! Which backends exist is decided by this crate's features, which are those of the program: `flex` (default), `ndarray`, `wgpu`,
//! `vulkan`, `metal`, `cuda`, `rocm`, `libtorch`, `remote`. Several may be compiled in together.

#![deny(missing_docs)]
#![recursion_limit = "256"]

mod adapters;
mod address;
mod backend;
mod error;
pub mod guard;
mod listen;
mod name;
mod open;
mod present;
pub mod probe;
#[cfg(feature = "remote")]
mod remote;
mod serve;

pub use adapters::Adapter;
pub use address::{RemoteAddress, Transport};
pub use backend::Backend;
pub use error::{DeviceError, ServeError};
pub use listen::Listen;
pub use name::{DeviceName, Kind, Which};
pub use open::{Opened, best, host, open, open_found_by, preferred};
pub use present::{Present, backends};
pub use serve::{Offer, ServerEvent, new_token, serve};

/// The environment variable with the token that a server wants.
pub const TOKEN_VARIABLE: &str = "DNW_TOKEN";

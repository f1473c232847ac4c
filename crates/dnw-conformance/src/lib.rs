//! The conformance suite: tests that every backend must pass.
//!
//! A [`Case`] is a fact that holds on any device: an operation equals plain loops, a rule selects the same edges as
//! elsewhere, a saved wiring loads. [`cases()`] lists them all; `tests/conformance.rs` runs them on the device of `--device`:
//!
//! ```text
//! cargo test -p dnw-conformance
//! cargo test --release -p dnw-conformance --features wgpu -- --device wgpu:cpu layers::
//! ```
//!
//! Random number generators differ between devices, so all inputs are generated on the host and uploaded. The expected values come from, in
//! order of preference: loops over plain slices in 64-bit floats ([`loops`]), the interpreter of circuits, records of a PyTorch program, or
//! plain tensors on flex. [`tolerance`] has the tolerances, [`known`] the known differences of backends.

#![deny(missing_docs)]
#![recursion_limit = "256"]

mod case;
mod cases;
pub mod compare;
pub mod known;
pub mod loops;
mod model;
mod operation;
mod parity;
mod random;
mod test_device;
pub mod tolerance;

pub use case::{Case, Failure};
pub use cases::cases;
pub use test_device::TestDevice;

//! What every backend must do, written once.
//!
//! A [`Case`] is a fact that holds on any device: an operation equals plain loops, a rule selects the same edges as
//! elsewhere, a saved wiring loads. [`cases()`] lists all; `tests/conformance.rs` runs them on the device of `--device`:
//!
//! ```text
//! cargo test -p dnw-conformance
//! cargo test --release -p dnw-conformance --features wgpu -- --device wgpu:cpu layers::
//! ```
//!
//! Devices draw different random numbers, so every number is made on the host and uploaded. The reference is, in order of preference:
//! loops over plain slices in 64-bit floats ([`loops`]), the interpreter of circuits, records of another program, or flex with plain
//! tensors. Tolerances are in [`tolerance`], known differences of backends in [`known`].

#![deny(missing_docs)]
#![recursion_limit = "256"]

mod case;
mod cases;
pub mod compare;
pub mod known;
pub mod loops;
mod model;
mod numbers;
mod operation;
mod parity;
pub mod tolerance;
mod under_test;

pub use case::{Case, Shortfall};
pub use cases::cases;
pub use under_test::UnderTest;

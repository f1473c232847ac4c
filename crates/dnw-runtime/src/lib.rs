//! Executes compiled networks at the cost of their real edges.
//!
//! `dnw-compiler` turns a trained network into a [`Plan`](plan::Plan). This crate checks, stores and executes it, without Burn and Python.

#![deny(missing_docs)]

mod check;
mod error;
mod execute;
pub mod file;
mod memory;
mod model;
pub mod plan;
mod session;
#[cfg(feature = "threads")]
mod threads;

pub use error::{PlanError, RunError};
pub use model::Model;
pub use session::Session;

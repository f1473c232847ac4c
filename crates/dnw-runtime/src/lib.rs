//! Executes compiled networks at the cost of their real edges.
//!
//! `dnw-compiler` turns a trained network into a [`Plan`](plan::Plan). This crate checks, stores and executes it, without Burn and Python.
//!
//! ```no_run
//! use dnw_runtime::{Model, Session};
//!
//! let model = Model::load("digits.dnw")?;
//! let mut session = Session::new(&model, 1);
//! let image = vec![0.0; model.image_len()];
//! let mut logits = vec![0.0; model.output_len()];
//! session.run(&image, &mut logits)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![deny(missing_docs)]

mod check;
mod error;
mod execute;
pub mod file;
mod finite;
pub mod limits;
mod memory;
mod model;
mod part;
pub mod plan;
mod session;
#[cfg(feature = "threads")]
mod threads;

pub use error::{LoadError, PlanError, RunError};
pub use model::{MOST_SESSION_BYTES, Model};
pub use session::{MOST_THREADS, Session};

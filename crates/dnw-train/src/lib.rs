//! Training, evaluating, recording and comparing networks whose wiring is learned.
//!
//! The binary `dnw` is a thin shell over this library: [`recipe`] says what is trained, [`data`] on what, [`training`] runs it,
//! [`run`] keeps what came of it, [`recording`] turns that into what the explorer shows. [`import`] makes a run of a published
//! file, [`export`] a file of a run, [`compiled`] a file that is executed without Burn.

#![deny(missing_docs)]
#![recursion_limit = "256"]

pub mod checkpoints;
pub mod comparison;
pub mod compiled;
pub mod counting;
pub mod divergence;
pub mod export;
pub mod import;
mod masks;
pub mod profile;
pub mod recipe;
pub mod recording;
pub mod resuming;
pub mod run;
mod run_writer;
pub mod runner;
pub mod scaling;
pub mod schedule;
pub mod training;

pub use dnw_data as data;

/// The version of Burn that this program is built on.
pub const BURN_VERSION: &str = "0.22.1";

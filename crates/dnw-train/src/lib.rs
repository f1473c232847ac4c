//! Training, evaluating, recording and comparing networks whose wiring is learned.
//!
//! The binary `dnw` is a thin shell over this library: [`recipe`] says what is trained, [`data`] on what, [`training`] runs it,
//! [`run`] keeps what came of it, [`recording`] turns that into what the explorer shows.

#![deny(missing_docs)]
#![recursion_limit = "256"]

pub mod data;
pub mod device;
pub mod recipe;
pub mod schedule;
pub mod training;

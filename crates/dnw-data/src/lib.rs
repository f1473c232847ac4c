//! What the networks are trained on.
//!
//! A [`DataSet`] is two parts of labelled images held in memory as bytes. [`open`] finds one by name:
//! [`digits`] is built into the program, so that a first run needs neither files nor a network;
//! [`mnist`] is read from the user's own IDX files. A [`Loader`] turns a part into normalised
//! batches on background threads, and everything random about a batch is a pure function of
//! (seed, epoch, image), so a run can be repeated and resumed to the bit.
//!
//! This crate knows no tensor library, no model and no terminal.
//!
//! ```
//! use dnw_data::{self as data, Loader};
//!
//! let digits = data::open("digits", None)?;
//! let loader = Loader::train(&digits, 32)?;
//! for batch in loader.epoch(/* seed */ 1, /* epoch */ 0, /* first batch */ 0)? {
//!     assert_eq!(batch.images.len(), batch.len() * 8 * 8);
//! }
//! # Ok::<(), data::DataError>(())
//! ```

#![deny(missing_docs)]

mod augment;
mod batches;
mod check;
pub mod digits;
mod error;
mod fetch;
pub mod idx;
mod images;
pub mod mnist;
mod order;
mod source;

pub use augment::{Augment, NoAugment, ShiftCrop};
pub use batches::{Batch, Batches, Loader};
pub use check::{Check, FileCheck, Verdict, check};
pub use error::{Attempt, DataError};
pub use fetch::{Fetched, Progress, fetch, fetch_from};
pub use idx::IdxError;
pub use images::{DataSet, Images};
pub use order::{Order, Rng};
pub use source::{Found, Listing, Source, list, open};

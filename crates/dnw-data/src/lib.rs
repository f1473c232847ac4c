//! What the networks are trained on.
//!
//! A [`DataSet`] is two parts of labelled images. [`open`] finds one by name: [`digits`] is built into
//! the program, so that a first run needs neither files nor a network; [`mnist`], [`cifar10`] and
//! [`imagenet`] are read from the user's own files. A [`Part`] gives one image at a time, from memory or
//! from disk; [`Transforms`] say what is shown of it. A [`Loader`] turns a part into normalised batches
//! on background threads, and everything random about a batch is a pure function of (seed, epoch, image),
//! so a run can be repeated and resumed to the bit.
//!
//! This crate knows no tensor library, no model and no terminal.
//!
//! ```
//! use dnw_data::{self as data, Loader};
//!
//! let digits = data::open("digits", None)?;
//! let loader = Loader::train(&digits, 32)?;
//! for batch in loader.epoch(/* seed */ 1, /* epoch */ 0, /* first batch */ 0)? {
//!     let batch = batch?;
//!     assert_eq!(batch.images.len(), batch.len() * 8 * 8);
//! }
//! # Ok::<(), data::DataError>(())
//! ```

#![deny(missing_docs)]

pub mod archive;
mod augment;
mod batches;
mod by_hand;
mod check;
pub mod cifar10;
mod data_folder;
mod data_set;
pub mod digits;
mod error;
mod fetch;
pub mod folder;
pub mod idx;
pub mod imagenet;
mod images;
mod loader;
pub mod mnist;
mod order;
pub mod part;
pub mod picture;
mod resize;
mod source;
mod subset;
mod transform;

pub use augment::{Augment, NoAugment, ShiftCrop};
pub use batches::{Batch, Batches};
pub use check::{Check, FileCheck, Verdict, check};
pub use data_folder::root;
pub use data_set::DataSet;
pub use error::{Attempt, DataError};
pub use fetch::{Fetched, Progress, fetch, fetch_from};
pub use idx::IdxError;
pub use images::Images;
pub use loader::Loader;
pub use order::{Order, Rng};
pub use part::Part;
pub use picture::{BadImage, ImageError, Picture};
pub use source::{Found, Known, Listing, Source, list, open};
pub use transform::{TestTransform, TrainTransform, TransformError, Transforms};

//! Data sets and data loaders.
//!
//! A [`DataSet`] has a training and a test part of labelled images. [`open`] opens one by name: [`digits`] is
//! built into the program, so that a first run needs neither files nor a network connection; [`mnist`],
//! [`cifar10`], [`cifar100`] and [`imagenet`] are read from the user's own files. A [`Part`] returns images by index, from
//! memory or from disk; [`Transforms`] crop, resize and flip them. A [`Loader`] prepares normalised batches on
//! background threads. All randomness of a batch is a pure function of (seed, epoch, image), so a run can be
//! reproduced and resumed bit by bit.
//!
//! This crate depends on no tensor library, model or terminal.
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
mod cifar;
pub mod cifar10;
pub mod cifar100;
mod data_folder;
mod data_set;
pub mod digits;
mod error;
mod fetch;
mod fingerprint;
pub mod folder;
pub mod idx;
pub mod imagenet;
mod images;
mod loader;
pub mod mnist;
mod order;
pub mod part;
pub mod picture;
mod preparation;
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
pub use preparation::{Preparation, PreparationError};
pub use source::{Found, Known, Listing, Source, list, open};
pub use transform::{TestTransform, TrainTransform, TransformError, Transforms};

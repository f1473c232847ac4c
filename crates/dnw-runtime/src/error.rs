//! Errors.

use std::io;
use std::path::PathBuf;

use crate::file::FileError;

/// A model cannot be loaded. The message of each kind is one sentence that says what is wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The file cannot be opened or read.
    #[error("cannot read the model `{}`: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        error: io::Error,
    },
    /// The bytes are no model, or a damaged one.
    #[error(transparent)]
    File(#[from] FileError),
    /// The model cannot be executed.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// Its feature maps need more memory than is allowed.
    #[error(
        "the model's feature maps need {} MB, and {} MB are allowed: if it is no stranger's, allow more with `Model::load_within`",
        needed.div_ceil(1_000_000), limit / 1_000_000
    )]
    Memory {
        /// Bytes that a session of one thread needs.
        needed: usize,
        /// Bytes allowed.
        limit: usize,
    },
}

/// A plan that cannot be executed: made by a faulty compiler, or read from a file that somebody changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the compiled model cannot be executed: in layer `{layer}` {what}; compile it again")]
pub struct PlanError {
    /// The layer of the step at fault.
    pub layer: String,
    /// What is wrong.
    pub what: String,
}

/// A call of [`Session::run`](crate::Session::run) with the wrong amount of memory.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The input is not a whole number of images.
    #[error(
        "the input has {found} numbers, which is no batch of images of {channels} x {height} x {width}",
        channels = shape[0], height = shape[1], width = shape[2]
    )]
    Input {
        /// Numbers given.
        found: usize,
        /// `[channels, height, width]`.
        shape: [usize; 3],
    },
    /// The output has the wrong length.
    #[error("the output has room for {found} numbers, and {images} images have {expected}")]
    Output {
        /// Images given.
        images: usize,
        /// Numbers that they result in.
        expected: usize,
        /// Length given.
        found: usize,
    },
}

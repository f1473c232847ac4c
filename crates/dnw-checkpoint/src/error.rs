//! The errors of this crate.

use std::borrow::Cow;
use std::io;
use std::path::PathBuf;

/// A checkpoint could not be read or written.
///
/// Text from a file is quoted with control characters escaped and truncated to 80 characters.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The file cannot be opened or read.
    #[error("cannot read `{}`", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The file has none of the supported formats.
    #[error(
        "the file is neither a PyTorch checkpoint (a zip archive, or a stream of pickles before PyTorch 1.6) nor a safetensors file"
    )]
    UnknownFormat,
    /// The file is of another kind that is known.
    #[error("this is {found}, not a checkpoint")]
    OtherFormat {
        /// What it is, such as `a Git LFS pointer`.
        found: &'static str,
        /// What to do, one sentence without a full stop.
        remedy: &'static str,
    },
    /// A pickle uses an instruction or a form that tensors do not need. It was not executed.
    #[error("{what} at byte {at} of the pickle: a checkpoint may only hold tensors")]
    Forbidden {
        /// The name of the instruction or form.
        what: String,
        /// The byte offset of the instruction: in `data.pkl` of a zip archive, in the file of a stream of pickles.
        at: usize,
    },
    /// A pickle is invalid, or uses an allowed name in a way that PyTorch does not.
    #[error("the pickle is damaged at byte {at}: {what}")]
    Pickle {
        /// What is wrong.
        what: String,
        /// The byte offset of the instruction: in `data.pkl` of a zip archive, in the file of a stream of pickles.
        at: usize,
    },
    /// The file exceeds a limit.
    #[error("the file asks for {found} {what}, at most {limit} are read")]
    Limit {
        /// What is counted.
        what: &'static str,
        /// The number in the file.
        found: u64,
        /// The limit.
        limit: u64,
    },
    /// There is not enough memory.
    #[error("there is not enough memory for {bytes} bytes of this file")]
    Memory {
        /// The number of bytes.
        bytes: u64,
    },
    /// A PyTorch format that this crate does not support.
    #[error("{0}")]
    Unsupported(&'static str),
    /// The description of a tensor is inconsistent, or does not fit the bytes in the file.
    #[error("the tensor `{name}` {what}")]
    Tensor {
        /// The tensor's full path.
        name: String,
        /// What is wrong with it.
        what: String,
    },
    /// Two tensors of a dictionary have the same name.
    #[error("two tensors are called `{name}`")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// The saved object is not a dictionary.
    #[error("the file holds {found}, not a dictionary of tensors")]
    NoDictionary {
        /// What it is instead.
        found: Cow<'static, str>,
    },
    /// No dictionary has a tensor that can be read.
    #[error("the file holds no model: no dictionary in it has a tensor that is read{}", instead(.skipped))]
    NoModel {
        /// What it holds instead, the first few.
        skipped: Vec<String>,
    },
    /// The zip archive is damaged or incomplete.
    #[error("the zip archive is damaged: {0}")]
    Archive(String),
    /// The stream of pickles and storages is damaged.
    #[error("the checkpoint is damaged at byte {at}: {what}")]
    Legacy {
        /// What is wrong.
        what: String,
        /// The byte offset.
        at: usize,
    },
    /// The safetensors file is damaged, or could not be written.
    #[error("the safetensors file is invalid: {0}")]
    Safetensors(#[from] safetensors::SafeTensorError),
}

fn instead(skipped: &[String]) -> String {
    match skipped {
        [] => String::new(),
        [..] => format!(" (it holds {})", skipped.join(", ")),
    }
}

/// Text from a file for a message: without control characters, at most 80 characters.
pub fn quoted(text: &str) -> String {
    let mut quoted: String = text.escape_debug().take(80).collect();
    if text.escape_debug().nth(80).is_some() {
        quoted.push_str("...");
    }
    quoted
}

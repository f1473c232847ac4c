//! The errors of this crate.

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
    /// A pickle uses a class, function or instruction that tensors do not need. It was not executed.
    #[error("{what} at byte {at} of the pickle: a checkpoint may only hold tensors")]
    Forbidden {
        /// The name of the class, function or instruction.
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
        found: &'static str,
    },
    /// No dictionary of a model has a tensor.
    #[error("the file holds no model: there are tensors neither under `state_dict`, nor `model`, nor at the top{}", elsewhere(.sections))]
    NoModel {
        /// The paths of the dictionaries with tensors.
        sections: Vec<String>,
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

fn elsewhere(sections: &[String]) -> String {
    match sections {
        [] => String::new(),
        [..] => format!(" (only under `{}`)", sections.join("`, `")),
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

//! What can be wrong with a checkpoint.

use std::io;
use std::path::PathBuf;

/// Why a checkpoint was not read or not written.
///
/// Text from a file is quoted with its control characters escaped and cut after 80 characters.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The file cannot be opened or read.
    #[error("cannot read `{}`", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The bytes begin like none of the formats.
    #[error(
        "the file is neither a PyTorch checkpoint (a zip archive, or a stream of pickles before PyTorch 1.6) nor a safetensors file"
    )]
    UnknownFormat,
    /// A pickle asks for something that no tensor needs. Nothing of it was run.
    #[error("{what} at byte {at} of the pickle: a checkpoint may only hold tensors")]
    Forbidden {
        /// The name of the class, function or instruction.
        what: String,
        /// Bytes before the instruction: of `data.pkl` in a zip archive, of the file in a stream of pickles.
        at: usize,
    },
    /// A pickle does not follow the rules of pickles, or uses an allowed name in a way that PyTorch does not.
    #[error("the pickle is damaged at byte {at}: {what}")]
    Pickle {
        /// What is wrong.
        what: String,
        /// Bytes before the instruction: of `data.pkl` in a zip archive, of the file in a stream of pickles.
        at: usize,
    },
    /// The file asks for more of something than is read.
    #[error("the file asks for {found} {what}, at most {limit} are read")]
    Limit {
        /// What is counted.
        what: &'static str,
        /// How many the file asks for.
        found: u64,
        /// How many are read.
        limit: u64,
    },
    /// The system has not enough memory.
    #[error("there is not enough memory for {bytes} bytes of this file")]
    Memory {
        /// The bytes asked for.
        bytes: u64,
    },
    /// The file is of a kind that PyTorch knows and this crate does not read.
    #[error("{0}")]
    Unsupported(&'static str),
    /// A tensor's claims contradict each other or the bytes in the file.
    #[error("the tensor `{name}` {what}")]
    Tensor {
        /// The tensor's name, with the dictionaries it lies in.
        name: String,
        /// What is wrong with it.
        what: String,
    },
    /// Two tensors of one dictionary have the same name.
    #[error("two tensors are called `{name}`")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// What was saved is no dictionary.
    #[error("the file holds {found}, not a dictionary of tensors")]
    NoDictionary {
        /// What it is instead.
        found: &'static str,
    },
    /// No dictionary that could be a model's holds a tensor.
    #[error("the file holds no model: there are tensors neither under `state_dict`, nor `model`, nor at the top{}", elsewhere(.sections))]
    NoModel {
        /// The paths of the dictionaries that do hold tensors.
        sections: Vec<String>,
    },
    /// The zip archive is damaged or lacks a part.
    #[error("the zip archive is damaged: {0}")]
    Archive(String),
    /// The stream of pickles and storages is damaged.
    #[error("the checkpoint is damaged at byte {at}: {what}")]
    Legacy {
        /// What is wrong.
        what: String,
        /// Bytes before the place.
        at: usize,
    },
    /// The safetensors file is damaged, or could not be made.
    #[error("the safetensors file is invalid: {0}")]
    Safetensors(#[from] safetensors::SafeTensorError),
}

fn elsewhere(sections: &[String]) -> String {
    match sections {
        [] => String::new(),
        [..] => format!(" (only under `{}`)", sections.join("`, `")),
    }
}

/// Text from a file as it may stand in a message: no control characters, no more than 80 characters.
pub fn quoted(text: &str) -> String {
    let mut quoted: String = text.escape_debug().take(80).collect();
    if text.escape_debug().nth(80).is_some() {
        quoted.push_str("...");
    }
    quoted
}

//! Option values of several commands.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use clap::builder::{OsStringValueParser, TypedValueParser};

/// The help of `--device`.
pub const DEVICE_HELP: &str = "Where tensors live: auto, flex, ndarray, wgpu[:KIND], vulkan[:KIND], metal, cuda[:N], rocm[:N], libtorch, \
remote:ADDRESS

auto is the best GPU that this program was built for and finds, or else the CPU. KIND is discrete, integrated, virtual, \
cpu (software) or a number; N counts GPUs from 0. `dnw devices` lists what is here, and how to build for what is not. ADDRESS is \
what `dnw serve` prints; the token of the server is read from DNW_TOKEN.";

/// Parses a path. It may be empty: `DNW_DATA=` in the environment means that there is none.
pub fn path_or_nothing() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

/// A folder, unless it is absent or empty.
pub fn non_empty(folder: &Option<PathBuf>) -> Option<&Path> {
    folder
        .as_deref()
        .filter(|folder| !folder.as_os_str().is_empty())
}

/// Saved weights of a run.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum SavedWeights {
    /// The weights of the best evaluation
    Best,
    /// The weights of the last epoch
    Last,
}

impl SavedWeights {
    /// The name of the file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Best => "best",
            Self::Last => "last",
        }
    }
}

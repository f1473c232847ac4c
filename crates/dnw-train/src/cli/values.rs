//! Values that several commands take.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use clap::builder::{OsStringValueParser, TypedValueParser};

/// Takes an empty path too: `DNW_DATA=` in the environment means that there is none, not that everything stops.
pub fn path_or_nothing() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

/// A folder, unless it is none or empty.
pub fn given(folder: &Option<PathBuf>) -> Option<&Path> {
    folder
        .as_deref()
        .filter(|folder| !folder.as_os_str().is_empty())
}

/// Which weights of a run.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Which {
    /// Those of the best evaluation
    Best,
    /// Those of the last epoch
    Last,
}

impl Which {
    /// As files are called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Best => "best",
            Self::Last => "last",
        }
    }
}

//! Compiled models in files.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use dnw_data::{Preparation, PreparationError};
use dnw_runtime::file::{FileError, Precision, read, write};
use dnw_runtime::plan::{Op, Plan};
use dnw_runtime::{LoadError, MOST_SESSION_BYTES, Model, PlanError};

use super::prediction::probabilities;

/// The largest file that is read.
const MOST_BYTES: u64 = 1 << 32;
/// Bytes that show what kind of file it is, so that a large one of another kind is not read.
const START: u64 = 4096;

/// A compiled model that was read.
#[derive(Clone, Debug)]
pub struct ModelFile {
    /// Its size in bytes.
    pub bytes: usize,
    /// What it computes.
    pub plan: Plan,
    /// The same, to be executed.
    pub model: Model,
    /// What its weights are stored as.
    pub precision: Precision,
}

/// Why a model cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelFileError {
    /// The file cannot be read.
    #[error("cannot read `{}`: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A folder.
    #[error("`{}` is a folder, not a compiled model", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
    },
    /// The file is not a sound model.
    #[error("cannot use `{}`: {}", path.display(), parts(source).0)]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: FileError,
    },
    /// The plan in the file cannot be executed.
    #[error("cannot use `{}`: {source}", path.display())]
    Plan {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: PlanError,
    },
    /// Its feature maps need more memory than a model from a file may.
    #[error("cannot use `{}`: its feature maps need more than {} MiB", path.display(), MOST_SESSION_BYTES >> 20)]
    Memory {
        /// The file.
        path: PathBuf,
        /// How much they need.
        source: LoadError,
    },
    /// Its images are none.
    #[error("cannot use `{}`: {source}", path.display())]
    Preparation {
        /// The file.
        path: PathBuf,
        /// What is wrong with them.
        source: PreparationError,
    },
}

/// The sentence of an error and its remedy, which follows a colon.
fn parts(error: &FileError) -> (String, Option<String>) {
    let text = error.to_string();
    match text.rsplit_once(": ") {
        Some((what, remedy)) => (what.to_owned(), Some(remedy.to_owned())),
        None => (text, None),
    }
}

impl ModelFileError {
    /// What to do about it.
    pub fn help(&self) -> String {
        match self {
            Self::Read { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                "`dnw compile RUN -o model.dnw` makes a model of a run".into()
            }
            Self::Read { .. } => "look whether the file may be read".into(),
            Self::Folder { path } => format!(
                "if it is a run, `dnw compile {} -o model.dnw` makes a model of it",
                path.display()
            ),
            Self::File { source, .. } => parts(source)
                .1
                .unwrap_or_else(|| "compile the run again with `dnw compile`".into()),
            Self::Memory { .. } => {
                "if you trust the file, a program of your own can allow more with `Model::load_within`"
                    .into()
            }
            Self::Plan { .. } | Self::Preparation { .. } => {
                "compile the run again with `dnw compile`".into()
            }
        }
    }
}

impl ModelFile {
    /// The probabilities of an image's classes: the softmax of the outputs, unless the network ends in one.
    pub fn probabilities(&self, outputs: &[f32]) -> Vec<f64> {
        match self.plan.steps.last().map(|step| &step.op) {
            Some(Op::Softmax(softmax)) if softmax.to == self.plan.output => {
                outputs.iter().copied().map(f64::from).collect()
            }
            _ => probabilities(outputs),
        }
    }

    /// Reads a model.
    ///
    /// # Errors
    /// [`ModelFileError`] if there is none, or it is damaged.
    pub fn open(path: &Path) -> Result<Self, ModelFileError> {
        let unreadable = |source| ModelFileError::Read {
            path: path.to_owned(),
            source,
        };
        let metadata = std::fs::metadata(path).map_err(unreadable)?;
        if metadata.is_dir() {
            return Err(ModelFileError::Folder {
                path: path.to_owned(),
            });
        }
        if !metadata.is_file() {
            return Err(unreadable(io::Error::other("it is not a regular file")));
        }
        if metadata.len() > MOST_BYTES {
            let what = format!("it has more than {} GiB", MOST_BYTES >> 30);
            return Err(unreadable(io::Error::other(what)));
        }
        let unsound = |source| ModelFileError::File {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(unreadable)?;
        let mut bytes = Vec::new();
        let mut start = (&file).take(START);
        start.read_to_end(&mut bytes).map_err(unreadable)?;
        if let Err(error @ FileError::OtherFormat { .. }) = read(&bytes) {
            return Err(unsound(error));
        }
        let mut rest = file.take(MOST_BYTES);
        rest.read_to_end(&mut bytes).map_err(unreadable)?;
        let plan = read(&bytes).map_err(unsound)?;
        let model = Model::new(plan.clone()).map_err(|source| ModelFileError::Plan {
            path: path.to_owned(),
            source,
        })?;
        let model = model.within(MOST_SESSION_BYTES);
        let model = model.map_err(|source| ModelFileError::Memory {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            bytes: bytes.len(),
            precision: stored_as(&plan, bytes.len()),
            plan,
            model,
        })
    }

    /// How pictures become inputs of the model. `path` is the model's file, for the error.
    ///
    /// # Errors
    /// [`ModelFileError::Preparation`] if pictures cannot.
    pub fn preparation(&self, path: &Path) -> Result<Preparation, ModelFileError> {
        let input = &self.plan.input;
        Preparation::new(input.shape, &input.mean, &input.deviation, input.resize).map_err(
            |source| ModelFileError::Preparation {
                path: path.to_owned(),
                source,
            },
        )
    }

    /// The name of a class; its number if the model has no names.
    pub fn class(&self, index: usize) -> String {
        let names = &self.plan.input.classes;
        names
            .get(index)
            .cloned()
            .unwrap_or_else(|| index.to_string())
    }
}

/// The precision with which a plan takes so many bytes.
fn stored_as(plan: &Plan, bytes: usize) -> Precision {
    let precisions = [Precision::F32, Precision::F16, Precision::Int8];
    let fitting = precisions
        .into_iter()
        .find(|&precision| write(plan, precision).len() == bytes);
    fitting.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_remedy_of_a_damaged_file_is_its_own_line() {
        let error = ModelFileError::File {
            path: "a.dnw".into(),
            source: FileError::Empty,
        };
        assert_eq!(
            error.to_string(),
            "cannot use `a.dnw`: the model file is empty"
        );
        assert!(error.help().starts_with("copy or download it again"));
    }
}

//! What a run must be resumed with: the recipe, the data set and the program that it began with.

use crate::data::DataSet;
use crate::recipe::Recipe;
use crate::run::{Checkpoint, Origin, sha256};
use crate::training::RestoreError;

/// Facts about the environment that do not change bits.
const NO_BITS: [&str; 1] = ["threads"];

/// A run to go on with.
#[derive(Debug)]
pub struct Resume {
    /// Where to go on.
    pub checkpoint: Checkpoint,
    /// Whether to go on although the program, its settings or the machine are others. The result is then not that of a run that was not
    /// interrupted.
    pub accept_other_bits: bool,
}

/// Why a run cannot be resumed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResumeError {
    /// The recipe is another one.
    #[error("the run began with another recipe than its `recipe.toml` has now")]
    Recipe,
    /// The data set is another one.
    #[error(
        "the data set `{name}` is not the one that the run began with: images, labels or classes differ"
    )]
    Data {
        /// The name of the data set.
        name: String,
    },
    /// The program, its settings or the machine are others.
    #[error(
        "the run began with {label} {began}, and would go on with {found}: its bits may differ"
    )]
    Program {
        /// What differs.
        label: String,
        /// What the run began with.
        began: String,
        /// What it would go on with.
        found: String,
    },
    /// The checkpoint does not fit the training.
    #[error("the checkpoint of update {update} cannot be used: {source}")]
    Checkpoint {
        /// Its update.
        update: u64,
        /// The reason.
        source: RestoreError,
    },
}

impl ResumeError {
    /// What to do about it.
    pub fn help(&self) -> String {
        match self {
            Self::Recipe => "restore `recipe.toml`, or train again to another folder".into(),
            Self::Data { .. } => "name the folder of the original files with `--data`".into(),
            Self::Program { .. } => {
                "go on with what the run began with, or add `--accept-other-bits`: the result is then not that of a run without a pause".into()
            }
            Self::Checkpoint { .. } => "train again to another folder with the command that `run.json` names".into(),
        }
    }
}

/// What a run begins with.
pub(crate) fn origin(recipe: &Recipe, data: &DataSet, environment: &[(String, String)]) -> Origin {
    let changes_bits = |(label, _): &&(String, String)| !NO_BITS.contains(&label.as_str());
    Origin {
        recipe: sha256(&recipe.to_toml()),
        data: data.fingerprint(),
        program: environment.iter().filter(changes_bits).cloned().collect(),
    }
}

/// Checks that a run goes on with what it began with.
pub(crate) fn check(resume: &Resume, now: &Origin, data: &str) -> Result<(), ResumeError> {
    let began = &resume.checkpoint.state.origin;
    if began.recipe != now.recipe {
        return Err(ResumeError::Recipe);
    }
    if began.data != now.data {
        return Err(ResumeError::Data {
            name: data.to_owned(),
        });
    }
    if resume.accept_other_bits {
        return Ok(());
    }
    let labels = began.program.iter().chain(&now.program);
    for (label, _) in labels {
        let value = |origin: &Origin| {
            let entry = origin.program.iter().find(|(it, _)| it == label);
            entry.map_or_else(
                || "its default".to_owned(),
                |(_, value)| format!("`{value}`"),
            )
        };
        let (began, found) = (value(began), value(now));
        if began != found {
            let label = label.clone();
            return Err(ResumeError::Program {
                label,
                began,
                found,
            });
        }
    }
    Ok(())
}

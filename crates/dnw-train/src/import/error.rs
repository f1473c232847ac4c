//! Errors of imports.

use std::path::{Path, PathBuf};

use dnw_checkpoint::{CheckpointError, quoted};
use dnw_core::WiringError;
use dnw_models::{ModelError, PublishedError};

use super::Differences;
use crate::data::DataError;
use crate::recipe::RecipeError;
use crate::run::RunError;

/// Why a file cannot be imported. Nothing is written then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The file cannot be opened.
    #[error("cannot read `{}`: {source}", .path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The file is not a checkpoint, or is damaged or hostile.
    #[error("cannot read `{}`: {source}", .path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: CheckpointError,
    },
    /// The file does not fit the requested recipe.
    #[error("`{}` does not fit the recipe `{recipe}`: {differences}", .path.display())]
    Unfit {
        /// The file.
        path: PathBuf,
        /// The recipe.
        recipe: String,
        /// The differences.
        differences: Box<Differences>,
        /// The recipe that the file fits, or is nearest to, if any.
        better: Option<Better>,
    },
    /// The file fits no recipe.
    #[error("`{}` fits no recipe{}", .path.display(), nearest_in_words(.nearest, .names))]
    NoRecipe {
        /// The file.
        path: PathBuf,
        /// The nearest recipe and the differences from it, if any names are common.
        nearest: Option<Box<(String, Differences)>>,
        /// The names of the first tensors.
        names: Vec<String>,
    },
    /// There is something unreadable in place of a tensor that the network needs.
    #[error("`{}` holds something else in the place of tensors: {}", .path.display(), .needed.join(", "))]
    NoTensor {
        /// The file.
        path: PathBuf,
        /// The names, and what they hold.
        needed: Vec<String>,
    },
    /// The weights have zeros or masks, so they are effective weights, and the rule would apply its threshold again.
    #[error(
        "the file's weights are final (they have masks or zeros), and the rule `{rule}` would subtract its threshold from them again"
    )]
    FinalWeights {
        /// The rule.
        rule: String,
    },
    /// Tensors hold NaN or infinities.
    #[error("`{}` holds numbers that are not finite, in {}: such weights cannot be ranked", .path.display(), listed(.names))]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// The tensors.
        names: Vec<String>,
    },
    /// The rule has thresholds, which published files cannot hold.
    #[error(
        "the rule `{rule}` learns a threshold for each tensor, which published files have no place for"
    )]
    Threshold {
        /// The rule.
        rule: String,
    },
    /// A tensor cannot be imported.
    #[error("`{}` cannot be imported: {source}", .path.display())]
    Published {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: PublishedError,
    },
    /// The recipe is invalid.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// The recipe's data set does not exist, or its transforms do not fit.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The recipe's network cannot be created.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The network cannot be wired by the recipe.
    #[error(transparent)]
    Wiring(#[from] WiringError),
    /// The run folder cannot be written.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// A recipe that fits a file better than the requested one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Better {
    /// Its name.
    pub recipe: String,
    /// The number of differences from the file: 0 if it fits.
    pub differences: usize,
}

fn nearest_in_words(nearest: &Option<Box<(String, Differences)>>, names: &[String]) -> String {
    match nearest.as_deref() {
        Some((recipe, differences)) => format!("; of the nearest, `{recipe}`, {differences}"),
        None => format!(
            ": no name of its tensors is that of a network's (they are called {}, ..)",
            listed(names)
        ),
    }
}

/// A list of names, shortened.
fn listed(names: &[String]) -> String {
    const MAX: usize = 20;
    let shown = names.iter().take(MAX);
    let shown: Vec<String> = shown.map(|name| format!("`{}`", quoted(name))).collect();
    match names.len().saturating_sub(MAX) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

impl ImportError {
    /// The error for a file that cannot be read.
    pub(super) fn unreadable(path: &Path, error: CheckpointError) -> Self {
        let path = path.to_owned();
        match error {
            CheckpointError::Read { source, .. } => Self::Open { path, source },
            source => Self::Checkpoint { path, source },
        }
    }

    /// What to do about it.
    pub fn help(&self) -> String {
        match self {
            Self::Open { .. } => "give the path of a `.pt` or safetensors file that may be read".into(),
            Self::Checkpoint { source, .. } => match source {
                CheckpointError::OtherFormat { remedy, .. } => (*remedy).into(),
                CheckpointError::Forbidden { .. } | CheckpointError::Unsupported(_) => {
                    "nothing in the file was run; save the model's `state_dict()` alone with `torch.save`, or as safetensors".into()
                }
                CheckpointError::NoModel { .. } | CheckpointError::NoDictionary { .. } => {
                    "nothing in the file was run; save the model's `state_dict()` with `torch.save`, or as safetensors".into()
                }
                CheckpointError::UnknownFormat => "give a file that `torch.save` or safetensors wrote".into(),
                _ => "download or copy the file again; nothing in it was run".into(),
            },
            Self::Unfit {
                path,
                better: Some(Better { recipe, differences: 0 }),
                ..
            } => format!("it fits the recipe `{recipe}`: `dnw import {} --recipe {recipe}`", path.display()),
            Self::Unfit {
                better: Some(Better { recipe, differences }),
                ..
            } => format!("no recipe fits; the nearest is `{recipe}`, from which it differs in {differences} tensors; sizes are changed with `--set model.KEY=VALUE`"),
            Self::Unfit { better: None, .. } | Self::NoRecipe { nearest: None, .. } => {
                "no recipe has a network with such names; `dnw recipes` lists what there is".into()
            }
            Self::NoRecipe {
                nearest: Some(nearest),
                ..
            } => {
                let recipe = &nearest.0;
                format!("`--recipe {recipe}` with other sizes, `--set model.KEY=VALUE`, may fit; `dnw recipes {recipe}` shows the keys")
            }
            Self::NoTensor { .. } => "nothing in the file was run; save the model's `state_dict()` as tensors of floats".into(),
            Self::FinalWeights { .. } => "import it with a rule that uses weights as they are, `--set wiring.rule=dnw`; or export it with `--raw`".into(),
            Self::NotFinite { .. } => "the training that made the file has diverged; take an earlier checkpoint".into(),
            Self::Threshold { .. } => "choose another rule with `--set wiring.rule=NAME`; `dnw recipes` lists them".into(),
            Self::Published { .. } => "the file was changed after it was published; download it again".into(),
            Self::Recipe(error) => error.help(),
            Self::Data(error) => error.help(),
            Self::Model(_) => "change the recipe's `model` keys with `--set model.KEY=VALUE`".into(),
            Self::Wiring(_) => "change the budget with `--set wiring.prune-rate=RATE`, or what competes with `--set wiring.ranking=all-entries`".into(),
            Self::Run(error) => error.help(),
        }
    }
}

//! The options of the command that began a run and that its recipe does not hold.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// `settings.json`: what a command that continues the run has to know beside the recipe.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// The folder with the data set's files.
    pub data: Option<PathBuf>,
    /// The devices by name, as they were opened.
    pub devices: Vec<String>,
    /// The most images that are computed at once.
    pub micro_batch: Option<u64>,
    /// The precision.
    pub precision: String,
    /// Whether kernels were switched off.
    pub reference_kernels: bool,
    /// When checkpoints are written.
    pub checkpoint_every: String,
    /// How many checkpoints are kept.
    pub keep: usize,
    /// What to do when the training diverges.
    #[serde(default)]
    pub on_divergence: String,
}

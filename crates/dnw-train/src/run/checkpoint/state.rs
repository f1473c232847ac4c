//! The state of a run that is not in tensors.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::run::facts::RollBack;
use crate::run::history::HistoryPosition;
use crate::run::position::Position;

/// The state of a run beside its training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct RunState {
    pub(crate) origin: Origin,
    pub(crate) scores: Scores,
    pub(crate) files: FilesState,
    /// The update of the checkpoint to roll back to, which may be this one.
    #[serde(default)]
    pub(crate) good: Option<u64>,
    /// The roll backs so far.
    #[serde(default)]
    pub(crate) roll_backs: Vec<RollBack>,
}

/// What a run was begun with. A run that is resumed with something else has other bits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Origin {
    /// The SHA-256 of the recipe.
    pub(crate) recipe: String,
    /// The fingerprint of the data set.
    pub(crate) data: String,
    /// Program, libraries, device: label and value.
    pub(crate) program: Vec<(String, String)>,
}

/// The results of evaluations so far. Floats are stored as their bits, because JSON rounds them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Scores {
    pub(crate) seconds: u64,
    pub(crate) test_accuracy: u64,
    pub(crate) test_loss: u64,
    pub(crate) best_test_accuracy: u64,
    pub(crate) best_epoch: u64,
    pub(crate) best_edges_real: usize,
}

/// The state of the files that a run writes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct FilesState {
    pub(crate) metrics: Position,
    pub(crate) histories: BTreeMap<String, HistoryPosition>,
    /// The updates of all frames.
    pub(crate) frames: Vec<u64>,
    /// The weights of the last evaluation, and of the best one.
    pub(crate) weights: BTreeMap<String, Position>,
    pub(crate) sums: SumsState,
}

/// Sums since the last line of metrics, floats as their bits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SumsState {
    pub(crate) loss: u64,
    pub(crate) right: usize,
    pub(crate) images: usize,
    pub(crate) updates: u64,
    pub(crate) swaps: u64,
    pub(crate) rate: u64,
}

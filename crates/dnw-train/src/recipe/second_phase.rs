//! The second phase of a training.

use serde::{Deserialize, Serialize};

/// The second phase, for a rule that has two.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SecondPhase {
    /// Epochs, after those of the first phase.
    pub epochs: u64,
    /// The largest learning rate of the phase, which starts the schedule again.
    pub learning_rate: f64,
}

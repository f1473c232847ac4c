//! The second phase of a training, as a recipe says it.

use serde::{Deserialize, Serialize};

/// The second phase of a rule that has two.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SecondPhase {
    /// Passes over the training part, after those of the first phase.
    pub epochs: u64,
    /// The largest learning rate of the phase, whose schedule begins anew.
    pub learning_rate: f64,
}

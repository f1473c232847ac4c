//! How weights learn, as a recipe says it.

use serde::{Deserialize, Serialize};

/// Stochastic gradient descent as PyTorch defines it, and its schedule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct OptimizerRecipe {
    /// The largest learning rate.
    pub learning_rate: f64,
    /// Share of the last step that is kept.
    #[serde(default)]
    pub momentum: f64,
    /// Share of a weight that is added to its gradient.
    #[serde(default)]
    pub weight_decay: f64,
    /// Whether weight decay acts on the scale and shift of norms too.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub norms_decay: bool,
    /// How the rate moves: `constant`, `step` or `cosine`.
    #[serde(default)]
    pub schedule: RateShape,
    /// Epochs over which the rate rises from near zero.
    #[serde(default)]
    pub warm_up: f64,
    /// Epochs at which a `step` schedule multiplies the rate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub step_at: Vec<f64>,
    /// What a `step` schedule multiplies it by.
    #[serde(default = "tenth")]
    pub step_factor: f64,
    /// Share of the target that is spread over all classes.
    #[serde(default)]
    pub label_smoothing: f64,
    /// The largest norm that a tensor's gradient may have; no limit where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,
}

fn tenth() -> f64 {
    0.1
}

fn yes() -> bool {
    true
}

fn is_yes(answer: &bool) -> bool {
    *answer
}

/// How the rate moves after the warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RateShape {
    /// It stays.
    #[default]
    Constant,
    /// It is multiplied at given epochs.
    Step,
    /// It falls along half a cosine to zero (Loshchilov and Hutter 2017, equation 5, one period).
    Cosine,
}

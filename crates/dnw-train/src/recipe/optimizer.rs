//! The optimizer of a recipe.

use serde::{Deserialize, Serialize};

/// SGD as in PyTorch, and the learning rate schedule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct OptimizerRecipe {
    /// The largest learning rate.
    pub learning_rate: f64,
    /// Momentum.
    #[serde(default)]
    pub momentum: f64,
    /// Weight decay.
    #[serde(default)]
    pub weight_decay: f64,
    /// Whether weight decay also applies to the scale and shift of norms.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub norms_decay: bool,
    /// The schedule of the learning rate: `constant`, `step` or `cosine`.
    #[serde(default)]
    pub schedule: RateShape,
    /// Epochs of linear warm-up.
    #[serde(default)]
    pub warm_up: f64,
    /// Epochs at which a `step` schedule multiplies the learning rate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub step_at: Vec<f64>,
    /// The factor of a `step` schedule.
    #[serde(default = "tenth")]
    pub step_factor: f64,
    /// Label smoothing: the share of the target that is spread over all classes.
    #[serde(default)]
    pub label_smoothing: f64,
    /// The maximum norm of the gradient of a tensor; no limit by default.
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

/// The learning rate after the warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RateShape {
    /// Constant.
    #[default]
    Constant,
    /// Multiplied by a factor at given epochs.
    Step,
    /// Half a cosine down to zero (Loshchilov and Hutter 2017, equation 5, one period).
    Cosine,
}

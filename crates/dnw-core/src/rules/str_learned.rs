use std::sync::Arc;

use crate::score::AboveThreshold;
use crate::{Allocation, Forward, Gradient, Rule};

/// STR: each tensor learns the threshold that its weights must pass, so that how many edges stay, and where, comes out of training;
/// the budget is not looked at (Kusupati et al. 2020). The threshold is `sigmoid(s)` with `s` from `start` on; weight decay pulls `s`
/// to zero, which raises it.
pub fn str_learned(start: f32) -> Rule {
    Rule {
        name: "str".into(),
        score: Arc::new(AboveThreshold),
        allocation: Allocation::Free,
        gradient: Gradient::RealEdges,
        forward: Forward::LearnedThreshold { start },
        ..super::dnw()
    }
}

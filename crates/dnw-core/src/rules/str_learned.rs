use std::sync::Arc;

use crate::score::AboveThreshold;
use crate::{Allocation, Forward, Gradient, Rule};

/// STR: each tensor learns a threshold, and training decides how many edges stay and where; the budget is
/// ignored (Kusupati et al. 2020). The threshold is `sigmoid(s)` with `s` initially `start`. Weight decay
/// pulls `s` to zero, which raises the threshold.
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

use std::sync::Arc;

use crate::schedule::Shrinking;
use crate::{Gradient, Rule};

/// Gradual magnitude pruning: every `every` updates the smallest weights are removed, along a cubic curve
/// that reaches the budget at `until`; only real edges learn (Zhu and Gupta 2017).
pub fn gradual_pruning(every: u64, until: f64) -> Rule {
    Rule {
        name: "gradual-pruning".into(),
        schedule: Arc::new(Shrinking {
            every,
            ..Shrinking::over(until)
        }),
        gradient: Gradient::RealEdges,
        ..super::dnw()
    }
}

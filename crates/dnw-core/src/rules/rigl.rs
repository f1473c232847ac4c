use std::sync::Arc;

use crate::Rule;
use crate::score::GradientMagnitude;

/// Rigging the lottery: as [`set`](super::set()), but edges grow where the gradient of the loss is largest (Evci et al. 2020,
/// algorithm 1).
pub fn rigl(every: u64, turnover: f64, until: f64) -> Rule {
    Rule {
        name: "rigl".into(),
        growth: Some(Arc::new(GradientMagnitude)),
        ..super::set(every, turnover, until)
    }
}

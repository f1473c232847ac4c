use std::sync::Arc;

use crate::score::MomentumMagnitude;
use crate::{Allocation, Rule};

/// Sparse momentum: as [`set`](super::set()), but edges grow where the running mean of the gradient is
/// largest, and removed edges are redistributed to the tensors whose real edges have the largest mean
/// (Dettmers and Zettlemoyer 2019).
pub fn sparse_momentum(every: u64, turnover: f64, until: f64) -> Rule {
    Rule {
        name: "sparse-momentum".into(),
        growth: Some(Arc::new(MomentumMagnitude { decay: 0.9 })),
        allocation: Allocation::Moving,
        ..super::set(every, turnover, until)
    }
}

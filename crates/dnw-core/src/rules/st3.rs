use std::sync::Arc;

use crate::schedule::Shrinking;
use crate::score::NormalisedMagnitude;
use crate::{Allocation, Forward, Rule};

/// ST-3: all tensors compete for one budget that shrinks along a cubic curve over the run; real edges
/// contribute their weight less the threshold, and all edges learn (Vanholder et al. 2023).
pub fn st3(until: f64) -> Rule {
    Rule {
        name: "st-3".into(),
        allocation: Allocation::Global,
        schedule: Arc::new(Shrinking::over(until)),
        forward: Forward::SoftThreshold,
        ..super::dnw()
    }
}

/// [`st3`] that ranks weights by their magnitude divided by the standard deviation of their tensor.
pub fn st3_normalised(until: f64) -> Rule {
    Rule {
        name: "st-3-normalised".into(),
        score: Arc::new(NormalisedMagnitude),
        ..st3(until)
    }
}

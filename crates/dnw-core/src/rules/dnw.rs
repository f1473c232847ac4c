use std::sync::Arc;

use crate::schedule::{EveryUpdate, Shrinking};
use crate::score::Magnitude;
use crate::{Allocation, Forward, Gradient, Regrowth, Rule, Unit};

/// Discovering neural wirings: the k edges of largest magnitude, selected after every update, while every
/// edge learns (Wortsman et al. 2019, algorithm 1).
pub fn dnw() -> Rule {
    Rule {
        name: "dnw".into(),
        score: Arc::new(Magnitude),
        growth: None,
        allocation: Allocation::PerTensor,
        schedule: Arc::new(EveryUpdate),
        gradient: Gradient::AllEdges,
        penalty: None,
        unit: Unit::Edge,
        forward: Forward::Weight,
        regrowth: Regrowth::Kept,
    }
}

/// [`dnw`] with a budget that starts at every edge and shrinks to k over the first `until` of the run, so
/// that nodes have time to find edges before they can become dead.
pub fn dnw_shrinking(until: f64) -> Rule {
    Rule {
        name: "dnw-shrinking".into(),
        schedule: Arc::new(Shrinking::over(until)),
        ..dnw()
    }
}

/// [`dnw`] in which hallucinated edges learn at `scale` times the rate of real ones: between [`dnw`] at 1 and
/// [`no_update`](super::no_update) at 0.
pub fn dnw_scaled(scale: f32) -> Rule {
    Rule {
        name: "dnw-scaled".into(),
        gradient: Gradient::Scaled(scale),
        ..dnw()
    }
}

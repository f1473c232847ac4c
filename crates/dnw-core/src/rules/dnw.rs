use std::sync::Arc;

use crate::schedule::{EveryUpdate, Shrinking};
use crate::score::Magnitude;
use crate::{Gradient, Rule, Unit};

/// Discovering neural wirings: the k edges of largest magnitude, chosen after every update, while every edge learns
/// (Wortsman et al. 2019, algorithm 1).
pub fn dnw() -> Rule {
    Rule {
        name: "dnw".into(),
        score: Arc::new(Magnitude),
        schedule: Arc::new(EveryUpdate),
        gradient: Gradient::AllEdges,
        unit: Unit::Edge,
    }
}

/// [`dnw`] with a budget that starts at every edge and shrinks to k over the first `share` of the run, which keeps nodes from
/// dying before they have found an edge worth keeping.
pub fn dnw_shrinking(share: f64) -> Rule {
    Rule {
        name: "dnw-shrinking".into(),
        schedule: Arc::new(Shrinking { share }),
        ..dnw()
    }
}

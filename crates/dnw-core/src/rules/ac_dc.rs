use std::sync::Arc;

use crate::schedule::Phases;
use crate::{Allocation, Gradient, Regrowth, Rule};

/// AC/DC: alternating dense and sparse phases. A sparse phase keeps the largest weights of the whole model
/// and trains only those; a dense phase restarts all other weights at zero (Peste et al. 2021).
pub fn ac_dc(phases: Phases) -> Rule {
    Rule {
        name: "ac-dc".into(),
        allocation: Allocation::Global,
        schedule: Arc::new(phases),
        gradient: Gradient::RealEdges,
        regrowth: Regrowth::Zero,
        ..super::dnw()
    }
}

use std::sync::Arc;

use crate::schedule::Complete;
use crate::score::Magnitude;
use crate::{Gradient, Rule, Unit};

/// Every candidate is real: the dense network, whatever the budget.
pub fn complete() -> Rule {
    Rule {
        name: "complete".into(),
        score: Arc::new(Magnitude),
        schedule: Arc::new(Complete),
        gradient: Gradient::AllEdges,
        unit: Unit::Edge,
    }
}

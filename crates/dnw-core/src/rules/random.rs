use std::sync::Arc;

use crate::schedule::Once;
use crate::score::Chance;
use crate::{Gradient, Rule, Unit};

/// Edges drawn once among the candidates, then fixed: what a discovered wiring must beat.
pub fn random() -> Rule {
    Rule {
        name: "random".into(),
        score: Arc::new(Chance),
        schedule: Arc::new(Once),
        gradient: Gradient::RealEdges,
        unit: Unit::Edge,
    }
}

use std::sync::Arc;

use crate::Rule;
use crate::schedule::Complete;

/// Every candidate is real: the dense network, whatever the budget.
pub fn complete() -> Rule {
    Rule {
        name: "complete".into(),
        schedule: Arc::new(Complete),
        ..super::dnw()
    }
}

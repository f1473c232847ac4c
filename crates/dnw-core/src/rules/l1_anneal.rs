use std::sync::Arc;

use crate::schedule::CompleteUntil;
use crate::{Penalty, Rule};

/// The complete network under an L1 penalty that rises to `strength` over the run; the k largest weights stay at the end
/// (Wortsman et al. 2019, table 2).
pub fn l1_anneal(strength: f64) -> Rule {
    Rule {
        name: "l1-anneal".into(),
        schedule: Arc::new(CompleteUntil { share: 1.0 }),
        penalty: Some(Penalty {
            strength,
            rises_over: 1.0,
        }),
        ..super::dnw()
    }
}

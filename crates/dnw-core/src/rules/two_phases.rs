use std::sync::Arc;

use crate::schedule::CompleteUntil;
use crate::{Gradient, Regrowth, Rule};

/// Trains the complete network until the share `switch` of the run is done; its k largest weights become the
/// wiring, which is trained further (Han et al. 2015; the *fine tune* of Wortsman et al. 2019, table 2). The
/// training loop sets the smaller learning rate of the second phase.
pub fn fine_tune(switch: f64) -> Rule {
    Rule {
        name: "fine-tune".into(),
        schedule: Arc::new(CompleteUntil { share: switch }),
        gradient: Gradient::RealEdges,
        ..super::dnw()
    }
}

/// As [`fine_tune`], but at the switch everything except the wiring is reset to its initial value: the
/// one-shot lottery ticket (Frankle and Carbin 2019).
pub fn lottery_ticket(switch: f64) -> Rule {
    Rule {
        name: "lottery-ticket".into(),
        regrowth: Regrowth::Rewound,
        ..fine_tune(switch)
    }
}

use std::sync::Arc;

use crate::schedule::Once;
use crate::score::Random;
use crate::{Allocation, Gradient, Rule};

/// Random edges among the candidates, drawn once and then fixed: the baseline of a discovered wiring.
pub fn random() -> Rule {
    Rule {
        name: "random".into(),
        score: Arc::new(Random),
        schedule: Arc::new(Once),
        gradient: Gradient::RealEdges,
        ..super::dnw()
    }
}

/// [`random`] with the budget spread by Erdős–Rényi-kernel: the *static* of the papers on sparse training (Evci et al. 2020). In a
/// network with one wired tensor it is [`random`].
pub fn static_erk() -> Rule {
    Rule {
        name: "static".into(),
        allocation: Allocation::ErdosRenyiKernel,
        ..random()
    }
}

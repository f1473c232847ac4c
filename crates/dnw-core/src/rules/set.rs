use std::sync::Arc;

use crate::schedule::Exchange;
use crate::score::Random;
use crate::{Allocation, Gradient, Regrowth, Rule};

/// Sparse evolutionary training: every `every` updates the weakest `turnover` of the real edges are exchanged
/// for as many random ones, which start at zero (Mocanu et al. 2018, algorithm 2). The share decays along
/// half a cosine and is zero from `until` on, as in Evci et al. (2020).
pub fn set(every: u64, turnover: f64, until: f64) -> Rule {
    Rule {
        name: "set".into(),
        growth: Some(Arc::new(Random)),
        allocation: Allocation::ErdosRenyiKernel,
        schedule: Arc::new(Exchange {
            every,
            first: turnover,
            until,
        }),
        gradient: Gradient::RealEdges,
        regrowth: Regrowth::Zero,
        ..super::dnw()
    }
}

use crate::{Gradient, Rule};

/// As [`dnw`](super::dnw), but hallucinated edges receive no gradient, so that only weight decay can bring one back
/// (the ablation of Wortsman et al. 2019, table 2).
pub fn no_update() -> Rule {
    Rule {
        name: "no-update".into(),
        gradient: Gradient::RealEdges,
        ..super::dnw()
    }
}

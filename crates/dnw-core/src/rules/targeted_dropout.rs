use crate::{Forward, Gradient, Rule, Unit};

/// In training, each edge outside the k largest is dropped with this probability, without gradient; in
/// evaluation only the k largest remain (Gomez et al. 2019; Wortsman et al. 2019, table 2). Kept edges keep
/// their sign, which the published program lost.
///
/// The probability rises from zero over the first `rises_over` of the run.
pub fn targeted_dropout(probability: f64, rises_over: f64) -> Rule {
    Rule {
        name: "targeted-dropout".into(),
        gradient: Gradient::RealEdges,
        forward: Forward::Dropout {
            probability,
            rises_over,
        },
        ..super::dnw()
    }
}

/// [`targeted_dropout`] that ranks the edges into each target among themselves.
pub fn targeted_dropout_per_output(probability: f64, rises_over: f64) -> Rule {
    Rule {
        name: "targeted-dropout-per-output".into(),
        unit: Unit::FanIn,
        ..targeted_dropout(probability, rises_over)
    }
}

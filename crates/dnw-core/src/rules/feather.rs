use crate::{Forward, Gradient, Rule};

/// Feather: as [`st3`](super::st3), with a threshold between soft and hard (`power` 3 in the paper) and hallucinated edges that learn
/// at `scale` times the rate of real ones (Glandorf et al. 2023).
pub fn feather(until: f64, power: f32, scale: f32) -> Rule {
    Rule {
        name: "feather".into(),
        forward: Forward::PowerThreshold { power },
        gradient: Gradient::Scaled(scale),
        ..super::st3(until)
    }
}

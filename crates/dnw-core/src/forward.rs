//! The sixth axis of a rule: what an edge gives while the network computes.

/// What an edge contributes to the forward pass.
///
/// `t` is the threshold that the last choice left: the magnitude of the strongest candidate that is not real, so that an edge
/// which has just become real begins near zero.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Forward {
    /// A real edge gives its weight, others give nothing (hard threshold).
    #[default]
    Weight,
    /// A real edge gives `sign(w) max(|w| - t, 0)` (soft threshold; ST-3, Vanholder et al. 2023).
    SoftThreshold,
    /// A real edge gives `sign(w) (|w|^p - t^p)^(1/p)`, which lies between soft (`p` = 1) and hard (`p` infinite) (Feather,
    /// Glandorf et al. 2023).
    PowerThreshold {
        /// `p`, 1 or more.
        power: f32,
    },
    /// A real edge gives `sign(w) max(|w| - sigmoid(s), 0)` with one learned `s` per tensor (STR, Kusupati et al. 2020,
    /// equation 3). `s` is a parameter of the model, trained and decayed with the others.
    LearnedThreshold {
        /// Where `s` begins.
        start: f32,
    },
    /// A real edge gives its weight. While training, each hallucinated edge takes part too, unless it is dropped, which it is
    /// with this probability, drawn anew at each choice (targeted dropout, Gomez et al. 2019).
    Dropout {
        /// The probability at the end, 0 to 1.
        probability: f64,
        /// The share of the run over which the probability rises to that from zero; 0 for at once.
        rises_over: f64,
    },
}

impl Forward {
    /// How the choice of this kind is held in a tensor, whose *length* says the kind: lengths are known on the host, so that no
    /// forward pass has to wait for the device to learn it.
    pub(crate) fn threshold_parameters(self, threshold: f32) -> Vec<f32> {
        match self {
            Self::Weight | Self::Dropout { .. } => vec![0.0],
            Self::SoftThreshold => vec![threshold, 1.0],
            Self::PowerThreshold { power } => vec![threshold, power, 0.0],
            Self::LearnedThreshold { start } => vec![start, 0.0, 0.0, 0.0],
        }
    }

    /// The probability that a hallucinated edge is dropped when so much of the run is done.
    pub(crate) fn drop_probability(self, share: f64) -> f64 {
        match self {
            Self::Dropout {
                probability,
                rises_over,
            } if rises_over > 0.0 => probability * (share / rises_over).min(1.0),
            Self::Dropout { probability, .. } => probability,
            _ => 1.0,
        }
    }

    /// Whether edges give less than their weight by a threshold that the choice sets.
    pub(crate) fn has_threshold(self) -> bool {
        matches!(self, Self::SoftThreshold | Self::PowerThreshold { .. })
    }
}

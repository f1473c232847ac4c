//! What a real edge contributes to the forward pass: the sixth axis of a rule.

/// What an edge contributes to the forward pass.
///
/// `t` is the threshold of the last selection: the magnitude of the strongest candidate that is not real. An
/// edge that has just become real therefore starts near zero.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Forward {
    /// A real edge contributes its weight, other edges contribute zero (hard threshold).
    #[default]
    Weight,
    /// A real edge contributes `sign(w) max(|w| - t, 0)` (soft threshold; ST-3, Vanholder et al. 2023).
    SoftThreshold,
    /// A real edge contributes `sign(w) (|w|^p - t^p)^(1/p)`: between soft (`p` = 1) and hard (`p` infinite)
    /// (Feather, Glandorf et al. 2023).
    PowerThreshold {
        /// `p`, 1 or more.
        power: f32,
    },
    /// A real edge contributes `sign(w) max(|w| - sigmoid(s), 0)` with one learned `s` per tensor (STR,
    /// Kusupati et al. 2020, equation 3). `s` is a parameter of the model, trained and decayed with the
    /// others.
    LearnedThreshold {
        /// The initial value of `s`.
        start: f32,
    },
    /// A real edge contributes its weight. In training, hallucinated edges contribute too, except those that
    /// are dropped: each with this probability, drawn again at each selection (targeted dropout, Gomez et al.
    /// 2019).
    Dropout {
        /// The probability at the end, 0 to 1.
        probability: f64,
        /// The share of the run over which the probability rises from zero; 0 starts at full probability.
        rises_over: f64,
    },
}

impl Forward {
    /// The parameters of the threshold function as one tensor. Its *length* encodes the variant: lengths are
    /// known on the host, so no forward pass waits for the device to read the variant.
    pub(crate) fn threshold_parameters(self, threshold: f32) -> Vec<f32> {
        match self {
            Self::Weight | Self::Dropout { .. } => vec![0.0],
            Self::SoftThreshold => vec![threshold, 1.0],
            Self::PowerThreshold { power } => vec![threshold, power, 0.0],
            Self::LearnedThreshold { start } => vec![start, 0.0, 0.0, 0.0],
        }
    }

    /// The probability that a hallucinated edge is dropped after this share of the run.
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

    /// Whether an edge contributes something else than its weight.
    pub(crate) fn has_threshold_function(self) -> bool {
        !matches!(self, Self::Weight | Self::Dropout { .. })
    }

    /// Whether each selection sets a threshold.
    pub(crate) fn has_threshold(self) -> bool {
        matches!(self, Self::SoftThreshold | Self::PowerThreshold { .. })
    }
}

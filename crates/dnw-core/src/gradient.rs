//! Which edges learn, and the penalty on their weights: the fourth axis of a rule.

use serde::{Deserialize, Serialize};

/// Which edges the weight gradient reaches. The input gradient passes through real edges only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Gradient {
    /// Every entry receives the gradient of the masked weight, real or not (straight-through).
    #[default]
    AllEdges,
    /// Real edges only.
    RealEdges,
    /// Every entry; the gradient of hallucinated edges is multiplied by this factor.
    Scaled(f32),
}

impl Gradient {
    /// The factor on the gradient of hallucinated edges.
    pub fn hallucinated_scale(self) -> f32 {
        match self {
            Self::AllEdges => 1.0,
            Self::RealEdges => 0.0,
            Self::Scaled(scale) => scale,
        }
    }
}

/// An L1 penalty on the wired weights: `strength * sign(w)` is added to their gradient.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Penalty {
    /// The strength at the end of the rise.
    pub strength: f64,
    /// The share of the run over which the strength rises from zero; 0 starts at full strength.
    pub rises_over: f64,
}

impl Penalty {
    /// The strength after this share of the run.
    pub fn at(self, share: f64) -> f64 {
        if self.rises_over > 0.0 {
            self.strength * (share / self.rises_over).min(1.0)
        } else {
            self.strength
        }
    }
}

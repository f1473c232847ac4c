//! The fourth axis of a rule: which edges learn, and what pulls at them besides the loss.

use serde::{Deserialize, Serialize};

/// Which edges the weight's gradient reaches. The input's gradient always passes through real edges only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gradient {
    /// Every entry receives the gradient of the masked weight, as if it were real (straight-through).
    #[default]
    AllEdges,
    /// Real edges only.
    RealEdges,
    /// Every entry, with that of hallucinated edges multiplied by this.
    Scaled(f32),
}

impl Gradient {
    /// What the gradient of a hallucinated edge is multiplied by.
    pub fn hallucinated(self) -> f32 {
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
    /// The strength at the end.
    pub strength: f64,
    /// The share of the run over which the strength rises to that from zero; 0 for at once.
    pub rises_over: f64,
}

impl Penalty {
    /// The strength when so much of the run is done.
    pub fn at(self, share: f64) -> f64 {
        if self.rises_over > 0.0 {
            self.strength * (share / self.rises_over).min(1.0)
        } else {
            self.strength
        }
    }
}

//! The fourth axis of a rule: which edges learn.

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

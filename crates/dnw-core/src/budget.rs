//! How many edges stay.

use serde::{Deserialize, Serialize};

mod resolution;

/// How many of a tensor's candidate edges are real.
///
/// ```
/// use dnw_core::Budget;
///
/// assert_eq!(Budget::Edges(398).resolve("graph.weight", 3984)?, 398);
/// assert_eq!(Budget::Density(0.1).resolve("graph.weight", 3984)?, 398);
/// // As published: of 640,000 entries int(0.95 * 640000) = 608,000 are zeroed.
/// assert_eq!(Budget::PruneRate(0.95).resolve("graph.weight", 640_000)?, 32_000);
/// # Ok::<(), dnw_core::WiringError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Budget {
    /// Exactly this many edges.
    Edges(usize),
    /// This share of the candidates, rounded to the nearest count: `(0, 1]`.
    Density(f64),
    /// The share that is **not** kept, as in the paper's configurations, with their rounding: of `n`
    /// candidates `n - int(rate * n)` stay, computed in 64-bit floats. Range `[0, 1)`.
    PruneRate(f64),
}

impl Budget {
    /// Whether every candidate stays, however many there are.
    pub fn is_everything(self) -> bool {
        match self {
            Self::Edges(_) => false,
            Self::Density(density) => density == 1.0,
            Self::PruneRate(rate) => rate == 0.0,
        }
    }
}

impl std::fmt::Display for Budget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Edges(edges) => write!(f, "{edges} edges"),
            Self::Density(density) => write!(f, "density {density}"),
            Self::PruneRate(rate) => write!(f, "prune rate {rate}"),
        }
    }
}

//! The unit that swaps as a whole: the fifth axis of a rule.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

mod selection;

/// Which edges compete with each other, and which swap together.
///
/// A tensor that keeps all its edges is not divided into units.
///
/// Its text form is `edge`, `fan-in`, `block-4` or `2-of-4`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum Unit {
    /// Single edges; all edges of a tensor compete.
    #[default]
    Edge,
    /// Single edges that compete within their target. Each target keeps the same number, or all its edges if
    /// it has fewer.
    FanIn,
    /// Blocks of neighbouring targets of one source at one kernel position, which swap together and fit a
    /// vector load. As many complete blocks stay as fit the budget.
    Block {
        /// Targets in a block.
        targets: usize,
    },
    /// Of every `of` neighbouring sources of a target at one kernel position, `keep` stay, whatever the
    /// budget. Sparse matrix units compute this layout (2 of 4).
    NOfM {
        /// Sources that stay of each group.
        keep: usize,
        /// Sources in a group.
        of: usize,
    },
}

impl Unit {
    /// Whether the unit says how many edges stay, whatever the budget.
    pub fn sets_budget(self) -> bool {
        matches!(self, Self::NOfM { .. })
    }
}

/// The text is not a unit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no unit: there are edge, fan-in, block-TARGETS such as block-4, and KEEP-of-SOURCES such as 2-of-4"
)]
pub struct UnitError(String);

impl FromStr for Unit {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let refused = || UnitError(text.to_owned());
        let number = |text: &str| text.parse().map_err(|_| refused());
        let unit = match text {
            "edge" => Self::Edge,
            "fan-in" => Self::FanIn,
            _ => match (text.strip_prefix("block-"), text.split_once("-of-")) {
                (Some(targets), _) => Self::Block {
                    targets: number(targets)?,
                },
                (None, Some((keep, of))) => Self::NOfM {
                    keep: number(keep)?,
                    of: number(of)?,
                },
                _ => return Err(refused()),
            },
        };
        match unit {
            Self::Block { targets: 0 } => Err(refused()),
            Self::NOfM { keep, of } if keep == 0 || keep > of => Err(refused()),
            unit => Ok(unit),
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Edge => f.write_str("edge"),
            Self::FanIn => f.write_str("fan-in"),
            Self::Block { targets } => write!(f, "block-{targets}"),
            Self::NOfM { keep, of } => write!(f, "{keep}-of-{of}"),
        }
    }
}

impl TryFrom<String> for Unit {
    type Error = UnitError;

    fn try_from(text: String) -> Result<Self, UnitError> {
        text.parse()
    }
}

impl From<Unit> for String {
    fn from(unit: Unit) -> Self {
        unit.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_its_text() {
        for text in ["edge", "fan-in", "block-2", "block-4", "2-of-4", "1-of-8"] {
            assert_eq!(text.parse::<Unit>().unwrap().to_string(), text);
        }
        for text in [
            "", "pair", "block-", "block-0", "4-of-2", "0-of-4", "2-of-", "2-4",
        ] {
            assert!(text.parse::<Unit>().is_err(), "{text}");
        }
    }
}

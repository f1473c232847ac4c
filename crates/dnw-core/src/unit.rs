//! The fifth axis of a rule: what swaps as one.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

mod selection;

/// What competes with what.
///
/// Written as text it is `edge`, `fan-in`, `block-4` or `2-of-4`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Unit {
    /// Single edges, all of a tensor against each other.
    #[default]
    Edge,
    /// Single edges within their target: each target keeps the same number (or all it has, where it has fewer).
    FanIn,
    /// So many neighbouring targets of one source, at one place of the kernel, live and die together; what vector units load at
    /// once. As many whole blocks stay as fit the budget.
    Block {
        /// Targets in a block.
        targets: usize,
    },
    /// Of every `of` neighbouring sources of a target, at one place of the kernel, `keep` stay, whatever the budget; what sparse
    /// matrix units compute (2 of 4).
    NOfM {
        /// Sources that stay of each group.
        keep: usize,
        /// Sources in a group.
        of: usize,
    },
}

/// The text names no unit.
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

//! What a run does when it diverges: a loss, gradient, score or weight is not finite.

use std::fmt;
use std::str::FromStr;

use crate::run::RollBack;

/// The most roll backs without a further update. With them, a rate that was 32 times too large is mended.
const MOST: usize = 5;

/// What a run does when it diverges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDivergence {
    /// It ends with an error.
    #[default]
    Stop,
    /// It goes back to the end of the last epoch, or to its start, and goes on with half the learning rate. It ends with the error if five roll
    /// backs in a row do not get past the update that failed.
    RollBack,
}

impl OnDivergence {
    /// Every choice.
    pub const ALL: [Self; 2] = [Self::Stop, Self::RollBack];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::RollBack => "roll-back",
        }
    }
}

impl fmt::Display for OnDivergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The name of no [`OnDivergence`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a run that diverges cannot `{0}`: it can stop or roll-back")]
pub struct UnknownChoice(String);

impl FromStr for OnDivergence {
    type Err = UnknownChoice;

    fn from_str(name: &str) -> Result<Self, UnknownChoice> {
        let found = Self::ALL.into_iter().find(|known| known.name() == name);
        found.ok_or_else(|| UnknownChoice(name.to_owned()))
    }
}

/// The number of roll backs since the furthest update that failed, if there may be no other after `failed`.
pub(crate) fn exhausted(roll_backs: &[RollBack], failed: u64) -> Option<usize> {
    let furthest = roll_backs.iter().map(|it| it.failed).max().unwrap_or(0);
    let since = roll_backs.iter().position(|it| it.failed == furthest);
    let times = roll_backs.len() - since.unwrap_or(0);
    (failed <= furthest && times >= MOST).then_some(times)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roll_backs(failed: &[u64]) -> Vec<RollBack> {
        let one = |(&failed, rate_halvings): (&u64, u32)| RollBack {
            failed,
            reason: "the loss is NaN".into(),
            to: 0,
            rate_halvings,
        };
        failed.iter().zip(1..).map(one).collect()
    }

    #[test]
    fn there_are_five_roll_backs_without_a_further_update() {
        assert_eq!(exhausted(&[], 1), None);
        assert_eq!(exhausted(&roll_backs(&[9, 9, 7, 9]), 9), None);
        assert_eq!(exhausted(&roll_backs(&[9, 9, 7, 9, 8]), 9), Some(5));
        assert_eq!(exhausted(&roll_backs(&[9, 9, 7, 9, 8]), 10), None);
        assert_eq!(exhausted(&roll_backs(&[9, 9, 7, 9, 8, 10]), 10), None);
        assert_eq!(exhausted(&roll_backs(&[9, 10, 10, 9, 10, 10]), 4), Some(5));
    }

    #[test]
    fn choices_round_trip_through_text() {
        for choice in OnDivergence::ALL {
            assert_eq!(choice.to_string().parse(), Ok(choice));
        }
        let refused = "explode".parse::<OnDivergence>().unwrap_err();
        assert!(refused.to_string().contains("stop or roll-back"));
    }
}

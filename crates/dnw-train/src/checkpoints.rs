//! When checkpoints are written, and how many are kept.

use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;
use std::time::{Duration, Instant};

/// Automatic checkpoints come after so many times the duration of the last one, so that they take half a per cent of a run.
const REST: u32 = 200;
/// The shortest and the longest time between automatic checkpoints.
const AUTOMATIC: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(600)];

/// When checkpoints are written, and how many are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckpointPolicy {
    /// When they are written.
    pub every: CheckpointEvery,
    /// How many are kept, the newest.
    pub keep: NonZeroUsize,
}

impl Default for CheckpointPolicy {
    /// Automatic, and two are kept.
    fn default() -> Self {
        Self {
            every: CheckpointEvery::Automatic,
            keep: NonZeroUsize::MIN.saturating_add(1),
        }
    }
}

/// When checkpoints are written. When a run is stopped there is one more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CheckpointEvery {
    /// As often as possible at a cost of half a per cent of the run, but at least every 10 minutes.
    #[default]
    Automatic,
    /// After this time.
    Time(Duration),
    /// After this number of updates.
    Updates(u64),
    /// After this number of epochs.
    Epochs(u64),
}

/// Not a [`CheckpointEvery`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no interval of checkpoints: give a number with a unit, such as 10min, 30s, 2h, 500steps or 2epochs, or auto"
)]
pub struct UnknownInterval(String);

impl FromStr for CheckpointEvery {
    type Err = UnknownInterval;

    fn from_str(text: &str) -> Result<Self, UnknownInterval> {
        if text == "auto" {
            return Ok(Self::Automatic);
        }
        let unknown = || UnknownInterval(text.to_owned());
        let digits = text.find(|c: char| !c.is_ascii_digit());
        let (number, unit) = text.split_at(digits.ok_or_else(unknown)?);
        let number: u64 = number.parse().map_err(|_| unknown())?;
        let seconds = |unit: u64| {
            let seconds = number.checked_mul(unit);
            seconds.map(|seconds| Self::Time(Duration::from_secs(seconds)))
        };
        let every = match unit.trim_start() {
            _ if number == 0 => None,
            "s" | "sec" => seconds(1),
            "min" => seconds(60),
            "h" => seconds(3600),
            "step" | "steps" | "update" | "updates" => Some(Self::Updates(number)),
            "epoch" | "epochs" => Some(Self::Epochs(number)),
            _ => None,
        };
        every.ok_or_else(unknown)
    }
}

impl fmt::Display for CheckpointEvery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Automatic => f.write_str("auto"),
            Self::Time(time) => write!(f, "{}s", time.as_secs()),
            Self::Updates(updates) => write!(f, "{updates}steps"),
            Self::Epochs(epochs) => write!(f, "{epochs}epochs"),
        }
    }
}

/// Says when the next checkpoint is due.
#[derive(Debug)]
pub(crate) struct Pace {
    every: CheckpointEvery,
    last: Instant,
    /// The duration of the last checkpoint.
    cost: Duration,
}

impl Pace {
    /// Begins after a checkpoint that took this long.
    pub(crate) fn new(every: CheckpointEvery, cost: Duration) -> Self {
        Self {
            every,
            last: Instant::now(),
            cost,
        }
    }

    /// Whether a checkpoint is due after this update; `epoch` if it ended that epoch, counted from 1.
    pub(crate) fn is_due(&self, update: u64, epoch: Option<u64>) -> bool {
        match self.every {
            CheckpointEvery::Automatic => {
                let [shortest, longest] = AUTOMATIC;
                let rest = self.cost.saturating_mul(REST);
                self.last.elapsed() >= rest.clamp(shortest, longest)
            }
            CheckpointEvery::Time(time) => self.last.elapsed() >= time,
            CheckpointEvery::Updates(updates) => update.is_multiple_of(updates),
            CheckpointEvery::Epochs(epochs) => epoch.is_some_and(|it| it.is_multiple_of(epochs)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_a_number_with_a_unit() {
        let seconds = |seconds| CheckpointEvery::Time(Duration::from_secs(seconds));
        let known = [
            ("auto", CheckpointEvery::Automatic),
            ("10min", seconds(600)),
            ("90s", seconds(90)),
            ("2h", seconds(7200)),
            ("500steps", CheckpointEvery::Updates(500)),
            ("2epochs", CheckpointEvery::Epochs(2)),
        ];
        for (text, every) in known {
            assert_eq!(text.parse(), Ok(every));
            assert_eq!(every.to_string().parse(), Ok(every));
        }
        for text in [
            "",
            "10",
            "0s",
            "min",
            "5 weeks",
            "-1s",
            "99999999999999999999s",
            "18446744073709551615h",
        ] {
            assert!(text.parse::<CheckpointEvery>().is_err(), "{text}");
        }
    }

    #[test]
    fn updates_and_epochs_are_due_at_their_multiples() {
        let pace = |every| Pace::new(every, Duration::ZERO);
        let updates = pace(CheckpointEvery::Updates(5));
        assert!(updates.is_due(10, None) && !updates.is_due(11, None));
        let epochs = pace(CheckpointEvery::Epochs(2));
        assert!(epochs.is_due(10, Some(4)));
        assert!(!epochs.is_due(10, Some(3)) && !epochs.is_due(10, None));
    }
}

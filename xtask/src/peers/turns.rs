//! Measuring in turn: round by round, every side once.

use std::time::Instant;

use super::found::Held;
use super::peer::Peer;
use super::statistics::Spread;
use crate::text::{duration, three_digits};

/// What a side takes of a round, milliseconds, if one time is not longer.
const SHARE: f64 = 700.0;
/// The most times in a round; more would make no difference to their median.
const MOST: usize = 15;

/// What is measured in turn with other sides, and how often in a round.
struct Side {
    peer: Peer,
    times: usize,
    rounds: Vec<f64>,
}

/// Sides, their rounds so far.
pub struct Turns {
    label: String,
    sides: Vec<Side>,
}

impl Turns {
    /// Lets every side do its work once, and from that decides how often it does so in a round.
    pub fn begin(label: String, peers: Vec<Peer>) -> Result<Self, String> {
        let mut sides = Vec::new();
        for mut peer in peers {
            let first = Spread::of(&peer.times(1)?).median;
            sides.push(Side {
                peer,
                times: ((SHARE / first) as usize).clamp(1, MOST),
                rounds: Vec::new(),
            });
        }
        Ok(Self { label, sides })
    }

    /// The median times of one side in one round after the other, milliseconds.
    pub fn rounds(&self, place: usize) -> &[f64] {
        &self.sides[place].rounds
    }

    /// What each side holds in memory; none if the system does not say of one.
    pub fn memory(&self) -> Option<Vec<Held>> {
        self.sides.iter().map(|side| side.peer.memory()).collect()
    }

    /// Makes so many rounds, says after each how it went, and lets it be kept.
    pub fn go(
        &mut self,
        rounds: usize,
        to_come: &str,
        mut keep: impl FnMut(&Self) -> Result<(), String>,
    ) -> Result<(), String> {
        let began = Instant::now();
        for round in 1..=rounds {
            for side in &mut self.sides {
                let times = side.peer.times(side.times)?;
                side.rounds.push(Spread::of(&times).median);
            }
            let line = self.line(round, rounds, began.elapsed().as_secs_f64());
            eprintln!("{line}{to_come}");
            keep(self)?;
        }
        Ok(())
    }

    fn line(&self, round: usize, rounds: usize, elapsed: f64) -> String {
        let reports = self.sides.iter().map(|side| {
            let last = side.rounds.last().copied().unwrap_or(f64::NAN);
            format!("{} {} ms", side.peer.name(), three_digits(last))
        });
        let reports = reports.collect::<Vec<_>>().join(", ");
        format!(
            "{} {round}/{rounds}: {reports}{}",
            self.label,
            left(round, rounds, elapsed)
        )
    }
}

/// Estimated time of the remaining rounds.
pub fn left(round: usize, rounds: usize, elapsed: f64) -> String {
    match rounds - round {
        0 => String::new(),
        left => format!(
            "; about {} left",
            duration(elapsed / round as f64 * left as f64)
        ),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::peers::peer::tests::of_constant_speed;

    #[test]
    fn every_side_has_its_turn_in_every_round_and_each_round_is_kept() {
        let peers = [("ours", 2.0), ("theirs", 6.0)];
        let peers = peers.map(|(name, speed)| of_constant_speed(name, speed));
        let mut turns = Turns::begin("a network".into(), peers.into()).expect("both answer");
        let mut kept = Vec::new();
        let done = turns.go(3, "", |turns| {
            kept.push([turns.rounds(0).len(), turns.rounds(1).len()]);
            Ok(())
        });
        assert_eq!(done, Ok(()));
        assert_eq!(kept, [[1, 1], [2, 2], [3, 3]]);
        assert_eq!(turns.rounds(1), [6.0; 3]);
        assert_eq!(
            turns.line(2, 3, 8.0),
            "a network 2/3: ours 2.00 ms, theirs 6.00 ms; about 4 s left"
        );
    }

    #[test]
    fn what_is_long_is_done_once_a_round_and_what_is_short_several_times() {
        let peers = [("slow", 3000.0), ("quick", 100.0), ("quicker", 0.1)];
        let peers = peers.map(|(name, speed)| of_constant_speed(name, speed));
        let turns = Turns::begin("a network".into(), peers.into()).expect("all answer");
        let times: Vec<usize> = turns.sides.iter().map(|side| side.times).collect();
        assert_eq!(times, [1, 7, MOST]);
    }
}

//! Measuring several sides in turn, round by round.

use std::time::Instant;

use super::peer::Peer;
use super::results::Memory;
use super::statistics::Spread;
use crate::text::{duration, three_digits};

/// How long one side is measured in a round, in milliseconds, unless a single run takes longer.
const TURN: f64 = 700.0;
/// The most runs in a round; more would not change the median.
const MAX_RUNS: usize = 15;

/// A side of the comparison.
struct Side {
    peer: Peer,
    /// Runs in each round.
    runs: usize,
    /// The median time of each round, in milliseconds.
    times: Vec<f64>,
}

/// Sides that are measured in turn, and their rounds so far.
pub struct Rounds {
    label: String,
    sides: Vec<Side>,
}

impl Rounds {
    /// Measures every side once, to decide how often it runs in a round.
    pub fn start(label: String, peers: Vec<Peer>) -> Result<Self, String> {
        let mut sides = Vec::new();
        for mut peer in peers {
            let first = Spread::of(&peer.times(1)?).median;
            sides.push(Side {
                peer,
                runs: ((TURN / first) as usize).clamp(1, MAX_RUNS),
                times: Vec::new(),
            });
        }
        Ok(Self { label, sides })
    }

    /// The median times of one side in each round, in milliseconds.
    pub fn times(&self, side: usize) -> &[f64] {
        &self.sides[side].times
    }

    /// The memory of each side; `None` if the system does not report it.
    pub fn memory(&self) -> Option<Vec<Memory>> {
        self.sides.iter().map(|side| side.peer.memory()).collect()
    }

    /// Runs this many rounds. After each it prints the times and calls `save`.
    pub fn run(
        &mut self,
        rounds: usize,
        remaining: &str,
        mut save: impl FnMut(&Self) -> Result<(), String>,
    ) -> Result<(), String> {
        let began = Instant::now();
        for round in 1..=rounds {
            for side in &mut self.sides {
                let times = side.peer.times(side.runs)?;
                side.times.push(Spread::of(&times).median);
            }
            let line = self.line(round, rounds, began.elapsed().as_secs_f64());
            eprintln!("{line}{remaining}");
            save(self)?;
        }
        Ok(())
    }

    fn line(&self, round: usize, rounds: usize, elapsed: f64) -> String {
        let reports = self.sides.iter().map(|side| {
            let last = side.times.last().copied().unwrap_or(f64::NAN);
            format!("{} {} ms", side.peer.name(), three_digits(last))
        });
        let reports = reports.collect::<Vec<_>>().join(", ");
        format!(
            "{} {round}/{rounds}: {reports}{}",
            self.label,
            time_left(round, rounds, elapsed)
        )
    }
}

/// Estimated time of the remaining rounds.
pub fn time_left(round: usize, rounds: usize, elapsed: f64) -> String {
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
    fn every_side_is_measured_in_every_round_and_each_round_is_saved() {
        let peers = [("ours", 2.0), ("theirs", 6.0)];
        let peers = peers.map(|(name, speed)| of_constant_speed(name, speed));
        let mut rounds = Rounds::start("a network".into(), peers.into()).expect("both answer");
        let mut saved = Vec::new();
        let result = rounds.run(3, "", |rounds| {
            saved.push([rounds.times(0).len(), rounds.times(1).len()]);
            Ok(())
        });
        assert_eq!(result, Ok(()));
        assert_eq!(saved, [[1, 1], [2, 2], [3, 3]]);
        assert_eq!(rounds.times(1), [6.0; 3]);
        assert_eq!(
            rounds.line(2, 3, 8.0),
            "a network 2/3: ours 2.00 ms, theirs 6.00 ms; about 4 s left"
        );
    }

    #[test]
    fn slow_sides_run_once_in_a_round_and_fast_ones_several_times() {
        let peers = [("slow", 3000.0), ("fast", 100.0), ("faster", 0.1)];
        let peers = peers.map(|(name, speed)| of_constant_speed(name, speed));
        let rounds = Rounds::start("a network".into(), peers.into()).expect("all answer");
        let runs: Vec<usize> = rounds.sides.iter().map(|side| side.runs).collect();
        assert_eq!(runs, [1, 7, MAX_RUNS]);
    }
}

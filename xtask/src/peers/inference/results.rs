//! The results of inference: the JSON file.

use serde::{Deserialize, Serialize};

use crate::files::write;
use crate::machine::machine;
use crate::peers::args::PeerArgs;
use crate::peers::statistics::Spread;

/// All measurements of compiled networks, with rows of type `R`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Results<R> {
    /// Processor, cores, system.
    pub machine: String,
    /// The command that measures it again.
    pub command: String,
    /// What the peers are.
    pub peer: String,
    /// Threads of each side.
    pub threads: u32,
    /// Images at once.
    #[serde(default = "one")]
    pub batch: u32,
    /// The networks.
    pub rows: Vec<R>,
}

fn one() -> u32 {
    1
}

impl<R: Serialize> Results<R> {
    /// No rows yet. `command` is what was typed.
    pub fn new(args: &PeerArgs, command: String) -> Self {
        // Only our side heeds it.
        let command = match std::env::var("DNW_SIMD") {
            Ok(simd) => format!("DNW_SIMD={simd} {command}"),
            Err(_) => command,
        };
        Self {
            machine: machine(),
            command,
            peer: String::new(),
            threads: args.threads(),
            batch: args.batch.unwrap_or(1),
            rows: Vec::new(),
        }
    }

    /// The first line of the tables.
    pub fn caption(&self) -> String {
        let Self {
            machine,
            command,
            peer,
            ..
        } = self;
        format!("Machine: {machine}. Peer: {peer}. Command: `{command}`.\n\n")
    }

    /// Writes the JSON file, if one was requested.
    pub fn save(&self, args: &PeerArgs) -> Result<(), String> {
        let Some(path) = &args.json else {
            return Ok(());
        };
        let text = serde_json::to_string_pretty(self).map_err(|error| error.to_string())?;
        write(path, &(text + "\n"))
    }
}

/// Prints tables, and writes them to a file if one was requested.
pub fn show(text: &str, args: &PeerArgs) -> Result<(), String> {
    print!("{text}");
    match &args.markdown {
        Some(path) => write(path, text),
        None => Ok(()),
    }
}

/// What a process says when it is ready.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Ready {
    /// Name and version of the runtime.
    pub framework: String,
    /// From the file to a session, in milliseconds.
    pub session_ms: f64,
    /// From the file to the first result, in milliseconds.
    pub first_ms: f64,
    /// Memory before the file was read, in bytes; 0 if not reported.
    #[serde(default)]
    pub bytes_before: u64,
    /// The logits of the fixed image.
    pub logits: Vec<f64>,
}

/// One side of a row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Side {
    /// Milliseconds of an image over rounds.
    pub ms: Spread,
    /// From the file to the first result: the median of several processes, in milliseconds.
    pub first_ms: f64,
    /// From the file to a session: the same.
    pub session_ms: f64,
    /// Peak memory of the process, in bytes; `None` except on Linux.
    pub peak_bytes: Option<u64>,
    /// Memory of the process before it read the file, in bytes.
    pub bytes_before: u64,
    /// Size of the network's file.
    pub file_bytes: u64,
}

/// A peer of a row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Against {
    /// Its network.
    pub network: String,
    /// Its measurements.
    pub side: Side,
    /// Its time divided by ours: the median over rounds, and quartiles.
    pub ratio: Spread,
    /// What the ratio should be.
    pub target: Option<f64>,
}

/// Another runtime.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Runtime {
    /// Its name and version.
    pub name: String,
    /// Its measurements.
    pub against: Against,
}

/// A network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Its name.
    pub network: String,
    /// Multiply-adds over live edges, of one image.
    pub multiply_adds: u64,
    /// Ours.
    pub ours: Side,
    /// The same network with zeros in its weights.
    pub masked: Against,
    /// A dense network.
    pub dense: Option<Against>,
    /// Other runtimes, on the dense network, the masked one, or both.
    pub runtimes: Vec<Runtime>,
    /// The largest difference of a logit from that of the masked network, divided by the largest logit.
    pub difference: f64,
}

impl Against {
    /// A peer measured in the same rounds as ours.
    pub fn new(network: &str, target: Option<f64>, side: Side, times: [&[f64]; 2]) -> Self {
        let [theirs, ours] = times;
        Self {
            network: network.to_owned(),
            side,
            ratio: Spread::of_ratios(theirs, ours),
            target,
        }
    }

    /// Whether the target is reached; `None` without a target.
    pub fn reached(&self) -> Option<bool> {
        Some(self.ratio.median >= self.target?)
    }
}

/// The largest difference of two lists' entries, divided by the largest entry of the second.
///
/// # Errors
/// The lists differ in length.
pub fn difference(ours: &[f64], theirs: &[f64]) -> Result<f64, String> {
    if ours.len() != theirs.len() {
        return Err(format!(
            "ours has {} logits, the peer {}: they are different networks",
            ours.len(),
            theirs.len()
        ));
    }
    let largest = |numbers: &mut dyn Iterator<Item = f64>| numbers.fold(0.0, f64::max);
    let apart = largest(&mut ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()));
    let scale = largest(&mut theirs.iter().map(|b| b.abs()));
    Ok(if apart == 0.0 { 0.0 } else { apart / scale })
}

#[cfg(test)]
pub mod tests {
    use super::*;

    fn side(times: &[f64], megabytes: u64) -> Side {
        Side {
            ms: Spread::of(times),
            first_ms: 40.0,
            session_ms: 30.0,
            peak_bytes: Some(megabytes << 20),
            bytes_before: 0,
            file_bytes: 3 << 20,
        }
    }

    /// One network that reaches one of its two targets, and one with a single peer.
    pub fn results() -> Results<Row> {
        let (ours, dense, masked) = ([2.0, 4.0, 3.0], [1.0, 2.0, 1.5], [60.0, 80.0, 72.0]);
        let against = |name, target, times: &[f64]| {
            Against::new(name, target, side(times, 90), [times, &ours])
        };
        let row = Row {
            network: "dnw-x0.225".into(),
            multiply_adds: 42_000_000,
            ours: side(&ours, 9),
            masked: against("dnw-x0.225", Some(22.0), &masked),
            dense: Some(against("dense-x0.25", Some(1.0), &dense)),
            runtimes: vec![Runtime {
                name: "tract 0.23.9".into(),
                against: against("dense-x0.25", None, &dense),
            }],
            difference: 2e-6,
        };
        let tiny = Row {
            network: "tiny-static".into(),
            dense: None,
            masked: against("tiny-static", None, &masked),
            ..row.clone()
        };
        Results {
            machine: "a machine, 2 threads".into(),
            command: "cargo xtask bench-peers inference".into(),
            peer: "ONNX Runtime 1.32.0".into(),
            threads: 1,
            batch: 1,
            rows: vec![row, tiny],
        }
    }

    #[test]
    fn a_ratio_is_the_median_of_those_within_a_round() {
        let [row, _] = results().rows.try_into().expect("two rows");
        let dense = row.dense.expect("it has a dense peer");
        assert_eq!((dense.ratio.median, dense.reached()), (0.5, Some(false)));
        // 30, 20 and 24.
        assert_eq!(row.masked.ratio.median, 24.0);
        assert_eq!(row.masked.reached(), Some(true));
        let [_, tiny] = results().rows.try_into().expect("two rows");
        assert_eq!(tiny.masked.reached(), None);
    }

    #[test]
    fn logits_are_compared_relative_to_the_largest() {
        assert_eq!(difference(&[1.0, -4.5], &[1.0, -4.0]), Ok(0.125));
        assert_eq!(difference(&[0.0], &[0.0]), Ok(0.0));
        assert!(difference(&[1.0], &[1.0, 2.0]).is_err());
    }

    #[test]
    fn results_can_be_read_again() {
        let text = serde_json::to_string(&results()).expect("plain values");
        let again: Results<Row> = serde_json::from_str(&text).expect("valid JSON");
        assert_eq!(again, results());
    }
}

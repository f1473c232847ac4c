//! Training steps and selections of edges beside PyTorch's, products beside dense ones: `cargo xtask bench-peers`.
//!
//! Whoever is measured stays alive and is asked in turn, round by round, so that whatever slows the machine for a while slows all
//! of them; what counts is the median over rounds of the ratio within a round. What is found is written after each round.

mod found;
mod peer;
mod plot;
mod python;
mod statistics;
mod table;
mod turns;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use clap::{Args, ValueEnum};
use serde::Deserialize;

use crate::files::write;
use crate::machine::machine;
use crate::program;
use found::{Case, Found, KernelRow, Network, Roofline, SelectionRow, TrainingRow};
use peer::Peer;
use turns::{Turns, left};

/// Weights of the selection that is measured: those of the published tiny classifiers.
const WEIGHTS: usize = 640_000;
/// Of which so many are selected.
const CHOSEN: usize = 32_000;

/// What is measured, how.
#[derive(Debug, Args)]
pub struct PeerArgs {
    /// What to measure [default: all of it]
    #[arg(value_enum)]
    what: Option<What>,
    /// Networks of the training steps [default: all]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "NETWORKS")]
    models: Vec<Model>,
    /// Images in a batch [default: the network's own]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    batch: Option<u32>,
    /// Threads of each side
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    threads: u32,
    /// Rounds in which each side has its turn
    #[arg(long, default_value_t = 9, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// What trains on our side
    #[arg(long, value_enum, default_value_t = Backend::Flex)]
    backend: Backend,
    /// A Python that has PyTorch, instead of an environment made for this
    #[arg(long, value_name = "PATH")]
    python: Option<PathBuf>,
    /// Features that our programs are built with besides the backend's, such as those of a build that is there
    #[arg(long, value_delimiter = ',', value_name = "FEATURES")]
    features: Vec<String>,
    /// Build nothing: our programs are there already
    #[arg(long)]
    no_build: bool,
    /// Keep everything measured in this file, as JSON, written anew after each round
    #[arg(long, value_name = "PATH")]
    json: Option<PathBuf>,
    /// Write the tables to this file as well
    #[arg(long, value_name = "PATH")]
    markdown: Option<PathBuf>,
    /// Draw to this file how products grow with density and nodes
    #[arg(long, value_name = "PATH")]
    svg: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// Training steps beside PyTorch's, as published and with a fixed mask
    Training,
    /// The choice of the largest of 640,000 weights beside PyTorch's
    Selection,
    /// Wired products beside those of the `gemm` crate; needs no Python
    Kernels,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Backend {
    Flex,
    Ndarray,
}

/// A network that both sides have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Model {
    TinyStatic,
    TinyDiscrete,
    Mobilenet,
    Resnet50,
}

impl Model {
    /// What the peer is told of it.
    fn of_torch(self) -> &'static [&'static str] {
        match self {
            Self::TinyStatic => &["--model", "static"],
            Self::TinyDiscrete => &["--model", "discrete"],
            Self::Mobilenet => &["--model", "mobilenet", "--rate", "0.775", "--image", "32"],
            Self::Resnet50 => &[
                "--model",
                "resnet50",
                "--rate",
                "0.9",
                "--image",
                "64",
                "--classes",
                "1000",
            ],
        }
    }
}

/// The name that the command line has for a value.
fn name(value: impl ValueEnum) -> String {
    let named = value.to_possible_value();
    named.map_or_else(String::new, |value| value.get_name().to_owned())
}

/// Measures, prints the tables, writes what is asked for.
pub fn run(args: &PeerArgs) -> Result<(), String> {
    let ours = Ours::of(args)?;
    let does = |what| args.what.is_none_or(|only| only == what);
    let python = match (does(What::Training) || does(What::Selection), &args.python) {
        (false, _) => None,
        (true, Some(path)) => Some(path.clone()),
        (true, None) => Some(python::interpreter()?),
    };
    eprintln!("the limits of the machine");
    let mut bench = Bench {
        args,
        found: Found {
            machine: machine(),
            command: command(std::env::args().skip(1)),
            framework: None,
            roofline: ours.roofline()?,
            rows: Vec::new(),
            selection: Vec::new(),
            kernels: Vec::new(),
        },
        ours,
    };
    if let Some(python) = &python {
        if does(What::Training) {
            bench.training(python)?;
        }
        if does(What::Selection) {
            bench.selection(python)?;
        }
    }
    if does(What::Kernels) {
        bench.kernels()?;
    }
    let text = table::markdown(&bench.found);
    print!("{text}");
    if let Some(path) = &args.markdown {
        write(path, &text)?;
    }
    if let Some(path) = &args.svg {
        write(path, &plot::svg(&bench.found))?;
    }
    Ok(())
}

/// The command that was given, as it is given in this repository.
fn command(arguments: impl Iterator<Item = String>) -> String {
    let all = ["cargo".to_owned(), "xtask".to_owned()]
        .into_iter()
        .chain(arguments);
    all.collect::<Vec<_>>().join(" ")
}

/// Our programs.
struct Ours {
    backend: PathBuf,
    kernel: PathBuf,
    threads: String,
}

impl Ours {
    /// Builds them if they have to be.
    fn of(args: &PeerArgs) -> Result<Self, String> {
        if !args.no_build {
            let mut features = args.features.clone();
            features.push(name(args.backend));
            let features = features.join(",");
            program::build_with(&["-p", "dnw-benches", "--bins", "--features", &features])?;
        }
        Ok(Self {
            backend: program::built("bench-backend")?,
            kernel: program::built("bench-kernel")?,
            threads: args.threads.to_string(),
        })
    }

    /// The program that measures what trains nothing.
    fn kernel(&self, what: &str) -> Command {
        let mut command = Command::new(&self.kernel);
        command.args([what, "--threads", &self.threads]);
        command
    }

    fn roofline(&self) -> Result<Roofline, String> {
        Peer::start("bench-kernel", &mut self.kernel("roofline"))?.ready()
    }
}

struct Bench<'a> {
    args: &'a PeerArgs,
    ours: Ours,
    found: Found,
}

/// What PyTorch says of itself.
#[derive(Deserialize)]
struct Torch {
    framework: String,
}

impl Bench<'_> {
    fn keep(args: &PeerArgs, found: &Found) -> Result<(), String> {
        let Some(path) = &args.json else {
            return Ok(());
        };
        let text = serde_json::to_string_pretty(found).map_err(|error| error.to_string())?;
        write(path, &(text + "\n"))
    }

    /// PyTorch's side.
    fn torch(&mut self, python: &Path, called: &str, arguments: &[&str]) -> Result<Peer, String> {
        let mut command = Command::new(python);
        command.arg(python::script()).arg("answer").args(arguments);
        command.args(["--threads", &self.ours.threads]);
        let peer = Peer::start(called, &mut command)?;
        self.found.framework = Some(peer.ready::<Torch>()?.framework);
        Ok(peer)
    }

    fn training(&mut self, python: &Path) -> Result<(), String> {
        let args = self.args;
        let models = match args.models.as_slice() {
            [] => Model::value_variants(),
            models => models,
        };
        for (place, &model) in models.iter().enumerate() {
            let label = name(model);
            eprintln!("{label}: starting all sides");
            let mut command = Command::new(&self.ours.backend);
            command.args([name(args.backend).as_str(), &label, "--answer"]);
            command.args(["--threads", &self.ours.threads]);
            if let Some(batch) = args.batch {
                command.args(["--batch", &batch.to_string()]);
            }
            let ours = Peer::start("ours", &mut command)?;
            let network: Network = ours.ready()?;
            let batch = network.batch.to_string();
            let mut torch = |rule, called| {
                let further = ["--rule", rule, "--batch", &batch, "--lr", "0.02"];
                self.torch(python, called, &[model.of_torch(), &further].concat())
            };
            let peers = vec![
                ours,
                torch("dnw", "PyTorch DNW")?,
                torch("fixed", "PyTorch fixed mask")?,
            ];
            let to_come = match models.len() - place - 1 {
                0 => String::new(),
                1 => ", 1 network to come".to_owned(),
                networks => format!(", {networks} networks to come"),
            };
            let found = &mut self.found;
            Turns::begin(label, peers)?.go(args.rounds as usize, &to_come, |turns| {
                let rounds = [0, 1, 2].map(|side| turns.rounds(side));
                // Replaces the row of one round fewer.
                found.rows.truncate(place);
                found.rows.push(TrainingRow {
                    memory: turns.memory().and_then(|sides| sides.try_into().ok()),
                    ..TrainingRow::new(&network, &found.roofline, rounds)
                });
                Self::keep(args, found)
            })?;
        }
        Ok(())
    }

    fn selection(&mut self, python: &Path) -> Result<(), String> {
        let args = self.args;
        let [weights, edges] = [WEIGHTS, CHOSEN].map(|number| number.to_string());
        let mut command = self.ours.kernel("selection");
        command.args(["--weights", &weights, "--edges", &edges]);
        let ours = Peer::start("ours", &mut command)?;
        let rate = (1.0 - CHOSEN as f64 / WEIGHTS as f64).to_string();
        let mut torch = |algorithm, called| {
            let model = [
                "--model",
                "selection",
                "--weights",
                &weights,
                "--rate",
                &rate,
            ];
            self.torch(
                python,
                called,
                &[&model[..], &["--algorithm", algorithm]].concat(),
            )
        };
        let peers = vec![
            ours,
            torch("sort", "PyTorch argsort")?,
            torch("kthvalue", "PyTorch kthvalue")?,
        ];
        let found = &mut self.found;
        Turns::begin("selection".into(), peers)?.go(args.rounds as usize, "", |turns| {
            let rounds = [0, 1, 2].map(|place| turns.rounds(place));
            let row = SelectionRow::new([WEIGHTS, CHOSEN], args.threads as usize, rounds);
            found.selection = vec![row];
            Self::keep(args, found)
        })
    }

    fn kernels(&mut self) -> Result<(), String> {
        let mut peer = Peer::start("bench-kernel", &mut self.ours.kernel("products"))?;
        let cases = peer.ready::<Cases>()?.cases;
        let mut rounds = vec![Compared::default(); cases.len()];
        let (all, began) = (self.args.rounds as usize, Instant::now());
        for round in 1..=all {
            let compared: Vec<Compared> = peer.ask(1)?;
            for (rounds, now) in rounds.iter_mut().zip(compared) {
                rounds.ours_ms.extend(now.ours_ms);
                rounds.gemm_ms.extend(now.gemm_ms);
            }
            let roofline = &self.found.roofline;
            let row = |(case, rounds): (&Case, &Compared)| {
                KernelRow::new(*case, roofline, &rounds.ours_ms, &rounds.gemm_ms)
            };
            self.found.kernels = cases.iter().zip(&rounds).map(row).collect();
            let left = left(round, all, began.elapsed().as_secs_f64());
            eprintln!("kernels {round}/{all}: {} products{left}", cases.len());
            Self::keep(self.args, &self.found)?;
        }
        Ok(())
    }
}

/// The products that are measured.
#[derive(Deserialize)]
struct Cases {
    cases: Vec<Case>,
}

/// Milliseconds of one product, time after time.
#[derive(Clone, Default, Deserialize)]
struct Compared {
    ours_ms: Vec<f64>,
    gemm_ms: Vec<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: PeerArgs,
    }

    fn parsed(line: &str) -> Result<PeerArgs, clap::Error> {
        let words = std::iter::once("bench-peers").chain(line.split_whitespace());
        Line::try_parse_from(words).map(|line| line.args)
    }

    #[test]
    fn one_part_or_all_of_it_can_be_asked_for() {
        assert_eq!(parsed("").expect("all").what, None);
        let args = parsed("training --models tiny-static,resnet50 --rounds 3 --backend ndarray");
        let args = args.expect("a part");
        assert_eq!(args.what, Some(What::Training));
        assert_eq!(args.models, [Model::TinyStatic, Model::Resnet50]);
        assert_eq!(
            (args.rounds, args.threads, args.backend),
            (3, 2, Backend::Ndarray)
        );
        for line in [
            "everything",
            "--rounds 0",
            "--models mnist",
            "--backend wgpu",
        ] {
            assert!(parsed(line).is_err(), "{line}");
        }
    }

    #[test]
    fn the_command_is_written_as_it_is_given() {
        let arguments = ["bench-peers", "kernels", "--rounds", "3"].map(str::to_owned);
        assert_eq!(
            command(arguments.into_iter()),
            "cargo xtask bench-peers kernels --rounds 3"
        );
    }
}

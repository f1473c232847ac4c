//! Training steps and selections of edges compared with PyTorch, products with dense ones, compiled networks with ONNX
//! Runtime: `cargo xtask bench-peers`.
//!
//! Each side is a process that stays alive and is measured in turn, round by round, so that a temporary slowdown of the machine affects all
//! sides. The result is the median over rounds of the ratio within a round. Results are written after each round.

mod args;
mod inference;
mod networks;
pub(crate) mod peer;
mod plot;
mod products;
mod python;
mod results;
mod roofline;
mod rounds;
mod statistics;
mod table;
mod zoo;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use clap::ValueEnum;
use serde::Deserialize;

use crate::files::write;
use crate::machine::machine;
use crate::program;
pub use args::PeerArgs;
use args::{Model, What, name};
use peer::Peer;
use products::{Case, KernelRow};
use results::{Network, Results, SelectionRow, TrainingRow};
use roofline::Roofline;
use rounds::{Rounds, time_left};

/// Weights in the selection: as many as the published tiny classifiers have.
const WEIGHTS: usize = 640_000;
/// How many of them are selected.
const SELECTED: usize = 32_000;

/// Measures, prints the tables and writes the requested files.
pub fn run(args: &PeerArgs) -> Result<(), String> {
    let command = command(std::env::args().skip(1));
    if args.what == Some(What::Inference) {
        return inference::run(args, command);
    }
    if matches!(args.what, Some(What::Zoo | What::Layers)) {
        return zoo::run(args, command);
    }
    let ours = Programs::new(args)?;
    let measures = |what| args.what.is_none_or(|only| only == what);
    let python = match (
        measures(What::Training) || measures(What::Selection),
        &args.python,
    ) {
        (false, _) => None,
        (true, Some(path)) => Some(path.clone()),
        (true, None) => Some(python::interpreter()?),
    };
    eprintln!("measuring the limits of the machine");
    let mut bench = Bench {
        args,
        results: Results {
            machine: machine(),
            command,
            framework: None,
            roofline: ours.roofline()?,
            rows: Vec::new(),
            selection: Vec::new(),
            kernels: Vec::new(),
        },
        ours,
    };
    if let Some(python) = &python {
        if measures(What::Training) {
            bench.training(python)?;
        }
        if measures(What::Selection) {
            bench.selection(python)?;
        }
    }
    if measures(What::Kernels) {
        bench.kernels()?;
    }
    let text = table::markdown(&bench.results);
    print!("{text}");
    if let Some(path) = &args.markdown {
        write(path, &text)?;
    }
    if let Some(path) = &args.svg {
        write(path, &plot::svg(&bench.results))?;
    }
    Ok(())
}

/// This command, as typed in the repository. Without the place of a Python, which another machine does not have.
fn command(arguments: impl Iterator<Item = String>) -> String {
    let mut all = vec!["cargo".to_owned(), "xtask".to_owned()];
    let mut arguments = arguments;
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--python" => drop(arguments.next()),
            given if given.starts_with("--python=") => {}
            _ => all.push(argument),
        }
    }
    all.join(" ")
}

/// Our programs.
struct Programs {
    backend: PathBuf,
    kernel: PathBuf,
    threads: String,
}

impl Programs {
    /// Builds them, unless `--no-build` is given.
    fn new(args: &PeerArgs) -> Result<Self, String> {
        if !args.no_build {
            let mut features = args.features.clone();
            features.push(name(args.backend));
            let features = features.join(",");
            program::build_with(&["-p", "dnw-benches", "--bins", "--features", &features])?;
        }
        Ok(Self {
            backend: program::built("bench-backend")?,
            kernel: program::built("bench-kernel")?,
            threads: args.threads().to_string(),
        })
    }

    /// A command of the program that measures kernels.
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
    ours: Programs,
    results: Results,
}

/// What the PyTorch program reports when it starts.
#[derive(Deserialize)]
struct Torch {
    framework: String,
}

impl Bench<'_> {
    fn save(args: &PeerArgs, results: &Results) -> Result<(), String> {
        let Some(path) = &args.json else {
            return Ok(());
        };
        let text = serde_json::to_string_pretty(results).map_err(|error| error.to_string())?;
        write(path, &(text + "\n"))
    }

    /// Starts the PyTorch program.
    fn torch(&mut self, python: &Path, name: &str, arguments: &[&str]) -> Result<Peer, String> {
        let mut command = Command::new(python);
        command.arg(python::script()).arg("answer").args(arguments);
        command.args(["--threads", &self.ours.threads]);
        let peer = Peer::start(name, &mut command)?;
        self.results.framework = Some(peer.ready::<Torch>()?.framework);
        Ok(peer)
    }

    fn training(&mut self, python: &Path) -> Result<(), String> {
        let args = self.args;
        let models = match args.models.as_slice() {
            [] => Model::value_variants(),
            models => models,
        };
        for (index, &model) in models.iter().enumerate() {
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
            let mut torch = |rule, name| {
                let arguments = ["--rule", rule, "--batch", &batch, "--lr", "0.02"];
                self.torch(
                    python,
                    name,
                    &[model.torch_arguments(), &arguments].concat(),
                )
            };
            let peers = vec![
                ours,
                torch("dnw", "PyTorch DNW")?,
                torch("fixed", "PyTorch fixed mask")?,
            ];
            let remaining = match models.len() - index - 1 {
                0 => String::new(),
                1 => ", 1 network remaining".to_owned(),
                networks => format!(", {networks} networks remaining"),
            };
            let results = &mut self.results;
            Rounds::start(label, peers)?.run(args.rounds as usize, &remaining, |rounds| {
                let times = [0, 1, 2].map(|side| rounds.times(side));
                // Replace the row of the round before.
                results.rows.truncate(index);
                results.rows.push(TrainingRow {
                    memory: rounds.memory().and_then(|sides| sides.try_into().ok()),
                    ..TrainingRow::new(&network, &results.roofline, times)
                });
                Self::save(args, results)
            })?;
        }
        Ok(())
    }

    fn selection(&mut self, python: &Path) -> Result<(), String> {
        let args = self.args;
        let [weights, edges] = [WEIGHTS, SELECTED].map(|number| number.to_string());
        let mut command = self.ours.kernel("selection");
        command.args(["--weights", &weights, "--edges", &edges]);
        let ours = Peer::start("ours", &mut command)?;
        let rate = (1.0 - SELECTED as f64 / WEIGHTS as f64).to_string();
        let mut torch = |algorithm, name| {
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
                name,
                &[&model[..], &["--algorithm", algorithm]].concat(),
            )
        };
        let peers = vec![
            ours,
            torch("sort", "PyTorch argsort")?,
            torch("kthvalue", "PyTorch kthvalue")?,
        ];
        let results = &mut self.results;
        Rounds::start("selection".into(), peers)?.run(args.rounds as usize, "", |rounds| {
            let times = [0, 1, 2].map(|side| rounds.times(side));
            let row = SelectionRow::new([WEIGHTS, SELECTED], args.threads() as usize, times);
            results.selection = vec![row];
            Self::save(args, results)
        })
    }

    fn kernels(&mut self) -> Result<(), String> {
        let mut peer = Peer::start("bench-kernel", &mut self.ours.kernel("products"))?;
        let cases = peer.ready::<Cases>()?.cases;
        let mut rounds = vec![Times::default(); cases.len()];
        let (all, began) = (self.args.rounds as usize, Instant::now());
        for round in 1..=all {
            let times: Vec<Times> = peer.ask(1)?;
            for (rounds, now) in rounds.iter_mut().zip(times) {
                rounds.ours_ms.extend(now.ours_ms);
                rounds.gemm_ms.extend(now.gemm_ms);
            }
            let roofline = &self.results.roofline;
            let row = |(case, rounds): (&Case, &Times)| {
                KernelRow::new(*case, roofline, &rounds.ours_ms, &rounds.gemm_ms)
            };
            self.results.kernels = cases.iter().zip(&rounds).map(row).collect();
            let left = time_left(round, all, began.elapsed().as_secs_f64());
            eprintln!("kernels {round}/{all}: {} products{left}", cases.len());
            Self::save(self.args, &self.results)?;
        }
        Ok(())
    }
}

/// The products to measure.
#[derive(Deserialize)]
struct Cases {
    cases: Vec<Case>,
}

/// Times of one product, in milliseconds.
#[derive(Clone, Default, Deserialize)]
struct Times {
    ours_ms: Vec<f64>,
    gemm_ms: Vec<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_written_as_typed() {
        let arguments = ["bench-peers", "kernels", "--rounds", "3"].map(str::to_owned);
        assert_eq!(
            command(arguments.into_iter()),
            "cargo xtask bench-peers kernels --rounds 3"
        );
        let elsewhere = [
            "layers",
            "--python",
            "venv/python",
            "--python=python",
            "--no-build",
        ];
        assert_eq!(
            command(elsewhere.map(str::to_owned).into_iter()),
            "cargo xtask layers --no-build"
        );
    }
}

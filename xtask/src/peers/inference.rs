//! Compiled networks compared with ONNX Runtime, PyTorch, MNN, tract and rten: `cargo xtask bench-peers inference`.
//!
//! The peers' program writes each network once, with its masks in its weights. `dnw compile` compiles the same weights. Each side then runs
//! the same image in a process of its own, and the logits are compared before anything is measured.

mod results;
mod table;

use std::path::{Path, PathBuf};
use std::process::Command;

use clap::ValueEnum;
use serde::Deserialize;

use super::args::{PeerArgs, name};
use super::networks::Wired;
use super::peer::Peer;
use super::python;
use super::rounds::Rounds;
use super::statistics::Spread;
use crate::files::write;
use crate::program;
use results::{Against, Row, Runtime, Side};
pub(super) use results::{Ready, Results, difference, show};

/// What a Rust program would use; both compute one image at a time.
pub(super) const RUST_RUNTIMES: [&str; 2] = ["tract", "rten"];
/// Other runtimes of Python.
const PYTHON_RUNTIMES: [&str; 2] = ["pytorch", "mnn"];
/// The one that has sparse kernels.
const SPARSE_RUNTIME: &str = "mnn";
/// How often each side is started, to measure its start.
const STARTS: usize = 5;
/// The largest difference of logits, relative to the largest, with which a measurement means anything.
const LARGEST_DIFFERENCE: f64 = 1e-3;

/// Measures, prints the tables and writes the requested files. `command` is what was typed.
pub fn run(args: &PeerArgs, command: String) -> Result<(), String> {
    let networks = match args.networks.as_slice() {
        [] => Wired::value_variants(),
        networks => networks,
    };
    let bench = Bench::new(args, networks)?;
    let mut results = Results::new(args, command);
    for (index, &network) in networks.iter().enumerate() {
        let compiled = bench.compile(network)?;
        let remaining = match networks.len() - index - 1 {
            0 => String::new(),
            left => format!(", networks remaining: {left}"),
        };
        bench.measure(network, &compiled, &remaining, |peer, row| {
            results.peer = peer;
            results.rows.truncate(index);
            results.rows.push(row);
            results.save(args)
        })?;
    }
    show(&table::markdown(&results), args)
}

/// What `dnw compile --json` says.
#[derive(Deserialize)]
struct Compiled {
    multiply_adds: u64,
    bytes: u64,
}

struct Bench<'a> {
    args: &'a PeerArgs,
    python: PathBuf,
    dnw: PathBuf,
    worker: PathBuf,
    /// Runs tract and rten.
    runtimes: PathBuf,
    /// Where the networks are.
    folder: PathBuf,
}

impl<'a> Bench<'a> {
    /// Builds our programs and writes the networks, unless they are there.
    fn new(args: &'a PeerArgs, networks: &[Wired]) -> Result<Self, String> {
        let python = match &args.python {
            Some(path) => path.clone(),
            None => python::onnx_interpreter()?,
        };
        let [dnw, worker, runtimes] = match args.no_build {
            true => [
                program::built("dnw")?,
                program::built("examples/time_model")?,
                program::rust_runtimes()?,
            ],
            false => [
                program::build()?,
                program::build_with(&["-p", "dnw-runtime", "--example", "time_model"])?,
                program::build_rust_runtimes()?,
            ],
        };
        let folder = program::target()?.join("peers-networks");
        let bench = Self {
            args,
            python,
            dnw,
            worker,
            runtimes,
            folder,
        };
        bench.write(networks)?;
        Ok(bench)
    }

    fn file(&self, network: &str, ending: &str) -> PathBuf {
        self.folder.join(format!("{network}.{ending}"))
    }

    fn script(&self, command: &str) -> Command {
        let mut script = Command::new(&self.python);
        script.arg(python::onnx_script()).arg(command);
        script.arg("--out").arg(&self.folder);
        script
    }

    /// Has the peers' program write the networks that are missing.
    fn write(&self, networks: &[Wired]) -> Result<(), String> {
        // Written by another version of the program, they may be others.
        let stamp = self.folder.join("written_by.py");
        let script = python::onnx_script();
        let text = std::fs::read_to_string(&script)
            .map_err(|error| format!("{}: {error}", script.display()))?;
        let same = std::fs::read_to_string(&stamp).is_ok_and(|written| written == text);
        let mut missing: Vec<String> = Vec::new();
        let dense = networks.iter().filter_map(|network| network.dense());
        let all = networks.iter().map(|&network| name(network));
        for network in all.chain(dense.map(str::to_owned)) {
            let complete = ["pt", "onnx", "input"]
                .into_iter()
                .all(|ending| self.file(&network, ending).is_file());
            if !(same && complete || missing.contains(&network)) {
                missing.push(network);
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        eprintln!("writing {} for ONNX Runtime", missing.join(", "));
        if !same {
            // What was written before would be taken for new next time.
            let _ = std::fs::remove_dir_all(&self.folder);
        }
        output(self.script("write").args(["--models", &missing.join(",")]))?;
        write(&stamp, &text)
    }

    fn compile(&self, network: Wired) -> Result<Compiled, String> {
        let label = name(network);
        eprintln!("{label}: compiling");
        let (recipe, changes) = network.recipe();
        let mut compile = Command::new(&self.dnw);
        compile.arg("compile").arg(self.file(&label, "pt"));
        compile.arg("-o").arg(self.file(&label, "dnw"));
        compile.args(["--json", "--recipe", recipe]);
        for change in changes {
            compile.args(["--set", change]);
        }
        serde_json::from_slice(&output(&mut compile)?)
            .map_err(|error| format!("dnw compile: its answer has another form: {error}"))
    }

    fn ours(&self, label: &str) -> Result<Peer, String> {
        let mut command = Command::new(&self.worker);
        command.arg(self.file(label, "dnw"));
        command.arg(self.file(label, "input"));
        command.arg(self.args.threads().to_string());
        command.arg(self.args.batch.unwrap_or(1).to_string());
        Peer::start("ours", &mut command)
    }

    /// A runtime of Python.
    fn python(&self, name: &str, runtime: &str, network: &str) -> Result<Peer, String> {
        let mut command = self.script("answer");
        command.args(["--runtime", runtime, "--model", network]);
        command.args(["--threads", &self.args.threads().to_string()]);
        command.args(["--batch", &self.args.batch.unwrap_or(1).to_string()]);
        Peer::start(name, &mut command)
    }

    fn onnx(&self, name: &str, network: &str) -> Result<Peer, String> {
        self.python(name, "onnxruntime", network)
    }

    /// A runtime other than ONNX Runtime.
    fn other(&self, runtime: &str, network: &str) -> Result<Peer, String> {
        if PYTHON_RUNTIMES.contains(&runtime) {
            return self.python(runtime, runtime, network);
        }
        let [onnx, input] = ["onnx", "input"].map(|ending| self.file(network, ending));
        rust_runtime(
            &self.runtimes,
            runtime,
            [&onnx, &input],
            self.args.threads(),
        )
    }

    /// The other runtimes that execute the dense network, or the network itself, and which of them; says which do not.
    fn others<'n>(&self, network: &'n str, dense: &'n str) -> Vec<(&'static str, &'n str)> {
        let executes = |(runtime, network): &(&str, &str)| {
            let started = self.other(runtime, network);
            if let Err(error) = &started {
                eprintln!("{network}: {error}");
            }
            started.is_ok()
        };
        let rust = RUST_RUNTIMES.into_iter();
        let all = rust.filter(|_| self.args.batch.unwrap_or(1) == 1);
        let mut all: Vec<_> = all
            .chain(PYTHON_RUNTIMES)
            .map(|name| (name, dense))
            .collect();
        if network != dense {
            all.push((SPARSE_RUNTIME, network));
        }
        all.retain(executes);
        all
    }

    /// Measures one network; calls `save` with the peer's name and the row after each round.
    fn measure(
        &self,
        network: Wired,
        compiled: &Compiled,
        remaining: &str,
        mut save: impl FnMut(String, Row) -> Result<(), String>,
    ) -> Result<(), String> {
        let (label, targets) = (name(network), network.targets());
        let dense = network.dense().unwrap_or(&label);
        let others = self.others(&label, dense);
        let start = || {
            let mut peers = vec![
                self.ours(&label)?,
                self.onnx("ONNX Runtime, masked", &label)?,
            ];
            if let Some(dense) = network.dense() {
                peers.push(self.onnx("dense", dense)?);
            }
            Ok::<_, String>(peers)
        };
        let ready = |peers: &[Peer]| {
            let ready = peers.iter().map(Peer::ready::<Ready>);
            ready.collect::<Result<Vec<_>, _>>()
        };
        // The first ones are measured, beside the other runtimes, which are started once.
        let mut peers = start()?;
        for (runtime, network) in &others {
            peers.push(self.other(runtime, network)?);
        }
        let mut starts = vec![ready(&peers)?];
        for _ in 1..STARTS {
            starts.push(ready(&start()?)?);
        }
        let said = &starts[0];
        let difference = difference(&said[0].logits, &said[1].logits)?;
        if difference > LARGEST_DIFFERENCE {
            return Err(format!(
                "{label}: a logit differs from ONNX Runtime's by {difference:.1e} of the largest; a measurement would mean nothing"
            ));
        }
        let size = |path: &Path| std::fs::metadata(path).map_or(0, |file| file.len());
        let side = |at: usize, file_bytes: u64, rounds: &Rounds| {
            let median = |of: fn(&Ready) -> f64| {
                let all: Vec<f64> = starts
                    .iter()
                    .filter_map(|sides| sides.get(at).map(of))
                    .collect();
                Spread::of(&all).median
            };
            Side {
                ms: Spread::of(rounds.times(at)),
                first_ms: median(|ready| ready.first_ms),
                session_ms: median(|ready| ready.session_ms),
                peak_bytes: rounds.memory().map(|memory| memory[at].peak),
                bytes_before: said[at].bytes_before,
                file_bytes,
            }
        };
        Rounds::start(label.clone(), peers)?.run(self.args.rounds as usize, remaining, |rounds| {
            let against = |at: usize, network: &str, target: Option<f64>| {
                let side = side(at, size(&self.file(network, "onnx")), rounds);
                Against::new(network, target, side, [rounds.times(at), rounds.times(0)])
            };
            let row = Row {
                network: label.clone(),
                multiply_adds: compiled.multiply_adds,
                ours: side(0, compiled.bytes, rounds),
                masked: against(1, &label, targets.masked),
                dense: network
                    .dense()
                    .map(|dense| against(2, dense, targets.dense)),
                runtimes: (said.len() - others.len()..said.len())
                    .zip(&others)
                    .map(|(at, (_, network))| Runtime {
                        name: said[at].framework.clone(),
                        against: against(at, network, None),
                    })
                    .collect(),
                difference,
            };
            save(said[1].framework.clone(), row)
        })
    }
}

/// One of [`RUST_RUNTIMES`] on a network and its input; `program` runs either.
pub(super) fn rust_runtime(
    program: &Path,
    runtime: &str,
    [onnx, input]: [&Path; 2],
    threads: u32,
) -> Result<Peer, String> {
    let mut command = Command::new(program);
    command.arg(runtime).arg(onnx).arg(input);
    command.arg(threads.to_string());
    Peer::start(runtime, &mut command)
}

/// The standard output of a program. The error is the last line that it wrote.
pub(super) fn output(command: &mut Command) -> Result<Vec<u8>, String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .output()
        .map_err(|error| format!("{program} cannot be run: {error}"))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let mut lines = text.lines().map(str::trim).rev();
    let reason = lines.find(|line| !line.is_empty());
    Err(format!(
        "{program} failed: {}",
        reason.unwrap_or("it gave no reason")
    ))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_fails_is_reported_with_its_last_line() {
        let shell = |script: &str| output(Command::new("sh").args(["-c", script]));
        assert_eq!(shell("echo found; echo noise >&2"), Ok(b"found\n".to_vec()));
        let error = shell("echo Traceback >&2; echo 'no torch' >&2; exit 1");
        assert_eq!(error, Err("sh failed: no torch".into()));
        assert_eq!(shell("exit 1"), Err("sh failed: it gave no reason".into()));
    }
}

//! `dnw bench`: how fast a compiled model is here.

use std::fmt::Write;
use std::time::{Duration, Instant};

use dnw_device::processor;
use dnw_kernels::settings::InstructionSet;
use dnw_runtime::Session;
use dnw_train::compiled::ModelFile;
use dnw_train::compiled::timing::{Latency, latency, noise, step_times};

use super::super::compiled_args::BenchArgs;
use super::super::failure::Failure;
use super::super::numbers::grouped;
use super::super::output::{line, print_bytes};
use super::compile::{name, network};
use super::onnxruntime::{Beside, OnnxRuntime};

/// The sizes of batches that are measured.
const BATCHES: [usize; 3] = [1, 8, 32];

/// Measures a model.
pub fn bench(args: &BenchArgs) -> Result<u8, Failure> {
    let (file, first_result) = first_result(args)?;
    let onnx = args.onnx.as_deref();
    let mut peer = onnx
        .map(|model| OnnxRuntime::start(&args.python, model))
        .transpose()?;
    let how_long = Duration::from_secs_f64(args.seconds);
    let threads = args.threads.map_or_else(threads, |n| vec![n as usize]);
    let batches = args
        .batch
        .map_or_else(|| BATCHES.to_vec(), |n| vec![n as usize]);
    let mut measured = Vec::new();
    for &batch in &batches {
        for &threads in &threads {
            measured.push(Measured {
                threads,
                batch,
                latency: latency(&file.model, threads, batch, how_long),
                beside: match &mut peer {
                    Some(peer) => Some(peer.beside(&file.model, threads, batch, how_long)?),
                    None => None,
                },
            });
        }
    }
    let steps = step_times(&file.model, threads[0], how_long);
    let found = Found {
        file: &file,
        first_result,
        measured,
        onnxruntime: peer.map(|peer| peer.version.clone()),
        step_threads: threads[0],
        layers: layers(&file, &steps),
    };
    match args.json {
        true => line(format!("{:#}", found.to_json(args)))?,
        false => print_bytes(found.to_lines().as_bytes())?,
    }
    Ok(0)
}

/// The model, and the seconds from opening its file to its first result.
fn first_result(args: &BenchArgs) -> Result<(ModelFile, f64), Failure> {
    let start = Instant::now();
    let file = ModelFile::open(&args.model)?;
    let opened = start.elapsed();
    let input = noise(&file.model, 1);
    let start = Instant::now();
    let mut output = vec![0.0; file.model.output_len()];
    let run = Session::new(&file.model, 1).run(&input, &mut output);
    run.expect("input and output have the model's lengths");
    Ok((file, (opened + start.elapsed()).as_secs_f64()))
}

/// Powers of two up to the cores that there are, and these.
fn threads() -> Vec<usize> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut counts: Vec<usize> = std::iter::successors(Some(1), |n| Some(2 * n))
        .take_while(|&n| n < cores)
        .collect();
    counts.push(cores);
    counts
}

/// The CPU, the instructions in use, and whether the program is one to measure with.
pub(super) fn made_on() -> String {
    let cpu = processor().unwrap_or_else(|| "an unknown CPU".to_owned());
    let build = match cfg!(debug_assertions) {
        true => {
            "; a debug build: `cargo build --release` makes one that is two to three times as fast"
        }
        false => "",
    };
    format!("{cpu}, {}{build}", InstructionSet::in_use())
}

struct Measured {
    threads: usize,
    batch: usize,
    latency: Latency,
    beside: Option<Beside>,
}

impl Measured {
    fn images_per_second(&self) -> f64 {
        self.batch as f64 / self.latency.median
    }
}

/// A layer: name, operations, seconds.
struct Layer {
    name: String,
    operations: Vec<&'static str>,
    seconds: f64,
}

/// The steps' times by layer, in the order of execution.
fn layers(file: &ModelFile, times: &[f64]) -> Vec<Layer> {
    let mut layers: Vec<Layer> = Vec::new();
    for ((name, operation), &seconds) in file.model.steps().zip(times) {
        match layers.last_mut().filter(|last| last.name == name) {
            Some(last) => {
                last.seconds += seconds;
                if !last.operations.contains(&operation) {
                    last.operations.push(operation);
                }
            }
            None => layers.push(Layer {
                name: name.to_owned(),
                operations: vec![operation],
                seconds,
            }),
        }
    }
    layers
}

struct Found<'a> {
    file: &'a ModelFile,
    first_result: f64,
    measured: Vec<Measured>,
    /// The version of ONNX Runtime, if it was measured in turn.
    onnxruntime: Option<String>,
    step_threads: usize,
    layers: Vec<Layer>,
}

impl Found<'_> {
    fn to_lines(&self) -> String {
        let (model, file) = (&self.file.model, self.file);
        let mut text = String::new();
        let _ = writeln!(
            text,
            "network        {}",
            network(model.input(), model.output_len())
        );
        let _ = writeln!(
            text,
            "file           {} bytes, weights in {}",
            grouped(file.bytes as u64),
            name(file.precision)
        );
        let _ = writeln!(text, "made on        {}", made_on());
        let _ = writeln!(
            text,
            "first result   {:.3} ms after the file is opened\n",
            1e3 * self.first_result
        );
        let _ = writeln!(
            text,
            "{:>5} {:>7} {:>11} {:>11} {:>11} {:>11}",
            "batch", "threads", "median, ms", "p90, ms", "p99, ms", "images/s"
        );
        for measured in &self.measured {
            let Latency {
                median, p90, p99, ..
            } = measured.latency;
            let _ = writeln!(
                text,
                "{:>5} {:>7} {:>11.4} {:>11.4} {:>11.4} {:>11}",
                measured.batch,
                measured.threads,
                1e3 * median,
                1e3 * p90,
                1e3 * p99,
                grouped(measured.images_per_second() as u64)
            );
        }
        if let Some(version) = &self.onnxruntime {
            text += &self.beside_lines(version);
        }
        let total: f64 = self.layers.iter().map(|layer| layer.seconds).sum();
        let names = self.layers.iter().map(|layer| layer.name.len());
        let wide = names.max().unwrap_or(0).max("layer".len());
        let threads = self.step_threads;
        let _ = writeln!(
            text,
            "\n{:<wide$} {:>11} {:>6}  batch 1, {threads} thread(s)",
            "layer", "us", "share"
        );
        for layer in &self.layers {
            let _ = writeln!(
                text,
                "{:<wide$} {:>11.2} {:>5.1}%  {}",
                layer.name,
                1e6 * layer.seconds,
                100.0 * layer.seconds / total,
                layer.operations.join(", ")
            );
        }
        text
    }

    fn beside_lines(&self, version: &str) -> String {
        let mut text = format!(
            "\n{:>5} {:>7} {:>23} {:>7} {:>11}  ONNX Runtime {version}, in turn with this model\n",
            "batch", "threads", "ONNX Runtime, ms", "ratio", "difference"
        );
        for measured in &self.measured {
            if let Some(beside) = &measured.beside {
                let _ = writeln!(
                    text,
                    "{:>5} {:>7} {:>23.4} {:>7.2} {:>11.1e}",
                    measured.batch,
                    measured.threads,
                    1e3 * beside.median,
                    beside.ratio,
                    beside.difference
                );
            }
        }
        let fixed = |measured: &Measured| {
            let fixed = measured.beside.as_ref()?.fixed_batch?;
            (fixed < measured.batch as u64).then_some(fixed)
        };
        if let Some(batch) = self.measured.iter().find_map(fixed) {
            let _ = writeln!(
                text,
                "the ONNX model's batch is always {batch}: larger ones ran one after the other"
            );
        }
        text.push_str(
            "ratio: its time divided by ours; difference: the largest of an output, relative to the largest output of its image\n",
        );
        text
    }

    fn to_json(&self, args: &BenchArgs) -> serde_json::Value {
        let measured = self.measured.iter().map(|measured| {
            let Latency {
                median,
                p90,
                p99,
                runs,
            } = measured.latency;
            serde_json::json!({
                "batch": measured.batch,
                "threads": measured.threads,
                "seconds": { "median": median, "p90": p90, "p99": p99, "runs": runs },
                "images_per_second": measured.images_per_second(),
                "onnxruntime": measured.beside.as_ref().map(|beside| serde_json::json!({
                    "seconds": { "median": beside.median },
                    "ratio": beside.ratio,
                    "difference": beside.difference,
                    "fixed_batch": beside.fixed_batch,
                })),
            })
        });
        let layers = self.layers.iter().map(|layer| {
            serde_json::json!({
                "layer": layer.name,
                "operations": layer.operations,
                "seconds": layer.seconds,
            })
        });
        serde_json::json!({
            "model": args.model.to_string_lossy(),
            "made_on": made_on(),
            "bytes": self.file.bytes,
            "weights": name(self.file.precision),
            "seconds_to_first_result": self.first_result,
            "measured": measured.collect::<Vec<_>>(),
            "onnxruntime": self.onnxruntime,
            "layers_threads": self.step_threads,
            "layers": layers.collect::<Vec<_>>(),
        })
    }
}

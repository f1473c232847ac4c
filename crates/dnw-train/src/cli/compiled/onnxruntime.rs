//! ONNX Runtime in a Python process, which is measured in turn with a compiled model.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use dnw_runtime::Model;
use dnw_train::compiled::timing::{latency, noise};
use serde_json::{Value, json};

use super::super::failure::Failure;

const PROGRAM: &str = include_str!("onnxruntime.py");
/// Turns of each side, of which the median counts.
const TURNS: u32 = 5;

/// A Python process with an ONNX model.
pub(super) struct OnnxRuntime {
    process: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// The version of ONNX Runtime.
    pub(super) version: String,
}

/// ONNX Runtime beside a compiled model.
pub(super) struct Beside {
    /// Seconds of a batch.
    pub(super) median: f64,
    /// Its seconds divided by ours, the median of those within a turn.
    pub(super) ratio: f64,
    /// The largest difference of an output, relative to the largest output of its image.
    pub(super) difference: f64,
    /// The batch of the ONNX model if it is fixed: so many images run at once, the rest after them.
    pub(super) fixed_batch: Option<u64>,
}

impl OnnxRuntime {
    /// Starts Python, which needs the packages `onnxruntime` and `numpy`.
    pub(super) fn start(python: &Path, model: &Path) -> Result<Self, Failure> {
        if let Err(error) = std::fs::File::open(model) {
            let what = format!("cannot read `{}`: {error}", model.display());
            let help = "give the ONNX model of the same network, such as one that `dnw export RUN --onnx FILE` writes";
            return Err(Failure::new(what, help));
        }
        let program = Command::new(python)
            .args(["-c", PROGRAM])
            .arg(model)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut process = program.map_err(|error| {
            let what = format!("cannot start `{}`: {error}", python.display());
            Failure::new(what, NEEDED)
        })?;
        let (requests, answers) = (process.stdin.take(), process.stdout.take());
        let mut peer = Self {
            process,
            requests: requests.expect("was piped"),
            answers: BufReader::new(answers.expect("was piped")),
            version: String::new(),
        };
        peer.version = peer.answer()?["version"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        Ok(peer)
    }

    /// Measures both sides in turn, for so long each.
    pub(super) fn beside(
        &mut self,
        model: &Model,
        threads: usize,
        batch: usize,
        how_long: Duration,
    ) -> Result<Beside, Failure> {
        let image = noise(model, batch);
        let mut output = vec![0.0; batch * model.output_len()];
        let run = dnw_runtime::Session::new(model, threads).run(&image, &mut output);
        run.expect("input and output have the model's lengths");
        let bytes: Vec<u8> = image.iter().flat_map(|x| x.to_le_bytes()).collect();
        let [channels, height, width] = model.input().shape;
        let turn = how_long / TURNS;
        let request = json!({
            "threads": threads,
            "shape": [batch, channels, height, width],
            "outputs": output.len(),
            "seconds": turn.as_secs_f64(),
            "bytes": bytes.len(),
        });
        let (mut medians, mut ratios, mut difference) = (Vec::new(), Vec::new(), 0.0);
        let mut fixed_batch = None;
        for _ in 0..TURNS {
            let ours = latency(model, threads, batch, turn).median;
            let sent = writeln!(self.requests, "{request}")
                .and_then(|()| self.requests.write_all(&bytes))
                .and_then(|()| self.requests.flush());
            sent.map_err(|error| Failure::new(format!("Python has ended: {error}"), NEEDED))?;
            let found = self.answer()?;
            let median = found["median"].as_f64().unwrap_or(f64::NAN);
            medians.push(median);
            ratios.push(median / ours);
            let theirs = found["output"].as_array().into_iter().flatten();
            let theirs: Vec<f64> = theirs.filter_map(Value::as_f64).collect();
            fixed_batch = found["fixed"].as_u64();
            difference = largest_difference(&output, &theirs, model.output_len());
        }
        Ok(Beside {
            median: middle(medians),
            ratio: middle(ratios),
            difference,
            fixed_batch,
        })
    }

    fn answer(&mut self) -> Result<Value, Failure> {
        let mut line = String::new();
        let read = self.answers.read_line(&mut line);
        let found = read
            .ok()
            .and_then(|_| serde_json::from_str::<Value>(&line).ok());
        let Some(found) = found else {
            return Err(Failure::new("Python ended without an answer", NEEDED));
        };
        match found["error"].as_str() {
            None => Ok(found),
            Some(error) => {
                let what = format!("ONNX Runtime could not be measured: {error}");
                let help = match found["missing"].as_bool() {
                    Some(true) => NEEDED,
                    _ => {
                        "give the ONNX model of the same network, with one input, and as `--batch` a multiple of its batch if that is fixed"
                    }
                };
                Err(Failure::new(what, help))
            }
        }
    }
}

const NEEDED: &str = "install the packages with `pip install onnxruntime numpy`, and name that Python with `--python PATH`";

impl Drop for OnnxRuntime {
    fn drop(&mut self) {
        // It may be busy; nothing that it does has to be kept.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn largest_difference(ours: &[f32], theirs: &[f64], len: usize) -> f64 {
    let images = ours.chunks(len).zip(theirs.chunks(len));
    let of_image = images.map(|(ours, theirs)| {
        let pairs = || ours.iter().zip(theirs).map(|(&a, &b)| (f64::from(a), b));
        let largest = pairs()
            .map(|(_, b)| b.abs())
            .fold(f64::MIN_POSITIVE, f64::max);
        pairs().map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) / largest
    });
    of_image.fold(0.0, f64::max)
}

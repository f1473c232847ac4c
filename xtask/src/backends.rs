//! Time and memory of the networks on every backend: `cargo xtask bench-backends`.
//!
//! Each network is measured on each device in its own process, so that a crash, a hang or an error becomes a row of the table. Rows are saved as
//! they come; `--resume` continues an interrupted measurement.

mod chart;
mod row;
mod table;
mod worker;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;

use crate::files::write;
use crate::program;
use crate::text::duration;
use row::{Request, Results};
use worker::Worker;

/// The backends that are built by default: those that need no toolkit besides Rust.
const PORTABLE: [&str; 3] = ["flex", "ndarray", "wgpu"];

/// The options of `bench-backends`.
#[derive(Debug, Args)]
pub struct BackendArgs {
    /// Devices to measure, as for `dnw --device`, such as flex,wgpu:cpu,cuda:0 [default: one of each backend that the worker finds]
    #[arg(long, value_delimiter = ',', value_name = "DEVICES")]
    backends: Vec<String>,
    /// Networks to measure [default: all]
    #[arg(long, value_delimiter = ',', value_name = "NETWORKS")]
    models: Vec<String>,
    /// Images per batch [default: the network's own]
    #[arg(long, value_name = "N")]
    batch: Option<usize>,
    /// CPU threads [default: one per core]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Measurements of each kind after the first; fewer if they take more than 45 seconds
    #[arg(long, default_value_t = 20, value_name = "N")]
    rounds: usize,
    /// Time limit in seconds for a network on a device
    #[arg(long, default_value_t = 600, value_name = "SECONDS")]
    limit: u64,
    /// Features to build the worker with, in addition to those of the devices
    #[arg(long, value_delimiter = ',', value_name = "FEATURES")]
    features: Vec<String>,
    /// Use a worker that is already built
    #[arg(long)]
    no_build: bool,
    /// Use this worker (`bench-backend`)
    #[arg(long, value_name = "PATH")]
    worker: Option<PathBuf>,
    /// Write the results to this file as JSON, after each row
    #[arg(long, value_name = "PATH")]
    json: Option<PathBuf>,
    /// Keep the rows of the JSON file with the same settings, and measure the rest
    #[arg(long, requires = "json")]
    resume: bool,
    /// Write the table to this file
    #[arg(long, value_name = "PATH")]
    markdown: Option<PathBuf>,
    /// Write the predictions of the cost model and the measurements to this file
    #[arg(long, value_name = "PATH")]
    predictions: Option<PathBuf>,
    /// Draw a bar chart of the training steps to this file
    #[arg(long, value_name = "PATH")]
    svg: Option<PathBuf>,
}

/// Measures, prints the table and writes the requested files.
pub fn run(args: &BackendArgs) -> Result<(), String> {
    let worker = Worker::new(worker_program(args)?);
    let listing = worker.list()?;
    let devices = or_all(&args.backends, &listing.devices);
    let models = or_all(&args.models, &listing.models);
    if let Some(model) = models.iter().find(|model| !listing.models.contains(model)) {
        let known = listing.models.join(", ");
        return Err(format!("there is no network `{model}`: there are {known}"));
    }
    let mut results = match (&args.json, args.resume) {
        (Some(path), true) if path.exists() => read(path)?,
        _ => Results::new(),
    };
    // Measure all devices of a network before the next network, so that neighbouring rows were measured at about the same time.
    let requests = models.iter().flat_map(|model| {
        devices.iter().map(|device| Request {
            device: device.clone(),
            model: model.clone(),
            batch: args.batch,
            threads: args.threads,
            rounds: args.rounds,
        })
    });
    let requests: Vec<Request> = requests.collect();
    measure(args, &worker, &requests, &mut results)?;
    results.retain_in_order(&requests);
    let text = table::markdown(&results);
    print!("{text}");
    if let Some(path) = &args.markdown {
        write(path, &text)?;
    }
    if let Some(path) = &args.predictions {
        write(path, &table::predictions(&results))?;
    }
    if let Some(path) = &args.svg {
        write(path, &chart::svg(&results))?;
    }
    Ok(())
}

/// Measures the missing rows, with a line on standard error before and after each.
fn measure(
    args: &BackendArgs,
    worker: &Worker,
    requests: &[Request],
    results: &mut Results,
) -> Result<(), String> {
    let missing: Vec<&Request> = requests
        .iter()
        .filter(|request| !results.has(request))
        .collect();
    let limit = Duration::from_secs(args.limit);
    let began = Instant::now();
    for (done, request) in missing.iter().enumerate() {
        let left = missing.len() - done;
        eprintln!(
            "{}/{} {} on {}; {}",
            done + 1,
            missing.len(),
            request.model,
            request.device,
            time_left(done, left, began.elapsed(), limit)
        );
        let row = worker.measure(request, limit)?;
        eprintln!("    {}", table::summary(&row));
        results.put(row);
        if let Some(path) = &args.json {
            let text = serde_json::to_string_pretty(results).map_err(|error| error.to_string())?;
            write(path, &(text + "\n"))?;
        }
    }
    Ok(())
}

/// Estimated and longest possible remaining time.
fn time_left(done: usize, left: usize, elapsed: Duration, limit: Duration) -> String {
    let most = duration(limit.as_secs_f64() * left as f64);
    if done == 0 {
        return format!("at most {most} in all");
    }
    let likely = elapsed.as_secs_f64() / done as f64 * left as f64;
    format!("about {} left, at most {most}", duration(likely))
}

fn or_all(requested: &[String], all: &[String]) -> Vec<String> {
    if requested.is_empty() { all } else { requested }.to_vec()
}

/// The path of the worker; builds it if necessary.
fn worker_program(args: &BackendArgs) -> Result<PathBuf, String> {
    if let Some(path) = &args.worker {
        return Ok(path.clone());
    }
    if args.no_build {
        return program::built("bench-backend");
    }
    let features = features(&args.backends, &args.features).join(",");
    program::build_bench_backend(&features)
}

/// The features for these devices, and further ones. Each backend has a feature of the same name.
fn features(devices: &[String], further: &[String]) -> Vec<String> {
    let backends = devices.iter().map(|device| device.split(':').next());
    let mut all: Vec<String> = backends.flatten().map(str::to_owned).collect();
    if devices.is_empty() {
        all.extend(PORTABLE.map(str::to_owned));
    }
    // `auto` is no backend.
    all.retain(|feature| feature != "auto");
    all.extend(further.iter().cloned());
    all.sort();
    all.dedup();
    all
}

fn read(path: &Path) -> Result<Results, String> {
    let at_path = |error: String| format!("{}: {error}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| at_path(error.to_string()))?;
    serde_json::from_str(&text).map_err(|error| at_path(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worker_is_built_with_the_backends_of_the_devices_named() {
        let names = |names: &[&str]| names.iter().map(|&n| n.to_owned()).collect::<Vec<_>>();
        let devices = names(&["wgpu:cpu", "cuda:0", "cuda:1", "flex"]);
        assert_eq!(
            features(&devices, &names(&["remote"])),
            ["cuda", "flex", "remote", "wgpu"]
        );
        assert_eq!(features(&[], &[]), PORTABLE);
    }

    #[test]
    fn the_remaining_time_is_estimated_from_the_finished_rows() {
        let (ten, minute) = (Duration::from_secs(10), Duration::from_secs(60));
        assert_eq!(time_left(0, 3, ten, minute), "at most 3 min in all");
        assert_eq!(
            time_left(2, 4, ten, minute),
            "about 20 s left, at most 4 min"
        );
    }

    #[test]
    fn results_can_be_read_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("made/rows.json");
        let results = table::tests::results();
        let text = serde_json::to_string_pretty(&results).expect("plain values");
        write(&path, &text).expect("it can be written");
        assert_eq!(read(&path), Ok(results));
    }
}

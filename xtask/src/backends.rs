//! What the networks take on every backend: `cargo xtask bench-backends`.
//!
//! A process measures one network on one device, so that one that crashes, hangs or refuses is a row that says so and not the end
//! of the table. Rows are kept as they come; an interrupted measurement goes on with `--resume`.

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
use row::{Asked, Recorded};
use worker::Worker;

/// What is built where no backend is named: what needs no toolkit besides Rust.
const PORTABLE: [&str; 3] = ["flex", "ndarray", "wgpu"];

/// What is measured, how.
#[derive(Debug, Args)]
pub struct BackendArgs {
    /// Devices to measure, as `dnw --device` takes them, such as flex,wgpu:cpu,cuda:0 [default: one of each backend that the worker
    /// was built with and finds]
    #[arg(long, value_delimiter = ',', value_name = "DEVICES")]
    backends: Vec<String>,
    /// Networks to measure [default: all]
    #[arg(long, value_delimiter = ',', value_name = "NETWORKS")]
    models: Vec<String>,
    /// Images in a batch [default: the network's own]
    #[arg(long, value_name = "N")]
    batch: Option<usize>,
    /// Threads that compute on the CPU [default: one per core]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// How often each thing is measured after its first time; fewer where that takes more than 45 seconds
    #[arg(long, default_value_t = 20, value_name = "N")]
    rounds: usize,
    /// Seconds that a network may take on a device, everything included, before it is ended
    #[arg(long, default_value_t = 600, value_name = "SECONDS")]
    limit: u64,
    /// Features that the worker is built with besides those of the devices named
    #[arg(long, value_delimiter = ',', value_name = "FEATURES")]
    features: Vec<String>,
    /// Build nothing: the worker is there already
    #[arg(long)]
    no_build: bool,
    /// A worker (`bench-backend`) built elsewhere; nothing is built then
    #[arg(long, value_name = "PATH")]
    worker: Option<PathBuf>,
    /// Keep everything measured in this file, as JSON, written anew after each row
    #[arg(long, value_name = "PATH")]
    json: Option<PathBuf>,
    /// Take what the JSON file already has of the same settings, and measure the rest
    #[arg(long, requires = "json")]
    resume: bool,
    /// Write the table to this file as well
    #[arg(long, value_name = "PATH")]
    markdown: Option<PathBuf>,
    /// Write to this file what the model of costs predicts, beside what was measured
    #[arg(long, value_name = "PATH")]
    predictions: Option<PathBuf>,
    /// Draw training steps as bars to this file
    #[arg(long, value_name = "PATH")]
    svg: Option<PathBuf>,
}

/// Measures, prints the table, writes what is asked for.
pub fn run(args: &BackendArgs) -> Result<(), String> {
    let worker = Worker::new(program_of(args)?);
    let listing = worker.list()?;
    let devices = or(&args.backends, &listing.devices);
    let models = or(&args.models, &listing.models);
    if let Some(model) = models.iter().find(|model| !listing.models.contains(model)) {
        let known = listing.models.join(", ");
        return Err(format!("there is no network `{model}`: there are {known}"));
    }
    let mut recorded = match (&args.json, args.resume) {
        (Some(path), true) if path.exists() => read(path)?,
        _ => Recorded::here(),
    };
    // All devices of a network before the next network, so that what stands side by side was measured side by side.
    let asked = models.iter().flat_map(|model| {
        devices.iter().map(|device| Asked {
            device: device.clone(),
            model: model.clone(),
            batch: args.batch,
            threads: args.threads,
            rounds: args.rounds,
        })
    });
    let asked: Vec<Asked> = asked.collect();
    measure(args, &worker, &asked, &mut recorded)?;
    recorded.keep_in_order(&asked);
    let text = table::markdown(&recorded);
    print!("{text}");
    if let Some(path) = &args.markdown {
        write(path, &text)?;
    }
    if let Some(path) = &args.predictions {
        write(path, &table::predictions(&recorded))?;
    }
    if let Some(path) = &args.svg {
        write(path, &chart::svg(&recorded))?;
    }
    Ok(())
}

/// Measures what is not there yet, with a line on standard error before and after each.
fn measure(
    args: &BackendArgs,
    worker: &Worker,
    asked: &[Asked],
    recorded: &mut Recorded,
) -> Result<(), String> {
    let missing: Vec<&Asked> = asked
        .iter()
        .filter(|asked| !recorded.has_measured(asked))
        .collect();
    let limit = Duration::from_secs(args.limit);
    let began = Instant::now();
    for (done, asked) in missing.iter().enumerate() {
        let left = missing.len() - done;
        eprintln!(
            "{}/{} {} on {}; {}",
            done + 1,
            missing.len(),
            asked.model,
            asked.device,
            time_left(done, left, began.elapsed(), limit)
        );
        let row = worker.measure(asked, limit)?;
        eprintln!("    {}", table::in_short(&row));
        recorded.put(row);
        if let Some(path) = &args.json {
            let text = serde_json::to_string_pretty(recorded).map_err(|error| error.to_string())?;
            write(path, &(text + "\n"))?;
        }
    }
    Ok(())
}

/// Estimated and longest possible time of the rest.
fn time_left(done: usize, left: usize, elapsed: Duration, limit: Duration) -> String {
    let most = duration(limit.as_secs_f64() * left as f64);
    if done == 0 {
        return format!("at most {most} in all");
    }
    let likely = elapsed.as_secs_f64() / done as f64 * left as f64;
    format!("about {} left, at most {most}", duration(likely))
}

fn or(asked: &[String], all: &[String]) -> Vec<String> {
    if asked.is_empty() { all } else { asked }.to_vec()
}

/// Where the worker is, built if it has to be.
fn program_of(args: &BackendArgs) -> Result<PathBuf, String> {
    if let Some(path) = &args.worker {
        return Ok(path.clone());
    }
    if args.no_build {
        return program::built("bench-backend");
    }
    let features = features(&args.backends, &args.features).join(",");
    program::build_with(&[
        "-p",
        "dnw-benches",
        "--bin",
        "bench-backend",
        "--features",
        &features,
    ])
}

/// The features that these devices and the further ones ask for. Each backend is a feature of its own name.
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

fn read(path: &Path) -> Result<Recorded, String> {
    let said = |error: String| format!("{}: {error}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| said(error.to_string()))?;
    serde_json::from_str(&text).map_err(|error| said(error.to_string()))
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
    fn what_is_left_is_told_by_what_was_done() {
        let (ten, minute) = (Duration::from_secs(10), Duration::from_secs(60));
        assert_eq!(time_left(0, 3, ten, minute), "at most 3 min in all");
        assert_eq!(
            time_left(2, 4, ten, minute),
            "about 20 s left, at most 4 min"
        );
    }

    #[test]
    fn what_was_recorded_is_read_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("made/rows.json");
        let recorded = table::tests::recorded();
        let text = serde_json::to_string_pretty(&recorded).expect("plain values");
        write(&path, &text).expect("it can be written");
        assert_eq!(read(&path), Ok(recorded));
    }
}

//! How many kernels a training step launches, and how many bytes they move: `cargo xtask gpu-traffic`.
//!
//! A Vulkan layer counts them (`benches/gpu-check/traffic_layer.cpp`), so that the numbers are those of the driver's interface. They do not depend
//! on the GPU, and a software adapter is enough.

mod table;
mod traffic;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::files::write;
use crate::peers::peer::Peer;
use crate::program;
use clap::Args;
use table::Row;
use traffic::{Counts, Traffic};

/// Networks that are counted by default, with the batches of `bench-backends`.
const NETWORKS: [&str; 3] = ["tiny-static", "mobilenet", "resnet50"];
/// Steps that are counted.
const STEPS: usize = 3;
/// How long the layer may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is counted.
#[derive(Debug, Args)]
pub struct TrafficArgs {
    /// Networks [default: tiny-static, mobilenet, resnet50]
    #[arg(long, value_delimiter = ',', value_name = "NETWORKS")]
    models: Vec<String>,
    /// The device
    #[arg(long, default_value = "wgpu:cpu")]
    device: String,
    /// A worker (`bench-backend`) built elsewhere; nothing is built then
    #[arg(long, value_name = "PATH")]
    worker: Option<PathBuf>,
    /// Write the counts to this file, as JSON
    #[arg(long, value_name = "PATH")]
    json: Option<PathBuf>,
    /// Counts of an earlier version, to print beside these
    #[arg(long, value_name = "PATH")]
    before: Option<PathBuf>,
    /// Write the table to this file as well
    #[arg(long, value_name = "PATH")]
    markdown: Option<PathBuf>,
}

/// Counts and prints the table.
pub fn run(args: &TrafficArgs) -> Result<(), String> {
    let worker = match &args.worker {
        Some(path) => path.clone(),
        None => program::build_bench_backend("wgpu")?,
    };
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    compile(folder.path())?;
    let models: Vec<String> = match args.models.as_slice() {
        [] => NETWORKS.map(str::to_owned).into(),
        models => models.to_vec(),
    };
    let before: Vec<Row> = match &args.before {
        Some(path) => {
            let text = std::fs::read_to_string(path);
            let text = text.map_err(|error| format!("{}: {error}", path.display()))?;
            serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?
        }
        None => Vec::new(),
    };
    let mut rows = Vec::new();
    for model in &models {
        let traffic = count(&worker, &args.device, model, folder.path())?;
        let output = Command::new(&worker)
            .args(["flex", model, "--bounds"])
            .output();
        let output = output.map_err(|error| error.to_string())?;
        let bounds = serde_json::from_slice(&output.stdout)
            .map_err(|error| format!("the worker did not count {model}: {error}"))?;
        rows.push(Row { bounds, traffic });
        eprintln!("{model}: {traffic:?}");
        if let Some(path) = &args.json {
            let text = serde_json::to_string_pretty(&rows).map_err(|error| error.to_string())?;
            write(path, &(text + "\n"))?;
        }
    }
    let text = table::markdown(&rows, &before);
    print!("{text}");
    match &args.markdown {
        Some(path) => write(path, &text),
        None => Ok(()),
    }
}

/// Compiles the layer and describes it to the Vulkan loader.
fn compile(folder: &Path) -> Result<(), String> {
    let library = folder.join("libtraffic.so");
    let compiler = std::env::var("CXX").unwrap_or_else(|_| "c++".into());
    let done = Command::new(&compiler)
        .args(["-std=c++17", "-O1", "-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(program::root().join("benches/gpu-check/traffic_layer.cpp"))
        .status();
    match done {
        Ok(status) if status.success() => {}
        Ok(_) => return Err("the layer does not compile: install libvulkan-dev".into()),
        Err(error) => return Err(format!("{compiler} cannot be run: {error}")),
    }
    let description = serde_json::json!({
        "file_format_version": "1.2.0",
        "layer": {
            "name": "VK_LAYER_DNW_traffic",
            "type": "GLOBAL",
            "library_path": library,
            "api_version": "1.3.0",
            "implementation_version": "1",
            "description": "counts launches and bytes",
        },
    });
    write(&folder.join("traffic.json"), &description.to_string())
}

fn count(worker: &Path, device: &str, model: &str, folder: &Path) -> Result<Traffic, String> {
    let counts = folder.join("counts");
    let mut command = Command::new(worker);
    command
        .args([device, model, "--answer"])
        .env("VK_LAYER_PATH", folder)
        .env("VK_INSTANCE_LAYERS", "VK_LAYER_DNW_traffic")
        .env("DNW_TRAFFIC", &counts);
    if device.ends_with(":cpu") && std::env::var_os("CUBECL_AUTOTUNE_LEVEL").is_none() {
        command.env("CUBECL_AUTOTUNE_LEVEL", "minimal");
    }
    let mut peer = Peer::start(model, &mut command)?;
    // A request makes one step more than it times. The first steps compile and tune kernels, and make velocities.
    peer.times(2)?;
    let before = ask(&counts)?;
    peer.times(STEPS - 1)?;
    let after = ask(&counts)?;
    if after.launches == before.launches {
        return Err(format!(
            "{device} launched no kernels through Vulkan: name a graphics adapter"
        ));
    }
    Ok(Traffic::of_a_step(before, after, STEPS))
}

/// What was counted so far.
fn ask(counts: &Path) -> Result<Traffic, String> {
    let ask = counts.with_extension("ask");
    write(&ask, "")?;
    let began = Instant::now();
    while ask.exists() {
        if began.elapsed() > PATIENCE {
            return Err("the layer does not answer: is the Vulkan loader in use?".into());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let text = std::fs::read_to_string(counts).map_err(|error| error.to_string())?;
    let counts: Counts = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    Ok(counts.total())
}

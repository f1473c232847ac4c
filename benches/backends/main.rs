//! `bench-backend`: measures one network on one device and prints the results as a JSON object.
//!
//! A process measures one pair of network and device, so that a driver that crashes or hangs affects nothing else; `cargo xtask
//! bench-backends` starts one per pair and prints the table. With `--answer` it runs training steps on request; `cargo xtask
//! bench-peers` uses this to measure it alternately with its peers.

#![recursion_limit = "256"]

mod devices;
mod failure;
mod measure;
mod memory;
mod multiply_adds;
mod rates;
mod workload;

use std::process::ExitCode;

use clap::Parser;
use dnw_device::DeviceName;
use dnw_device::guard::guarded;

use failure::Failure;
use workload::Workload;

// The allocator of `dnw`, so that measurements apply to it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measure one network on one device.
#[derive(Debug, Parser)]
struct Args {
    /// The device, as in `dnw --device`
    #[arg(required_unless_present = "list")]
    device: Option<DeviceName>,
    /// The network
    #[arg(required_unless_present = "list")]
    model: Option<Workload>,
    /// Images in a batch [default: the network's own]
    #[arg(long)]
    batch: Option<usize>,
    /// CPU threads [default: one per core]
    #[arg(long)]
    threads: Option<usize>,
    /// Rounds of each measurement after the first; at least three, because the loss is compared after three steps
    #[arg(long, default_value_t = 20)]
    rounds: usize,
    /// Time limit of each measurement in seconds, once three rounds are done
    #[arg(long, default_value_t = 45.0)]
    patience: f64,
    /// Only run training steps on request: each line of standard input is a number of steps, each answer a line with their durations
    #[arg(long, conflicts_with_all = ["rounds", "patience"])]
    answer: bool,
    /// Print the devices and networks that can be measured and exit
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let done = guarded(|| run(&args)).map_err(Failure);
    match done.and_then(|done| done) {
        Ok(json) => {
            if let Some(json) = json {
                println!("{json}");
            }
            ExitCode::SUCCESS
        }
        Err(Failure(message)) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the program. Returns the output, unless it is already printed.
fn run(args: &Args) -> Result<Option<String>, Failure> {
    let (Some(device), Some(model)) = (&args.device, args.model) else {
        return Ok(Some(serde_json::to_string(&devices::list())?));
    };
    let threads = args.threads.unwrap_or_else(cores);
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global()?;
    let plan = measure::Plan {
        device,
        workload: model,
        batch: args.batch.unwrap_or(model.batch()),
        threads,
        rounds: args.rounds.max(measure::LOSS_AFTER),
        patience: args.patience,
    };
    if args.answer {
        measure::answer(&plan)?;
        return Ok(None);
    }
    Ok(Some(serde_json::to_string(&measure::measure(&plan)?)?))
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

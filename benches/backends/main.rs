//! `bench-backend`: measures one network on one device and prints what it found as a JSON object.
//!
//! A process measures one pair, so that a driver that crashes or hangs takes nothing else with it; `cargo xtask bench-backends`
//! starts one for each and makes the table. With `--answer` it stays and makes training steps as it is asked to, which is how
//! `cargo xtask bench-peers` measures it in turn with its peers.

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

// As `dnw` does, so that what is measured is what its users get.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measure one network on one device.
#[derive(Debug, Parser)]
struct Args {
    /// The device, as `dnw --device` takes it
    #[arg(required_unless_present = "list")]
    device: Option<DeviceName>,
    /// The network
    #[arg(required_unless_present = "list")]
    model: Option<Workload>,
    /// Images in a batch [default: the network's own]
    #[arg(long)]
    batch: Option<usize>,
    /// Threads that compute on the CPU [default: one per core]
    #[arg(long)]
    threads: Option<usize>,
    /// How often each thing is measured after its first time; at least three, so that there is a loss after as many updates
    #[arg(long, default_value_t = 20)]
    rounds: usize,
    /// Measure a thing no longer than about this, seconds, even if it leaves three rounds
    #[arg(long, default_value_t = 45.0)]
    patience: f64,
    /// Only make training steps, as they are asked for: a line of standard input is a number of steps, its answer a line that says how
    /// long each took
    #[arg(long, conflicts_with_all = ["rounds", "patience"])]
    answer: bool,
    /// Print the devices and networks that this program can measure here, and end
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

/// What is to be printed, if it is not printed yet.
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

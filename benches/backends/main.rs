//! `bench-backend`: measures one network on one device and prints the results as JSON.
//!
//! A process measures one pair of network and device, so that a driver that crashes or hangs affects nothing else; `cargo xtask
//! bench-backends` starts one per pair and prints the table. With `--answer` it runs training steps on request; `cargo xtask
//! bench-peers` uses this to measure it alternately with its peers. The other modes answer what `cargo xtask gpu-check` asks of a
//! GPU; they are modes of this program because each program with Burn's backends has 150 MB.

#![recursion_limit = "256"]

mod bounds;
mod conformance;
mod devices;
mod failure;
mod launches;
mod losses;
mod measure;
mod memory;
mod multiply_adds;
mod rates;
mod selection;
mod workload;

use std::process::ExitCode;

use clap::Parser;
use dnw_device::DeviceName;
use dnw_device::guard::guarded;
use dnw_train::training::Precision;

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
    #[arg(required_unless_present_any = ["list", "selection", "conformance"])]
    model: Option<Workload>,
    /// Images in a batch [default: the network's own]
    #[arg(long)]
    batch: Option<usize>,
    /// Height and width of the images, for MobileNetV1 and ResNet-50 [default: the network's own]
    #[arg(long, value_name = "PIXELS")]
    image: Option<usize>,
    /// In which numbers the network is computed: f32, f16, bf16, mixed
    #[arg(long, default_value_t, value_name = "TYPE")]
    precision: Precision,
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
    #[arg(long, group = "mode", conflicts_with_all = ["rounds", "patience"])]
    answer: bool,
    /// Only print the loss of each of so many training steps
    #[arg(long, group = "mode", value_name = "STEPS")]
    losses: Option<usize>,
    /// Only count and time the kernel launches of so many training steps, by kernel; on GPUs
    #[arg(long, group = "mode", value_name = "STEPS")]
    launches: Option<usize>,
    /// Only count what a training step has to compute and to move
    #[arg(long, group = "mode")]
    bounds: bool,
    /// Only measure the selection of one edge in twenty among so many weights
    #[arg(long, group = "mode", value_name = "WEIGHTS", conflicts_with = "model")]
    selection: Option<usize>,
    /// Only check the device with the conformance suite: a line of JSON per case
    #[arg(long, group = "mode", conflicts_with = "model")]
    conformance: bool,
    /// Leave out so many cases of the conformance suite, such as those before a crash of the driver
    #[arg(
        long,
        default_value_t = 0,
        value_name = "CASES",
        requires = "conformance"
    )]
    skip: usize,
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
    let threads = args.threads.unwrap_or_else(cores);
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global()?;
    let Some(device) = &args.device else {
        return Ok(Some(serde_json::to_string(&devices::list())?));
    };
    if args.conformance {
        conformance::check(device, args.skip, &mut std::io::stdout())?;
        return Ok(None);
    }
    if let Some(weights) = args.selection {
        let found = selection::measure(device, weights, args.rounds, args.patience)?;
        return Ok(Some(serde_json::to_string(&found)?));
    }
    let Some(model) = args.model else {
        return Ok(Some(serde_json::to_string(&devices::list())?));
    };
    let plan = measure::Plan {
        device,
        workload: model,
        batch: args.batch.unwrap_or(model.batch()),
        image: model.image(args.image)?,
        precision: args.precision,
        threads,
        rounds: args.rounds.max(measure::LOSS_AFTER),
        patience: args.patience,
    };
    let found = match (args.losses, args.launches) {
        _ if args.answer => {
            measure::answer(&plan)?;
            return Ok(None);
        }
        _ if args.bounds => serde_json::to_string(&bounds::bounds(&plan)?)?,
        (Some(steps), _) => serde_json::to_string(&losses::losses(&plan, steps)?)?,
        (_, Some(steps)) => serde_json::to_string(&launches::count(&plan, steps)?)?,
        _ => serde_json::to_string(&measure::measure(&plan)?)?,
    };
    Ok(Some(found))
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

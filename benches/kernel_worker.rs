//! `bench-kernel`: measures kernels, the selection of edges and the limits of the machine, as it is asked to.
//!
//! It uses the protocol of [`dnw_benches::dialogue`]; `cargo xtask bench-peers` measures it alternately with its peers.

use std::io::{stdin, stdout};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use dnw_benches::dialogue::{Times, answer};
use dnw_benches::products::{Bench, Case, Compared, cases};
use dnw_benches::random_values;
use dnw_benches::roofline::roofline;
use dnw_benches::selection::select;
use serde::Serialize;

// The allocator of `dnw`, so that measurements apply to it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measure parts of a training step.
#[derive(Debug, Parser)]
struct Args {
    #[command(subcommand)]
    what: What,
    /// Threads [default: one per core]
    #[arg(long, global = true, default_value_t = cores())]
    threads: usize,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Print the limits of the machine and exit
    Roofline,
    /// Select the largest of some weights, as often as requested
    Selection {
        /// Weights
        #[arg(long, default_value_t = 640_000)]
        weights: usize,
        /// How many to select
        #[arg(long, default_value_t = 32_000)]
        edges: usize,
    },
    /// Compute every wired product and its dense equivalent alternately, as often as requested
    Products,
}

/// The first line of output.
#[derive(Serialize)]
struct Ready {
    threads: usize,
    cases: Vec<Case>,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), String> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(args.threads)
        .build_global()
        .map_err(|error| error.to_string())?;
    let ready = |cases| Ready {
        threads: args.threads,
        cases,
    };
    let (input, output) = (stdin().lock(), stdout().lock());
    match args.what {
        What::Roofline => {
            let found = serde_json::to_string(&roofline()).map_err(|error| error.to_string())?;
            println!("{found}");
            Ok(())
        }
        What::Selection { weights, edges } => {
            if edges > weights {
                return Err(format!("cannot select {edges} of {weights} weights"));
            }
            let (values, mut real) = (random_values(3, weights), vec![0; weights.div_ceil(64)]);
            answer(&ready(Vec::new()), input, output, |times| {
                Times::of(times, || -> Result<(), String> {
                    std::hint::black_box(select(&values, edges, &mut real));
                    Ok(())
                })
            })
        }
        What::Products => {
            let cases = cases();
            answer(&ready(cases.clone()), input, output, |times| {
                // One after the other, so that the memory is that of the largest case.
                let compare = |&case: &Case| Bench::new(case).compare(times);
                Ok::<Vec<Compared>, String>(cases.iter().map(compare).collect())
            })
        }
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

//! `dnw`: train a network's wiring together with its weights.

#![recursion_limit = "256"]

mod cli;

use std::process::ExitCode;

use clap::Parser;

// A step allocates and frees every activation. The system's allocator returns such blocks to the kernel each time, which took a third of a
// step on Linux.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match cli::run(cli::Cli::parse()) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            cli::note(failure.to_lines());
            ExitCode::FAILURE
        }
    }
}

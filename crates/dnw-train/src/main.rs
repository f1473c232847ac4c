//! `dnw`: discover a network's wiring together with its weights.

#![recursion_limit = "256"]

mod cli;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match cli::run(cli::Cli::parse()) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            eprintln!("{}", failure.to_lines());
            ExitCode::FAILURE
        }
    }
}

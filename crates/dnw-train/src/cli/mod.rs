//! The command line: what is asked for, and how it is answered.

mod args;
mod data;
mod failure;
mod inspect;
mod progress;
mod train;

pub use args::Cli;
pub use failure::Failure;

use args::{Command, ShellArgs};
use clap::CommandFactory;

/// Runs what was asked for; the exit code.
pub fn run(cli: Cli) -> Result<u8, Failure> {
    match cli.command {
        None => train::main_job(&cli.train),
        Some(Command::Train(args)) => train::train(&args),
        Some(Command::Eval(args)) => inspect::eval(&args),
        Some(Command::Report(args)) => inspect::report(&args),
        Some(Command::Compare(args)) => inspect::compare(&args),
        Some(Command::Recipes { name }) => inspect::recipes(name.as_deref()),
        Some(Command::Data(args)) => data::data(&args),
        Some(Command::Completions(ShellArgs { shell })) => {
            clap_complete::generate(shell, &mut Cli::command(), "dnw", &mut std::io::stdout());
            Ok(0)
        }
        Some(Command::Man) => {
            let page = clap_mangen::Man::new(Cli::command());
            page.render(&mut std::io::stdout()).map_err(|error| Failure::new(error, "look where the output goes"))?;
            Ok(0)
        }
    }
}

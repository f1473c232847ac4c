//! The command line interface.

mod args;
mod compiled;
mod compiled_args;
mod count;
mod data;
mod determinism;
mod device;
mod devices;
mod environment;
mod eval;
mod failure;
mod import_export;
mod inspect;
mod memory;
mod numbers;
mod output;
mod progress;
mod resume;
mod rules;
mod scaling;
mod serve;
mod stop;
mod train;
mod train_args;
mod train_result;
mod values;
mod watchdog;

pub use args::Cli;
pub use failure::Failure;
pub use output::note;

use args::{Command, ShellArgs};
use clap::CommandFactory;

/// Runs a command and returns the exit code.
pub fn run(cli: Cli) -> Result<u8, Failure> {
    // Without this check, a mistyped setting would only show in different results.
    dnw_kernels::settings::check()?;
    match cli.command {
        None => train::main_job(&cli.train),
        Some(Command::Train(args)) => train::train(&args),
        Some(Command::Eval(args)) => eval::eval(&args),
        Some(Command::Count(args)) => count::count(&args),
        Some(Command::Report(args)) => inspect::report(&args),
        Some(Command::Compare(args)) => inspect::compare(&args),
        Some(Command::Import(args)) => import_export::import(&args),
        Some(Command::Export(args)) => import_export::export(&args),
        Some(Command::Compile(args)) => compiled::compile(&args),
        Some(Command::Predict(args)) => compiled::predict(&args),
        Some(Command::Bench(args)) => compiled::bench(&args),
        Some(Command::Verify(args)) => compiled::verify(&args),
        Some(Command::Explain(args)) => compiled::explain(&args),
        Some(Command::Recipes { name }) => inspect::recipes(name.as_deref()),
        Some(Command::Rules { json }) => rules::rules(json),
        Some(Command::Data(args)) => data::data(&args),
        Some(Command::Devices { json }) => devices::devices(json),
        Some(Command::Serve(args)) => serve::serve(&args),
        Some(Command::Probe { backend }) => devices::probe(&backend),
        Some(Command::Completions(ShellArgs { shell })) => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "dnw", &mut script);
            output::print_bytes(&script)?;
            Ok(0)
        }
        Some(Command::Man { command }) => manual(command.as_deref()),
    }
}

/// Prints the manual page of the program or of a command.
fn manual(command: Option<&str>) -> Result<u8, Failure> {
    let program = Cli::command();
    let described = match command {
        None => program,
        Some(name) => {
            let known: Vec<&str> = program
                .get_subcommands()
                .map(clap::Command::get_name)
                .collect();
            let found = program.find_subcommand(name).cloned();
            let found = found.ok_or_else(|| {
                Failure::new(
                    format!("there is no command `{name}`"),
                    format!("there are {}", known.join(", ")),
                )
            })?;
            found
                .display_name(format!("dnw-{name}"))
                .bin_name(format!("dnw {name}"))
        }
    };
    let mut page = Vec::new();
    let rendered = clap_mangen::Man::new(described).render(&mut page);
    rendered.map_err(|error| Failure::new(error, "see `dnw --help`"))?;
    output::print_bytes(&page)?;
    Ok(0)
}

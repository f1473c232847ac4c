//! Checks and measurements on a machine with a GPU, by one packed command: `cargo xtask gpu-check`.
//!
//! `--pack` makes a folder that needs neither Rust nor a network where it runs; `--table` makes tables of what it wrote there.

mod elf;
mod lines;
mod pack;
mod table;

use std::path::PathBuf;

use clap::Args;

use crate::files::write;

/// What to do.
#[derive(Debug, Args)]
pub struct GpuCheckArgs {
    /// Pack everything that the other machine needs into this folder; `OUT=results bash DIR/run.sh` runs it there
    #[arg(long, value_name = "DIR", required_unless_present = "table")]
    pack: Option<PathBuf>,
    /// Backends to pack, a program each [default: wgpu and vulkan]
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "BACKENDS",
        requires = "pack"
    )]
    backends: Vec<String>,
    /// A `bench-backend` that is built already, as wgpu=PATH; that backend is not built then
    #[arg(long, value_name = "BACKEND=PATH", requires = "pack")]
    program: Vec<String>,
    /// Print the tables of what `run.sh` wrote into this folder
    #[arg(long, value_name = "OUT", conflicts_with = "pack")]
    table: Option<PathBuf>,
    /// Write the tables to this file as well
    #[arg(long, value_name = "PATH", requires = "table")]
    markdown: Option<PathBuf>,
}

/// Packs, or prints tables.
pub fn run(args: &GpuCheckArgs) -> Result<(), String> {
    if let Some(folder) = &args.pack {
        return pack::pack(folder, &args.backends, &args.program);
    }
    let Some(folder) = &args.table else {
        return Ok(());
    };
    let text = table::markdown(&lines::read(folder)?);
    print!("{text}");
    match &args.markdown {
        Some(path) => write(path, &text),
        None => Ok(()),
    }
}

//! Tasks of this repository: `cargo xtask --help`.

mod backends;
mod files;
mod gpu_check;
mod gpu_traffic;
mod kill_and_resume;
mod machine;
mod mnist;
mod models;
mod peers;
mod pictures;
mod program;
mod rules;
mod study;
mod text;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Tasks of this repository.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
struct Xtask {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Train the runs behind docs/mnist.md and draw its tables and plots; finished runs are not trained again
    MnistStudy(study::StudyArgs),
    /// Train every rule on the MNIST network and write the table of docs/rules.md; finished runs are not trained again
    RulesStudy(study::StudyArgs),
    /// Train every model of the paper for a short while on CIFAR-10 and write the table of docs/models.md
    ModelsStudy(study::StudyArgs),
    /// Measure the networks on every backend, each pair in a process of its own with a time limit
    BenchBackends(backends::BackendArgs),
    /// Measure training steps and selections of edges in turn with PyTorch, wired products in turn with dense ones, compiled
    /// networks in turn with ONNX Runtime
    BenchPeers(peers::PeerArgs),
    /// Pack checks and measurements for a machine with a GPU, or print the tables of its results
    GpuCheck(gpu_check::GpuCheckArgs),
    /// Count the kernel launches of training steps and the bytes that they move, on a graphics adapter
    GpuTraffic(gpu_traffic::TrafficArgs),
    /// Kill trainings at random instants, resume them, and compare every byte with runs without a pause
    KillAndResume(kill_and_resume::KillArgs),
    /// Draw the README's pictures from a run of the main job
    Pictures(pictures::PictureArgs),
}

fn main() -> ExitCode {
    let result = match Xtask::parse().task {
        Task::MnistStudy(args) => study::run(&mnist::study(), &args),
        Task::ModelsStudy(args) => models::table(&args),
        Task::RulesStudy(args) => rules::table(&args),
        Task::BenchBackends(args) => backends::run(&args),
        Task::BenchPeers(args) => peers::run(&args),
        Task::GpuCheck(args) => gpu_check::run(&args),
        Task::GpuTraffic(args) => gpu_traffic::run(&args),
        Task::KillAndResume(args) => kill_and_resume::run(&args),
        Task::Pictures(args) => pictures::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

//! Options of a training.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum, value_parser};
use dnw_train::checkpoints::{CheckpointEvery, CheckpointPolicy};
use dnw_train::divergence::OnDivergence;
use dnw_train::training::Precision;

use super::values::{DEVICE_HELP, path_or_nothing};

/// The largest integer in TOML.
const MAX_IN_TOML: u64 = i64::MAX as u64;

/// Parses the name of a precision.
fn precision() -> impl TypedValueParser<Value = Precision> {
    let names = PossibleValuesParser::new(Precision::ALL.map(Precision::name));
    names.try_map(|name| name.parse::<Precision>())
}

/// Parses the name of a choice.
fn on_divergence() -> impl TypedValueParser<Value = OnDivergence> {
    let names = PossibleValuesParser::new(OnDivergence::ALL.map(OnDivergence::name));
    names.try_map(|name| name.parse::<OnDivergence>())
}

/// Options of `dnw train`.
#[derive(Clone, Debug, Args)]
pub struct TrainArgs {
    /// The recipe: a name (`dnw recipes` lists them), or a TOML file that says in `from` which recipe it changes [default: digits]
    pub recipe: Option<String>,
    /// The settings.
    #[command(flatten)]
    pub settings: TrainSettings,
}

/// Settings of a training.
#[derive(Clone, Debug, Args)]
pub struct TrainSettings {
    /// Change a key of the recipe, such as wiring.density=0.05; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// The folder with the data set's files
    #[arg(long, env = "DNW_DATA", value_name = "DIR", value_parser = path_or_nothing())]
    pub data: Option<PathBuf>,
    /// The run folder, which must be absent or empty [default: the next free runs/RECIPE-N]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Continue the run in this folder, however it was stopped
    ///
    /// It goes on from its last checkpoint, with the recipe, data, devices and precision that it began with, and its result is that of a run
    /// without a pause, to the bit. A recipe, seed or change that is also given must be that of the run.
    #[arg(long, value_name = "RUN", conflicts_with_all = ["out", "dry_run"])]
    pub resume: Option<PathBuf>,
    /// With `--resume`: continue although the program, its settings or the machine are others, so that bits may differ
    #[arg(long, requires = "resume")]
    pub accept_other_bits: bool,
    /// How often a checkpoint is written: auto, or a number with a unit, such as 10min, 500steps, 2epochs [default: auto]
    ///
    /// `auto` is as often as possible at half a per cent of the time, at least every 10 minutes.
    #[arg(long, value_name = "INTERVAL")]
    pub checkpoint_every: Option<CheckpointEvery>,
    /// How many checkpoints are kept while the run goes on, the newest [default: 2]
    #[arg(long, value_name = "N")]
    pub keep: Option<NonZeroUsize>,
    /// What to do when the training diverges, that is when a loss, gradient or weight is not finite: stop, roll-back [default: stop]
    ///
    /// roll-back goes back to the end of the last epoch, or to the start, halves the learning rate for the rest of the run, and goes on. It
    /// stops with the error if five roll backs in a row do not get past the update that failed. It writes a checkpoint after each epoch.
    #[arg(long, value_name = "WHAT", value_parser = on_divergence())]
    pub on_divergence: Option<OnDivergence>,
    /// Seed of the weights, the order of the data and the augmentation
    #[arg(long, value_name = "N", value_parser = value_parser!(u64).range(..=MAX_IN_TOML))]
    pub seed: Option<u64>,
    /// Epochs: passes over the training images
    #[arg(long, value_name = "N")]
    pub epochs: Option<u64>,
    /// The device: auto, flex, ndarray, wgpu[:KIND], vulkan[:KIND], metal, cuda[:N], rocm[:N], libtorch, remote:ADDRESS
    #[arg(long, default_value = "auto", value_name = "NAME", long_help = DEVICE_HELP)]
    pub device: String,
    /// End when nothing has happened for this many seconds and a server, as in `--device remote:ws://ADDRESS`, no longer answers [default: 30]
    ///
    /// A server that answers is only slow. One that has ended is noticed at once, and one over Iroh that is silent after 30 seconds.
    #[arg(long, value_name = "SECONDS", value_parser = value_parser!(u64).range(1..=86_400))]
    pub remote_timeout: Option<u64>,
    /// Several devices that share each batch, such as cuda:0,cuda:1
    ///
    /// Each computes the gradients of its share. Their mean updates and rewires one model, on the first device, which the others copy for the
    /// next batch. A device may be named twice.
    #[arg(
        long,
        value_name = "NAME,NAME",
        value_delimiter = ',',
        conflicts_with = "device"
    )]
    pub devices: Vec<String>,
    /// Compute at most this many images at once, for devices with little memory
    ///
    /// The gradients of the parts of a batch are added up: the updates equal those of whole batches, except that batch norms use the statistics
    /// of each part. Needs the memory of a batch of N images.
    #[arg(long, value_name = "N", value_parser = value_parser!(u64).range(1..))]
    pub micro_batch: Option<u64>,
    /// The precision of the forward and backward pass: f32, f16, bf16, mixed
    ///
    /// Weights, optimizer, selection of edges and evaluations stay in f32. f16 scales the loss so that small gradients are not lost. mixed uses
    /// bf16, or f16 if the device does not support it, and keeps norms in f32. Faster on GPUs, slower on
    /// CPUs.
    #[arg(long, value_name = "TYPE", default_value = "f32", value_parser = precision())]
    pub precision: Precision,
    /// Refuse what does not have the same bits on every machine
    ///
    /// docs/determinism.md says what has. Without this option such trainings have the same bits too; others then start all the same.
    #[arg(long)]
    pub deterministic: bool,
    /// CPU threads [default: one per core]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// The implementation of operations
    #[arg(long, value_enum, value_name = "WHICH", default_value = "fastest")]
    pub kernels: KernelOption,
    /// Print the time of a training step, part by part
    ///
    /// Writes two files to the run folder: `profile.txt` with the table, and `profile.folded` with folded stacks for flamegraph.pl, inferno and
    /// speedscope. On a GPU each part waits for the GPU, which makes steps slower.
    #[arg(long)]
    pub profile: bool,
    /// Print the cost of the training and the resolved recipe, and stop
    #[arg(long)]
    pub dry_run: bool,
    /// Print the result as JSON on standard output
    #[arg(long)]
    pub json: bool,
    /// Print nothing but the result
    #[arg(long, short)]
    pub quiet: bool,
}

impl TrainSettings {
    /// The changes of the recipe, as `key=value`.
    pub fn changes(&self) -> Vec<String> {
        let mut changes = self.set.clone();
        changes.extend(self.seed.map(|seed| format!("seed={seed}")));
        changes.extend(self.epochs.map(|epochs| format!("epochs={epochs}")));
        changes
    }

    /// When checkpoints are written, and how many are kept.
    pub fn checkpoints(&self) -> CheckpointPolicy {
        let default = CheckpointPolicy::default();
        CheckpointPolicy {
            every: self.checkpoint_every.unwrap_or(default.every),
            keep: self.keep.unwrap_or(default.keep),
        }
    }
}

/// The implementation of operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum KernelOption {
    /// Kernels of this program, where the device has them
    Fastest,
    /// Plain tensors only, which is slow: to find out whether a kernel is wrong
    Reference,
}

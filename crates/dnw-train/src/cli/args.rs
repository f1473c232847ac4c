//! Commands and flags.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum, value_parser};
use clap_complete::Shell;
use dnw_device::Listen;
use dnw_train::training::Precision;

use super::compiled_args::{BenchArgs, CompileArgs, ExplainArgs, PredictArgs, VerifyArgs};
use super::values::{Which, path_or_nothing};

/// Discover a network's wiring together with its weights.
///
/// Every possible edge of the network keeps a weight; the strongest are real and take part, the others learn too and swap in when
/// they outgrow a real one. Without a command, the main job runs: a small network learns handwritten digits that are
/// built into this program, and a page is written in which one watches its wiring being discovered.
#[derive(Debug, Parser)]
#[command(name = "dnw", version, args_conflicts_with_subcommands = true, after_help = EXAMPLES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The main job's settings.
    #[command(flatten)]
    pub train: TrainSettings,
}

const EXAMPLES: &str = "Examples:
  dnw                                            the main job
  dnw train mnist --data ~/mnist --seed 1        MNIST from its four IDX files
  dnw train mnist --set wiring.density=0.05      another budget
  dnw report runs/digits-1                       write the page of a run again
  dnw import mobilenet.pt                        make a run of a published checkpoint
  dnw export runs/digits-1 --out digits.safetensors
                                                 write a run's weights for other programs
  dnw compile runs/digits-1 -o digits.dnw        one small file, without zeros
  dnw predict digits.dnw                         use it
  dnw compare runs/digits-1 runs/digits-2        several runs over each other";

/// The largest whole number that a recipe, being TOML, can hold.
const MOST_IN_TOML: u64 = i64::MAX as u64;

/// Takes the name of a precision.
fn precision() -> impl TypedValueParser<Value = Precision> {
    let names = PossibleValuesParser::new(Precision::ALL.map(Precision::name));
    names.try_map(|name| name.parse::<Precision>())
}

const DEVICE_HELP: &str = "Where tensors live: auto, flex, ndarray, wgpu[:KIND], vulkan[:KIND], metal, cuda[:N], rocm[:N], libtorch, \
remote:ADDRESS

auto is the best GPU that this program was built for and finds, or else the CPU. KIND is discrete, integrated, virtual, \
cpu (software) or a number; N counts GPUs from 0. `dnw devices` lists what is here, and how to build for what is not. ADDRESS is \
what `dnw serve` prints; the token of the server is read from DNW_TOKEN.";

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Train a network by a recipe and write its run folder and its page
    Train(TrainArgs),
    /// Evaluate a run's weights on the test images
    Eval(EvalArgs),
    /// Count the parameters and multiply-adds of a run's network, or of a recipe's
    Count(CountArgs),
    /// Write a run's page again, or a picture of its wiring
    Report(ReportArgs),
    /// Lay several runs over each other: a page, a table, a plot
    Compare(CompareArgs),
    /// Make a run folder of a published checkpoint
    ///
    /// Nothing in the file is run: of a `.pt` file only tensors in dictionaries are read. The real edges are those that the
    /// recipe's rule chooses from the weights at the end of a run, or those of the file's masks.
    Import(ImportArgs),
    /// Write a run's weights as a safetensors file for other programs
    ///
    /// The file holds the weight of every possible edge. Where the real ones do not follow from the weights, a mask of zeros and
    /// ones lies beside each weight.
    Export(ExportArgs),
    /// Compile a run to one small file, which runs at the cost of its real edges
    ///
    /// Dead nodes are removed, norms folded into weights, and each layer gets the kernel that costs least. The file is all that `dnw predict`
    /// and the library `dnw-runtime` need. A checkpoint that `dnw import` accepts can be compiled at once.
    Compile(CompileArgs),
    /// Classify pictures with a compiled model
    ///
    /// Each picture is resized and normalised as the test images of the model's recipe are. Pictures of digits are white on black, as
    /// in MNIST.
    Predict(PredictArgs),
    /// Measure the latency and throughput of a compiled model
    ///
    /// On images of noise. For a comparison with ONNX Runtime and others see `cargo xtask bench-peers`.
    Bench(BenchArgs),
    /// Compare a compiled model with the run that it was compiled from, on the test images
    ///
    /// Differences of logits are relative to the largest logit of their image. The exit code is 1 if the accuracy differs by more than
    /// `--allow`, or if weights of 32 bits have logits that differ by more than 0.001.
    Verify(VerifyArgs),
    /// Say what each layer of a compiled model is and costs, and what would make it faster
    Explain(ExplainArgs),
    /// List the recipes, or print one with every key
    Recipes {
        /// The recipe to print
        name: Option<String>,
    },
    /// List the rules that choose edges, with what each lets be set
    Rules {
        /// Print them as JSON on standard output
        #[arg(long)]
        json: bool,
    },
    /// List, check or fetch data sets
    Data(DataArgs),
    /// List the devices that are here, and how to build for those that are not
    Devices {
        /// Print them as JSON on standard output
        #[arg(long)]
        json: bool,
    },
    /// Offer this machine's devices to other programs and machines
    ///
    /// Whoever trains gives the name that this prints to `--device`, and the token in the environment as DNW_TOKEN. On this machine
    /// it speaks WebSocket. Where other machines can reach it, it speaks Iroh instead, which is encrypted and needs no third party,
    /// and it never serves without a token there.
    Serve(ServeArgs),
    /// Ask a backend's driver for its devices; `dnw devices` and `--device auto` do so in a child process
    #[command(hide = true)]
    Probe {
        /// The backend
        backend: String,
    },
    /// Print completions for a shell
    Completions(ShellArgs),
    /// Print the manual page
    Man {
        /// The command whose page it is; without it, that of the program
        command: Option<String>,
    },
}

/// Flags of a training.
#[derive(Clone, Debug, Args)]
pub struct TrainArgs {
    /// The recipe: a name (`dnw recipes` lists them), or a TOML file that says in `from` which recipe it changes
    #[arg(default_value = dnw_train::recipe::MAIN_JOB)]
    pub recipe: String,
    /// Settings.
    #[command(flatten)]
    pub settings: TrainSettings,
}

/// Settings of a training.
#[derive(Clone, Debug, Args)]
pub struct TrainSettings {
    /// Change a key of the recipe, such as wiring.density=0.05; may be given again
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// The folder with the data set's files
    #[arg(long, env = "DNW_DATA", value_name = "DIR", value_parser = path_or_nothing())]
    pub data: Option<PathBuf>,
    /// The run folder, which must not exist or be empty [default: the next free runs/RECIPE-N]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Seed of weights, order of the data and augmentation
    #[arg(long, value_name = "N", value_parser = value_parser!(u64).range(..=MOST_IN_TOML))]
    pub seed: Option<u64>,
    /// Passes over the training images
    #[arg(long, value_name = "N")]
    pub epochs: Option<u64>,
    /// Where tensors live: auto, flex, ndarray, wgpu[:KIND], vulkan[:KIND], metal, cuda[:N], rocm[:N], libtorch, remote:ADDRESS
    #[arg(long, default_value = "auto", value_name = "NAME", long_help = DEVICE_HELP)]
    pub device: String,
    /// Several devices that share each batch, such as cuda:0,cuda:1
    ///
    /// Each computes the gradients of its share; their mean over the batch updates and rewires one model, on the first device, which
    /// the others copy for the next batch. A device may be named twice.
    #[arg(
        long,
        value_name = "NAME,NAME",
        value_delimiter = ',',
        conflicts_with = "device"
    )]
    pub devices: Vec<String>,
    /// Compute at most so many images at once, for devices with little memory
    ///
    /// A batch is computed in parts and their gradients are added up: the updates are those of whole batches, save that batch norms see
    /// each part by itself. Takes the memory of a batch of N.
    #[arg(long, value_name = "N", value_parser = value_parser!(u64).range(1..))]
    pub micro_batch: Option<u64>,
    /// The numbers that the network is computed in while it trains: f32, f16, bf16, mixed
    ///
    /// Weights, optimizer and the selection of edges stay in f32, and so do evaluations. f16 scales the loss so that small gradients are
    /// not lost. mixed takes bf16, or f16 where the device lacks that, and keeps norms in f32. Worth its while on GPUs;
    /// CPUs get slower.
    #[arg(long, value_name = "TYPE", default_value = "f32", value_parser = precision())]
    pub precision: Precision,
    /// Threads that compute [default: one per core]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// How operations are computed
    #[arg(long, value_enum, value_name = "WHICH", default_value = "fastest")]
    pub kernels: Bodies,
    /// Say at the end what a step costs, part by part
    ///
    /// A table, and two files in the run folder: `profile.txt` with the table, `profile.folded` with the same as folded stacks, which
    /// flamegraph.pl, inferno and speedscope draw. On a GPU each part waits for the GPU, which makes steps longer.
    #[arg(long)]
    pub profile: bool,
    /// Print what the training would come to and the resolved recipe, and stop
    #[arg(long)]
    pub dry_run: bool,
    /// Print the result as JSON on standard output
    #[arg(long)]
    pub json: bool,
    /// Print nothing but the result
    #[arg(long, short)]
    pub quiet: bool,
}

/// How operations are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Bodies {
    /// By the kernels of this program where the device has them
    Fastest,
    /// By plain tensors throughout, which is slow: to find out whether a kernel is at fault
    Reference,
}

/// Flags of an evaluation.
#[derive(Clone, Debug, Args)]
pub struct EvalArgs {
    /// The run folder
    pub run: PathBuf,
    /// Which weights
    #[arg(long, value_enum, default_value = "last")]
    pub weights: Which,
    /// The folder with the data set's files
    #[arg(long, env = "DNW_DATA", value_name = "DIR", value_parser = path_or_nothing())]
    pub data: Option<PathBuf>,
    /// Where tensors live: auto, flex, ndarray, wgpu[:KIND], vulkan[:KIND], metal, cuda[:N], rocm[:N], libtorch, remote:ADDRESS
    #[arg(long, default_value = "auto", value_name = "NAME", long_help = DEVICE_HELP)]
    pub device: String,
    /// Evaluate the wiring too: with one weight shared by all edges, several in turn, and with redrawn ones
    #[arg(long)]
    pub weight_agnostic: bool,
    /// Print the result as JSON on standard output
    #[arg(long)]
    pub json: bool,
}

/// Flags of a count.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  dnw count runs/digits-1                      what a run found, layer by layer
  dnw count imagenet-mobilenet-dnw-x0.225      a recipe's network as it begins")]
pub struct CountArgs {
    /// A run folder, or the name or file of a recipe
    pub of: String,
    /// Which weights of a run
    #[arg(long, value_enum, default_value = "last")]
    pub weights: Which,
    /// Change a key of the recipe; may be given again
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// The folder with your own images, for a recipe that trains on them
    #[arg(long, env = "DNW_DATA", value_name = "DIR", value_parser = path_or_nothing())]
    pub data: Option<PathBuf>,
    /// Height and width of the images, if not those of the run or the recipe
    #[arg(long, value_name = "PIXELS")]
    pub side: Option<usize>,
    /// Say what training takes on one and on eight devices instead: memory by part, bytes exchanged, checkpoints
    #[arg(long, conflicts_with = "json")]
    pub scaling: bool,
    /// Print the counts as JSON on standard output
    #[arg(long)]
    pub json: bool,
}

/// Flags of a report.
#[derive(Clone, Debug, Args)]
pub struct ReportArgs {
    /// The run folder
    pub run: PathBuf,
    /// Where the page goes [default: report.html in the run folder]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Draw the wiring as an SVG picture instead: at moments given as shares of the run, beside each other
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// The moments of the picture, 0 to 1
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "0,0.3,1",
        requires = "svg"
    )]
    pub at: Vec<f64>,
    /// Draw one picture that moves through so many moments
    #[arg(long, value_name = "FRAMES", requires = "svg", conflicts_with = "at")]
    pub moving: Option<usize>,
}

/// Flags of a comparison.
#[derive(Clone, Debug, Args)]
pub struct CompareArgs {
    /// The run folders; a folder of run folders stands for all of them
    #[arg(required = true)]
    pub runs: Vec<PathBuf>,
    /// Where the page goes
    #[arg(long, default_value = "compare.html", value_name = "FILE")]
    pub out: PathBuf,
    /// Draw accuracy over budget as an SVG plot too
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// Write the table as Markdown too
    #[arg(long, value_name = "FILE")]
    pub markdown: Option<PathBuf>,
    /// Print the table as JSON on standard output
    #[arg(long)]
    pub json: bool,
}

/// Flags of an import.
#[derive(Clone, Debug, Args)]
#[command(after_help = IMPORT_EXAMPLES)]
pub struct ImportArgs {
    /// The checkpoint: a `.pt` or safetensors file
    pub file: PathBuf,
    /// The recipe whose network it is [default: the first that fits; `dnw recipes` lists them]
    #[arg(long, value_name = "NAME")]
    pub recipe: Option<String>,
    /// Change a key of the recipe, such as model.level=24; may be given again
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// The run folder, which must not exist or be empty [default: the next free runs/RECIPE-N]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Print the result as JSON on standard output
    #[arg(long)]
    pub json: bool,
}

const IMPORT_EXAMPLES: &str = "Examples:
  dnw import resnet50.pt --recipe imagenet-resnet50-all-90
  dnw import narrow.pt --recipe cifar10-tiny-static-dnw --set model.level=24
  dnw eval runs/imagenet-resnet50-all-90-1 --data ~/data";

/// Flags of an export.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXPORT_EXAMPLES)]
pub struct ExportArgs {
    /// The run folder
    pub run: PathBuf,
    /// Which weights
    #[arg(long, value_enum, default_value = "last")]
    pub weights: Which,
    /// Names and layout of the tensors
    #[arg(long, value_enum, default_value = "published")]
    pub layout: LayoutName,
    /// Write each weight as weight_orig and weight_mask, as torch.nn.utils.prune does [default: zeros written in]
    #[arg(long, conflicts_with_all = ["raw", "layout"])]
    pub masks: bool,
    /// Write the stored weights of all possible edges, as the published checkpoints have them; most take no part in the forward pass
    #[arg(long, conflicts_with = "layout")]
    pub raw: bool,
    /// Where the file goes
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

const EXPORT_EXAMPLES: &str = "Examples:
  dnw export runs/mnist-lenet-1 --weights best --out lenet.safetensors   for any program: zeros where no edge is
  dnw export runs/mnist-lenet-1 --masks --out lenet.safetensors          for torch.nn.utils.prune
  dnw export runs/digits-1 --raw --out digits.safetensors                to import it again, hallucinated edges included
  dnw import digits.safetensors --recipe digits";

/// Names and layout of the tensors in a file.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum LayoutName {
    /// As published checkpoints have them, and PyTorch programs read them
    Published,
    /// As the run itself has them
    Burn,
}

/// Flags of `dnw data`.
#[derive(Clone, Debug, Args)]
pub struct DataArgs {
    /// What to do with them
    #[command(subcommand)]
    pub action: Option<DataAction>,
    /// The folder with the data sets' files
    #[arg(long, env = "DNW_DATA", value_name = "DIR", value_parser = path_or_nothing(), global = true)]
    pub data: Option<PathBuf>,
}

/// What to do with data sets.
#[derive(Clone, Debug, Subcommand)]
pub enum DataAction {
    /// Say which data sets there are, and where
    List,
    /// Read every file of a data set and compare it with the published checksums
    Check {
        /// The data set
        name: String,
    },
    /// Download a data set and check it
    Fetch {
        /// The data set
        name: String,
    },
}

/// Flags of a server.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  dnw serve                                       this machine's best device, to this machine
  dnw serve --listen 0.0.0.0:3000 --token-file ~/.dnw-token --key-file ~/.dnw-key
                                                  to every network, under the same name each time
  DNW_TOKEN=... dnw train mnist --device remote:ws://127.0.0.1:3000")]
pub struct ServeArgs {
    /// The device to offer
    #[arg(long, default_value = "auto", value_name = "NAME", long_help = DEVICE_HELP)]
    pub device: String,
    /// Several devices of one backend; clients get the second with /1 behind the address
    #[arg(
        long,
        value_name = "NAMES",
        value_delimiter = ',',
        conflicts_with = "device"
    )]
    pub devices: Vec<String>,
    /// Where to listen; an address beyond this machine is served encrypted
    #[arg(long, default_value = "127.0.0.1:3000", value_name = "ADDRESS:PORT")]
    pub listen: Listen,
    /// The file with the token, made if there is none [default: DNW_TOKEN, or a new one, which is printed]
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Let in every program of this machine, and every page in a browser on it
    #[arg(long, conflicts_with = "token_file")]
    pub without_token: bool,
    /// The file with the key that an encrypted server is known by, made if there is none [default: a new key each time]
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
}

/// For which shell.
#[derive(Clone, Debug, Args)]
pub struct ShellArgs {
    /// The shell
    pub shell: Shell,
}

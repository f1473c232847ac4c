//! Commands and options.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, value_parser};
use clap_complete::Shell;
use dnw_device::Listen;

use super::compiled_args::{BenchArgs, CompileArgs, ExplainArgs, PredictArgs, VerifyArgs};
use super::train_args::{TrainArgs, TrainSettings};
use super::values::{DEVICE_HELP, SavedWeights, path_or_nothing};

/// Train a network's wiring together with its weights.
///
/// Every possible edge of the network has a weight. The strongest are real and take part in the forward pass; the others learn too, and swap
/// in when they outgrow a real one. Without a command, the main job runs: a small network learns handwritten digits that are part of this
/// program, and a page shows how its wiring is discovered.
#[derive(Debug, Parser)]
#[command(name = "dnw", version, args_conflicts_with_subcommands = true, after_help = EXAMPLES)]
pub struct Cli {
    /// The command.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The settings of the main job.
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

/// The commands.
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
    /// Compare several runs: a page, a table, a plot
    Compare(CompareArgs),
    /// Create a run folder from a published checkpoint
    ///
    /// Nothing in the file is executed: of a `.pt` file only tensors in dictionaries are read. The real edges are those of the file's masks,
    /// or those that the recipe's rule selects from the weights at the end of a run.
    Import(ImportArgs),
    /// Write a run's weights as a safetensors file for other programs
    ///
    /// The file holds the weights of all possible edges. If the real edges do not follow from them, there is a mask of zeros and ones for each
    /// weight.
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
    /// On images of noise. `--onnx` measures ONNX Runtime in turn; `cargo xtask bench-peers` compares with more runtimes.
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
    /// List the rules that select edges, with the settings of each
    Rules {
        /// Print them as JSON on standard output
        #[arg(long)]
        json: bool,
    },
    /// List, check or fetch data sets
    Data(DataArgs),
    /// List the devices of this machine, and how to build for others
    Devices {
        /// Print them as JSON on standard output
        #[arg(long)]
        json: bool,
    },
    /// Serve this machine's devices to other programs and machines
    ///
    /// A client gives the name that this prints to `--device`, and the token in the environment variable DNW_TOKEN. On this machine the
    /// protocol is WebSocket. For other machines it is Iroh, which is encrypted and needs no third party, and which always requires a
    /// token.
    Serve(ServeArgs),
    /// List a backend's devices; `dnw devices` and `--device auto` run this in a child process
    #[command(hide = true)]
    Probe {
        /// The backend
        backend: String,
    },
    /// Print completions for a shell
    Completions(ShellArgs),
    /// Print the manual page
    Man {
        /// The command; by default the program itself
        command: Option<String>,
    },
}

/// Options of `dnw eval`.
#[derive(Clone, Debug, Args)]
pub struct EvalArgs {
    /// The run folder
    pub run: PathBuf,
    /// Which weights
    #[arg(long, value_enum, default_value = "last")]
    pub weights: SavedWeights,
    /// The folder with the data set's files
    #[arg(long, env = "DNW_DATA", value_name = "DIR", value_parser = path_or_nothing())]
    pub data: Option<PathBuf>,
    /// The device: auto, flex, ndarray, wgpu[:KIND], vulkan[:KIND], metal, cuda[:N], rocm[:N], libtorch, remote:ADDRESS
    #[arg(long, default_value = "auto", value_name = "NAME", long_help = DEVICE_HELP)]
    pub device: String,
    /// End when the evaluation takes longer than this many seconds and a server, as in `--device remote:ws://ADDRESS`, no longer answers
    /// [default: 30]
    #[arg(long, value_name = "SECONDS", value_parser = value_parser!(u64).range(1..=86_400))]
    pub remote_timeout: Option<u64>,
    /// Evaluate the wiring too: with weights shared by all edges, and with new random weights
    #[arg(long)]
    pub weight_agnostic: bool,
    /// Print the result as JSON on standard output
    #[arg(long)]
    pub json: bool,
}

/// Options of `dnw count`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  dnw count runs/digits-1                      what a run found, layer by layer
  dnw count imagenet-mobilenet-dnw-x0.225      a recipe's network as it begins")]
pub struct CountArgs {
    /// A run folder, or the name or file of a recipe
    pub of: String,
    /// The weights of the run
    #[arg(long, value_enum, default_value = "last")]
    pub weights: SavedWeights,
    /// Change a key of the recipe; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// The folder with your own images, for a recipe that trains on them
    #[arg(long, env = "DNW_DATA", value_name = "DIR", value_parser = path_or_nothing())]
    pub data: Option<PathBuf>,
    /// Height and width of the images [default: those of the run or the recipe]
    #[arg(long, value_name = "PIXELS")]
    pub side: Option<usize>,
    /// Print the cost of training on one and on eight devices instead: memory by part, bytes exchanged, checkpoints
    #[arg(long, conflicts_with = "json")]
    pub scaling: bool,
    /// Print the counts as JSON on standard output
    #[arg(long)]
    pub json: bool,
}

/// Options of `dnw report`.
#[derive(Clone, Debug, Args)]
pub struct ReportArgs {
    /// The run folder
    pub run: PathBuf,
    /// The path of the page [default: report.html in the run folder]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Draw the wiring as an SVG picture instead, at several times of the run side by side
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// The times of the picture, 0 (start) to 1 (end)
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "0,0.3,1",
        requires = "svg"
    )]
    pub at: Vec<f64>,
    /// Draw one animated picture with this many frames
    #[arg(long, value_name = "FRAMES", requires = "svg", conflicts_with = "at")]
    pub moving: Option<usize>,
}

/// Options of `dnw compare`.
#[derive(Clone, Debug, Args)]
pub struct CompareArgs {
    /// Run folders, or folders of run folders
    #[arg(required = true)]
    pub runs: Vec<PathBuf>,
    /// The path of the page
    #[arg(long, default_value = "compare.html", value_name = "FILE")]
    pub out: PathBuf,
    /// Also plot accuracy over budget as SVG
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// Also write the table as Markdown
    #[arg(long, value_name = "FILE")]
    pub markdown: Option<PathBuf>,
    /// Print the table as JSON on standard output
    #[arg(long)]
    pub json: bool,
}

/// Options of `dnw import`.
#[derive(Clone, Debug, Args)]
#[command(after_help = IMPORT_EXAMPLES)]
pub struct ImportArgs {
    /// The checkpoint: a `.pt` or safetensors file
    pub file: PathBuf,
    /// The recipe of the network [default: the first that fits; `dnw recipes` lists them]
    #[arg(long, value_name = "NAME")]
    pub recipe: Option<String>,
    /// Change a key of the recipe, such as model.level=24; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// The run folder, which must be absent or empty [default: the next free runs/RECIPE-N]
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

/// Options of `dnw export`.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXPORT_EXAMPLES)]
pub struct ExportArgs {
    /// The run folder
    pub run: PathBuf,
    /// The weights of the run
    #[arg(long, value_enum, default_value = "last")]
    pub weights: SavedWeights,
    /// Names and layout of the tensors
    #[arg(long, value_enum, default_value = "published")]
    pub layout: LayoutName,
    /// Write each weight as weight_orig and weight_mask, like torch.nn.utils.prune [default: zeros for hallucinated edges]
    #[arg(long, conflicts_with_all = ["raw", "layout"])]
    pub masks: bool,
    /// Write the weights of all possible edges, as in the published checkpoints; most take no part in the forward pass
    #[arg(long, conflicts_with = "layout")]
    pub raw: bool,
    /// The path of the file
    #[arg(long, value_name = "FILE", required_unless_present = "onnx")]
    pub out: Option<PathBuf>,
    /// Write an ONNX model to this path instead: the whole network, without dead nodes and with its norms folded
    #[arg(long, value_name = "FILE", conflicts_with_all = ["out", "layout", "masks", "raw"])]
    pub onnx: Option<PathBuf>,
    /// Store weights of the ONNX model as sparse initializers; ONNX Runtime reads them, OpenVINO and tract do not
    #[arg(long)]
    pub sparse_initializers: bool,
    /// Store weights of the ONNX model in another file beside it, FILE.data
    #[arg(long, conflicts_with = "sparse_initializers")]
    pub external_weights: bool,
}

const EXPORT_EXAMPLES: &str = "Examples:
  dnw export runs/mnist-lenet-1 --weights best --out lenet.safetensors   for any program: zeros where no edge is
  dnw export runs/mnist-lenet-1 --masks --out lenet.safetensors          for torch.nn.utils.prune
  dnw export runs/digits-1 --raw --out digits.safetensors                to import it again, hallucinated edges included
  dnw import digits.safetensors --recipe digits
  dnw export runs/digits-1 --onnx digits.onnx                            for ONNX Runtime, OpenVINO, tract and others";

/// Names and layout of the tensors in a file.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum LayoutName {
    /// Those of published checkpoints and PyTorch programs
    Published,
    /// Those of the run
    Burn,
}

/// Options of `dnw data`.
#[derive(Clone, Debug, Args)]
pub struct DataArgs {
    /// The command
    #[command(subcommand)]
    pub action: Option<DataAction>,
    /// The folder with the data sets' files
    #[arg(long, env = "DNW_DATA", value_name = "DIR", value_parser = path_or_nothing(), global = true)]
    pub data: Option<PathBuf>,
}

/// Commands for data sets.
#[derive(Clone, Debug, Subcommand)]
pub enum DataAction {
    /// List the data sets and their folders
    List,
    /// Compare every file of a data set with the published checksums
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

/// Options of `dnw serve`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  dnw serve                                       this machine's best device, to this machine
  dnw serve --listen 0.0.0.0:3000 --token-file ~/.dnw-token --key-file ~/.dnw-key
                                                  to every network, under the same name each time
  DNW_TOKEN=... dnw train mnist --device remote:ws://127.0.0.1:3000")]
pub struct ServeArgs {
    /// The device to serve
    #[arg(long, default_value = "auto", value_name = "NAME", long_help = DEVICE_HELP)]
    pub device: String,
    /// Several devices of one backend; clients select the second with /1 after the address
    #[arg(
        long,
        value_name = "NAMES",
        value_delimiter = ',',
        conflicts_with = "device"
    )]
    pub devices: Vec<String>,
    /// The address to listen on; addresses reachable from other machines are served encrypted
    #[arg(long, default_value = "127.0.0.1:3000", value_name = "ADDRESS:PORT")]
    pub listen: Listen,
    /// The file with the token, created if missing [default: DNW_TOKEN, or a new token, which is printed]
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Accept every program of this machine, and every web page in a browser on it
    #[arg(long, conflicts_with = "token_file")]
    pub without_token: bool,
    /// The file with the key of an encrypted server, created if missing [default: a new key each time]
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
}

/// Options of `dnw completions`.
#[derive(Clone, Debug, Args)]
pub struct ShellArgs {
    /// The shell
    pub shell: Shell,
}

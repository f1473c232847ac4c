//! Flags of the commands for compiled models.

use std::path::PathBuf;

use clap::builder::TypedValueParser;
use clap::{Args, ValueEnum, value_parser};
use dnw_runtime::MOST_THREADS;
use dnw_runtime::file::Precision;

use super::values::{SavedWeights, path_or_nothing};

/// The longest time for which one thing is measured, in seconds.
const MOST_SECONDS: u64 = 3600;

/// Flags of a compilation.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  dnw compile runs/digits-1 -o digits.dnw
  dnw compile runs/mnist-1 -o mnist.dnw --weights int8     a quarter of the bytes; `dnw verify` says what it costs
  dnw compile mobilenet.pt -o mobilenet.dnw --recipe imagenet-mobilenet-dnw-x0.225
  dnw compile pruned.onnx -o pruned.dnw --mean 0.485,0.456,0.406 --deviation 0.229,0.224,0.225 --resize 256")]
pub struct CompileArgs {
    /// The run folder, an `.onnx` model, or a checkpoint that `dnw import` accepts: a `.pt` or safetensors file
    pub run: PathBuf,
    /// Where the model goes
    #[arg(long, short, value_name = "FILE")]
    pub out: PathBuf,
    /// What weights are stored as
    #[arg(long, value_enum, value_name = "TYPE", default_value = "f32")]
    pub weights: StoredAs,
    /// Which weights of the run
    #[arg(long, value_enum, value_name = "WHICH", default_value = "last")]
    pub epoch: SavedWeights,
    /// The recipe whose network a checkpoint is [default: the first that fits]
    #[arg(long, value_name = "NAME")]
    pub recipe: Option<String>,
    /// Change a key of the recipe of a checkpoint, such as model.level=24; may be given again
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// The size of the images of an ONNX model that leaves it open, or reads the pixels of an image as a vector
    #[arg(long, value_name = "CxHxW", value_parser = image_size)]
    pub image: Option<[usize; 3]>,
    /// The mean of each channel's pixels, from 0 to 1, that the images of an ONNX model are normalised with [default: as the model says, else 0]
    #[arg(
        long,
        value_name = "NUMBERS",
        value_delimiter = ',',
        allow_hyphen_values = true
    )]
    pub mean: Option<Vec<f32>>,
    /// What each channel is divided by then [default: as the model says, else 1]
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',')]
    pub deviation: Option<Vec<f32>>,
    /// Resize the shorter side of the pictures for an ONNX model to so many pixels before the centre is cropped [default: as the model says,
    /// else to the image's size without a crop]
    #[arg(long, value_name = "PIXELS", value_parser = value_parser!(u32).range(1..=65536))]
    pub resize: Option<u32>,
    /// Print the result as JSON on standard output
    #[arg(long)]
    pub json: bool,
}

/// Three sizes, as in `3x224x224`.
fn image_size(text: &str) -> Result<[usize; 3], String> {
    let sizes: Option<Vec<usize>> = text
        .split('x')
        .map(|size| size.parse().ok().filter(|&size| size > 0))
        .collect();
    let sizes = sizes.and_then(|sizes| sizes.try_into().ok());
    sizes.ok_or_else(|| "give channels, height and width, such as 3x224x224".to_owned())
}

/// What weights are stored as.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum StoredAs {
    /// 32 bits, exactly as they are
    F32,
    /// 16 bits
    F16,
    /// 8 bits, with a scale for each target
    Int8,
}

impl From<StoredAs> for Precision {
    fn from(stored: StoredAs) -> Self {
        match stored {
            StoredAs::F32 => Self::F32,
            StoredAs::F16 => Self::F16,
            StoredAs::Int8 => Self::Int8,
        }
    }
}

/// Flags of a prediction.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  dnw predict digits.dnw                       the built-in test digits
  dnw predict model.dnw cat.png photos/        pictures, and all below a folder
  dnw predict mnist.dnw t10k-images-idx3-ubyte.gz --json")]
pub struct PredictArgs {
    /// The compiled model
    pub model: PathBuf,
    /// Pictures (PNG, JPEG), folders of them, IDX files [default: the built-in test digits, if the model reads such]
    pub images: Vec<PathBuf>,
    /// How many classes are named for each picture
    #[arg(long, value_name = "N", default_value = "5", value_parser = value_parser!(u32).range(1..))]
    pub top: u32,
    /// Print each prediction as a line of JSON on standard output
    #[arg(long)]
    pub json: bool,
}

/// Flags of a measurement.
#[derive(Clone, Debug, Args)]
pub struct BenchArgs {
    /// The compiled model
    pub model: PathBuf,
    /// Measure with so many threads only [default: 1, 2, 4 and so on up to one per core]
    #[arg(long, value_name = "N", value_parser = threads())]
    pub threads: Option<u32>,
    /// Measure batches of so many images only [default: 1, 8 and 32]
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=4096))]
    pub batch: Option<u32>,
    /// How long each thing is measured
    #[arg(long, value_name = "S", default_value = "1", value_parser = seconds())]
    pub seconds: f64,
    /// Measure ONNX Runtime in turn on this ONNX model of the same network, such as one that `dnw export RUN --onnx` writes
    #[arg(long, value_name = "FILE")]
    pub onnx: Option<PathBuf>,
    /// The Python for `--onnx`, with the packages onnxruntime and numpy
    #[arg(
        long,
        value_name = "PATH",
        default_value = "python3",
        requires = "onnx"
    )]
    pub python: PathBuf,
    /// Print the result as JSON on standard output
    #[arg(long)]
    pub json: bool,
}

/// Flags of a comparison with a run.
#[derive(Clone, Debug, Args)]
pub struct VerifyArgs {
    /// The compiled model
    pub model: PathBuf,
    /// The run folder that it was compiled from
    pub run: PathBuf,
    /// Which weights of the run
    #[arg(long, value_enum, value_name = "WHICH", default_value = "last")]
    pub epoch: SavedWeights,
    /// The folder with the data set's files
    #[arg(long, env = "DNW_DATA", value_name = "DIR", value_parser = path_or_nothing())]
    pub data: Option<PathBuf>,
    /// How many percentage points the accuracy may differ by, for weights of fewer bits
    #[arg(long, value_name = "POINTS", default_value = "0", value_parser = points())]
    pub allow: f64,
    /// Print the result as JSON on standard output
    #[arg(long)]
    pub json: bool,
}

/// Flags of an explanation.
#[derive(Clone, Debug, Args)]
pub struct ExplainArgs {
    /// The compiled model
    pub model: PathBuf,
    /// Threads that compute
    #[arg(long, value_name = "N", default_value = "1", value_parser = threads())]
    pub threads: u32,
    /// How long it is measured
    #[arg(long, value_name = "S", default_value = "1", value_parser = seconds())]
    pub seconds: f64,
    /// Print the result as JSON on standard output
    #[arg(long)]
    pub json: bool,
}

fn threads() -> impl TypedValueParser<Value = u32> {
    value_parser!(u32).range(1..=MOST_THREADS as i64)
}

fn seconds() -> impl Fn(&str) -> Result<f64, String> + Clone {
    |text| within(text, MOST_SECONDS as f64, "seconds")
}

fn points() -> impl Fn(&str) -> Result<f64, String> + Clone {
    |text| within(text, 100.0, "percentage points")
}

fn within(text: &str, most: f64, unit: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok();
    number
        .filter(|number| (0.0..=most).contains(number))
        .ok_or_else(|| format!("give a number from 0 to {most} {unit}"))
}

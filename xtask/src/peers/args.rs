//! The command line of `bench-peers`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::networks::Wired;

/// The options of `bench-peers`.
#[derive(Debug, Args)]
pub struct PeerArgs {
    /// What to measure [default: training, selection and kernels]
    #[arg(value_enum)]
    pub what: Option<What>,
    /// Networks to train [default: all]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "NETWORKS")]
    pub models: Vec<Model>,
    /// Networks whose inference is measured [default: all]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "NETWORKS")]
    pub networks: Vec<Wired>,
    /// Networks of the zoo, such as resnet18-90-erk-script: architecture, percent pruned, `uniform` or `erk`, `script` or `dynamo`; also layers,
    /// such as depthwise_3_1_512_14_8-0-erk-script [default: every architecture in four ways, or the layers of the networks]
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    pub zoo: Vec<String>,
    /// Images per batch [default: the network's own, of inference 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub batch: Option<u32>,
    /// Threads of each side [default: 2, of inference, zoo and layers 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub threads: Option<u32>,
    /// Rounds; each side is measured once in each
    #[arg(long, default_value_t = 9, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub rounds: u32,
    /// Our backend
    #[arg(long, value_enum, default_value_t = Backend::Flex)]
    pub backend: Backend,
    /// A Python with PyTorch [default: an environment created for this]
    #[arg(long, value_name = "PATH")]
    pub python: Option<PathBuf>,
    /// Features to build our programs with, in addition to the backend's
    #[arg(long, value_delimiter = ',', value_name = "FEATURES")]
    pub features: Vec<String>,
    /// Use programs that are already built
    #[arg(long)]
    pub no_build: bool,
    /// Write the results to this file as JSON, after each round
    #[arg(long, value_name = "PATH")]
    pub json: Option<PathBuf>,
    /// Write the tables to this file
    #[arg(long, value_name = "PATH")]
    pub markdown: Option<PathBuf>,
    /// Plot the times of products by density and nodes to this file
    #[arg(long, value_name = "PATH")]
    pub svg: Option<PathBuf>,
}

/// What to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum What {
    /// Training steps, compared with PyTorch's as published and with a fixed mask
    Training,
    /// The selection of the largest of 640,000 weights, compared with PyTorch's
    Selection,
    /// Wired products, compared with the `gemm` crate; needs no Python
    Kernels,
    /// Compiled networks, compared with ONNX Runtime on the same and on dense networks
    Inference,
    /// Pruned networks of torchvision and timm from ONNX files, compared with ONNX Runtime
    Zoo,
    /// Dense layers from ONNX files, compared with ONNX Runtime: first convolutions, depthwise convolutions, classifiers
    Layers,
}

impl PeerArgs {
    /// Threads of each side.
    pub fn threads(&self) -> u32 {
        let default = match self.what {
            Some(What::Inference | What::Zoo | What::Layers) => 1,
            _ => 2,
        };
        self.threads.unwrap_or(default)
    }
}

/// The name of a value on the command line.
pub fn name(value: impl ValueEnum) -> String {
    let named = value.to_possible_value();
    named.map_or_else(String::new, |value| value.get_name().to_owned())
}

/// A backend of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Backend {
    Flex,
    Ndarray,
}

/// A network that both sides have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Model {
    TinyStatic,
    TinyDiscrete,
    Mobilenet,
    Resnet50,
}

impl Model {
    /// The arguments for the PyTorch program.
    pub fn torch_arguments(self) -> &'static [&'static str] {
        match self {
            Self::TinyStatic => &["--model", "static"],
            Self::TinyDiscrete => &["--model", "discrete"],
            Self::Mobilenet => &["--model", "mobilenet", "--rate", "0.775", "--image", "32"],
            Self::Resnet50 => &[
                "--model",
                "resnet50",
                "--rate",
                "0.9",
                "--image",
                "64",
                "--classes",
                "1000",
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: PeerArgs,
    }

    fn parsed(line: &str) -> Result<PeerArgs, clap::Error> {
        let words = std::iter::once("bench-peers").chain(line.split_whitespace());
        Line::try_parse_from(words).map(|line| line.args)
    }

    #[test]
    fn one_part_or_everything_can_be_requested() {
        assert_eq!(parsed("").expect("all").what, None);
        let args = parsed("training --models tiny-static,resnet50 --rounds 3 --backend ndarray");
        let args = args.expect("a part");
        assert_eq!(args.what, Some(What::Training));
        assert_eq!(args.models, [Model::TinyStatic, Model::Resnet50]);
        assert_eq!(
            (args.rounds, args.threads(), args.backend),
            (3, 2, Backend::Ndarray)
        );
        for line in [
            "everything",
            "--rounds 0",
            "--models mnist",
            "--backend wgpu",
            "inference --networks mnist",
        ] {
            assert!(parsed(line).is_err(), "{line}");
        }
    }

    #[test]
    fn inference_uses_one_thread_unless_told() {
        let args = parsed("inference --networks dnw-x0.225,tiny-static").expect("two networks");
        assert_eq!(args.networks, [Wired::Mobilenet225, Wired::TinyStatic]);
        assert_eq!(args.threads(), 1);
        assert_eq!(parsed("inference --threads 3").expect("three").threads(), 3);
        let zoo = parsed("zoo --zoo resnet18-90-erk-script").expect("a network");
        assert_eq!((zoo.zoo.len(), zoo.threads()), (1, 1));
        assert_eq!(parsed("layers").expect("layers").threads(), 1);
    }
}

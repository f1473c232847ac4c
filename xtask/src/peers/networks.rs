//! The networks whose inference is measured, and what their speed should be.

use clap::ValueEnum;

/// A network, by its name in `benches/peers/onnx_models.py`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Wired {
    #[value(name = "dnw-x0.225")]
    Mobilenet225,
    #[value(name = "dnw-x0.225-block-4")]
    Mobilenet225InBlocks,
    #[value(name = "dnw-x0.49")]
    Mobilenet490,
    #[value(name = "resnet50-90")]
    Resnet90,
    #[value(name = "resnet50-95")]
    Resnet95,
    #[value(name = "resnet50-98")]
    Resnet98,
    #[value(name = "tiny-static")]
    TinyStatic,
    #[value(name = "tiny-discrete")]
    TinyDiscrete,
}

/// How many times as fast as a peer a network should be.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Targets {
    /// As the dense network of equal cost, or the one that it replaces.
    pub dense: Option<f64>,
    /// As the same network with zeros in its weights.
    pub masked: Option<f64>,
}

impl Wired {
    /// The recipe that `dnw compile` needs, and changes to it.
    pub fn recipe(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Self::Mobilenet225 => ("imagenet-mobilenet-dnw-x0.225", &[]),
            Self::Mobilenet225InBlocks => {
                ("imagenet-mobilenet-dnw-x0.225", &["wiring.unit=block-4"])
            }
            Self::Mobilenet490 => ("imagenet-mobilenet-dnw-x0.49", &[]),
            Self::Resnet90 => ("imagenet-resnet50-all-90", &[]),
            Self::Resnet95 => ("imagenet-resnet50-all-90", &["wiring.density=0.05"]),
            Self::Resnet98 => ("imagenet-resnet50-all-90", &["wiring.density=0.02"]),
            Self::TinyStatic => ("cifar10-tiny-static-dnw", &[]),
            Self::TinyDiscrete => ("cifar10-tiny-discrete-dnw", &[]),
        }
    }

    /// The dense network beside which it is measured.
    pub fn dense(self) -> Option<&'static str> {
        match self {
            Self::Mobilenet225 | Self::Mobilenet225InBlocks => Some("dense-x0.25"),
            Self::Mobilenet490 => Some("dense-x0.5"),
            Self::Resnet90 | Self::Resnet95 | Self::Resnet98 => Some("resnet50-0"),
            Self::TinyStatic | Self::TinyDiscrete => None,
        }
    }

    /// What its speed should be on a machine with AVX-512, one thread, batch 1.
    pub fn targets(self) -> Targets {
        let dense = |dense| Targets {
            dense: Some(dense),
            masked: None,
        };
        let masked = |masked| Targets {
            dense: None,
            masked: Some(masked),
        };
        match self {
            Self::Mobilenet225 => Targets {
                dense: Some(1.0),
                masked: Some(22.0),
            },
            Self::Mobilenet225InBlocks => dense(1.5),
            Self::Mobilenet490 => dense(1.0),
            Self::Resnet90 => dense(4.0),
            Self::Resnet95 => dense(6.0),
            Self::Resnet98 => dense(9.0),
            Self::TinyStatic => masked(4.0),
            Self::TinyDiscrete => masked(6.0),
        }
    }
}

//! Why a file cannot be imported.

use std::path::PathBuf;

use dnw_circuit::CircuitError;

/// Why a file cannot be imported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// A file cannot be read.
    #[error("cannot read `{path}`: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        error: std::io::Error,
    },
    /// Bytes that are no ONNX model.
    #[error("the file is no ONNX model: {reason}")]
    NoModel {
        /// What is missing.
        reason: &'static str,
    },
    /// Bytes that are no protobuf message.
    #[error("{what} cannot be decoded: {reason}")]
    Malformed {
        /// The message.
        what: String,
        /// What protobuf says.
        reason: String,
    },
    /// Something is larger than what is read.
    #[error("{what}: {found} are more than the {limit} that are read")]
    Limit {
        /// What is counted.
        what: String,
        /// How many there are.
        found: u64,
        /// The most that are read.
        limit: u64,
    },
    /// A tensor whose shape and data do not fit, or whose type is not known.
    #[error("the tensor `{tensor}` {reason}")]
    Tensor {
        /// The tensor.
        tensor: String,
        /// What is wrong.
        reason: String,
    },
    /// External data that cannot be used.
    #[error("the data of the tensor `{tensor}` in `{location}` cannot be used: {reason}")]
    External {
        /// The tensor.
        tensor: String,
        /// The location that the model names.
        location: String,
        /// Why not.
        reason: String,
    },
    /// Two values of one name.
    #[error("two values have the name `{name}`")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// Nodes that read each other's outputs.
    #[error("the node {node} depends on its own output")]
    Cycle {
        /// A node of the cycle.
        node: String,
    },
    /// A value that nothing computes.
    #[error("{reader} reads `{name}`, which no node computes")]
    Missing {
        /// A node or the output of the graph.
        reader: String,
        /// The value.
        name: String,
    },
    /// The model's input or output is not one image or one result.
    #[error("{what}")]
    Interface {
        /// What is wrong.
        what: String,
        /// What to do.
        help: String,
    },
    /// Something that is valid ONNX and not supported.
    #[error("the node {node} ({operator}) is not supported: {what}")]
    Unsupported {
        /// The node.
        node: String,
        /// Its operator.
        operator: String,
        /// What is not supported.
        what: String,
        /// What to do instead.
        instead: String,
    },
    /// A node that is not valid.
    #[error("the node {node} ({operator}) is not valid: {what}")]
    Invalid {
        /// The node.
        node: String,
        /// Its operator.
        operator: String,
        /// What is wrong.
        what: String,
    },
    /// A node that does not fit its inputs.
    #[error("the node {node} ({operator}): {error}")]
    Circuit {
        /// The node.
        node: String,
        /// Its operator.
        operator: String,
        /// What does not fit.
        error: Box<CircuitError>,
    },
}

impl ImportError {
    /// What to do about it.
    pub fn help(&self) -> String {
        const AGAIN: &str =
            "export the model again; `onnx.checker.check_model` says whether the file is valid";
        match self {
            Self::Io { .. } => "give the path of an `.onnx` file".into(),
            Self::NoModel { .. } | Self::Malformed { .. } => {
                format!("the file may be cut short or of another format; {AGAIN}")
            }
            Self::Limit { .. } => "models of this size are refused, because their file may be damaged".into(),
            Self::External { .. } => {
                "keep the files that the exporter wrote in one folder; `onnx.save_model(onnx.load(path), path)` writes one file".into()
            }
            Self::Interface { help, .. } => help.clone(),
            Self::Unsupported { instead, .. } => instead.clone(),
            Self::Tensor { .. }
            | Self::Duplicate { .. }
            | Self::Cycle { .. }
            | Self::Missing { .. }
            | Self::Invalid { .. }
            | Self::Circuit { .. } => AGAIN.into(),
        }
    }
}

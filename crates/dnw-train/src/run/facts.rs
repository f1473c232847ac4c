//! What was run, where, and how it stands.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// The version of the folder's layout.
pub(super) const FORMAT: u32 = 1;

/// `run.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// The layout's version.
    pub format: u32,
    /// The command line that makes the run again.
    pub command: String,
    /// Program, libraries, device, threads: label and value.
    pub environment: Vec<(String, String)>,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// Images of the training part.
    pub train_images: usize,
    /// Images of the test part.
    pub test_images: usize,
    /// Image shape: channels, height, width.
    pub image: [usize; 3],
    /// Mean of each channel, as subtracted.
    pub mean: Vec<f32>,
    /// Standard deviation of each channel, as divided by.
    pub std: Vec<f32>,
    /// The wired tensors.
    pub tensors: Vec<TensorFacts>,
    /// How the run stands.
    pub status: Status,
    /// Updates made.
    pub updates: u64,
    /// Updates planned.
    pub planned_updates: u64,
    /// Updates in an epoch.
    pub updates_per_epoch: u64,
    /// Seconds of training.
    pub seconds: f64,
    /// Accuracy of the last evaluation, 0 to 1.
    pub test_accuracy: f64,
    /// Loss of the last evaluation.
    pub test_loss: f64,
    /// The best accuracy of any evaluation.
    pub best_test_accuracy: f64,
    /// The epoch of the best evaluation, counted from 1.
    pub best_epoch: u64,
    /// Edges that are real.
    pub edges_real: usize,
    /// Edges that could be.
    pub edges_possible: usize,
    /// Learned numbers that take part in the forward pass: real edges and everything that is no edge.
    pub parameters: usize,
    /// Nodes that do nothing, where the network is a graph of nodes.
    pub dead_nodes: Option<usize>,
}

/// How a run stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// It is going on, or was cut off without a word.
    Running,
    /// It made every update.
    Finished,
    /// It was asked to stop.
    Stopped,
    /// It could not go on, for this reason.
    Failed(String),
}

/// A wired tensor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TensorFacts {
    /// Its path in the model.
    pub name: String,
    /// Its own dimensions.
    pub dims: Vec<usize>,
    /// The edges to keep at the end.
    pub budget: usize,
    /// The edges that compete.
    pub possible: usize,
}

/// `drawing.json`: the network as nodes and edges.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DrawingFile {
    /// Level and kernel of each node.
    pub nodes: Vec<(usize, Vec<f32>)>,
    /// Name, nodes of the targets and nodes of the sources of each wired tensor.
    pub tensors: Vec<(String, Range<usize>, Range<usize>)>,
}

impl From<dnw_models::Drawing> for DrawingFile {
    fn from(drawing: dnw_models::Drawing) -> Self {
        Self {
            nodes: drawing.nodes.into_iter().map(|node| (node.level, node.kernel)).collect(),
            tensors: drawing.tensors.into_iter().map(|t| (t.name, t.targets, t.sources)).collect(),
        }
    }
}

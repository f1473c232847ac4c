//! What was run, where, and its state.

use std::fmt;
use std::ops::Range;

use dnw_core::{Wired, WiredTensor};
use dnw_models::Classifier;
use serde::{Deserialize, Serialize};

/// The most edges that a network may have. It bounds the memory that is allocated, whatever a file or a recipe
/// says.
pub(crate) const MAX_EDGES: usize = 1 << 27;

/// The most classes: labels are 16 bits wide.
const MAX_CLASSES: usize = 1 << 16;

/// The version of the file format.
pub(super) const FORMAT: u32 = 1;

/// `run.json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// The version of the file format.
    pub format: u32,
    /// The command line of the run.
    pub command: String,
    /// Program, libraries, device, threads: label and value.
    pub environment: Vec<(String, String)>,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// Training images.
    pub train_images: usize,
    /// Test images.
    pub test_images: usize,
    /// Image shape: channels, height, width.
    pub image: [usize; 3],
    /// Mean of each channel, which is subtracted.
    pub mean: Vec<f32>,
    /// Standard deviation of each channel, which is the divisor.
    pub std: Vec<f32>,
    /// The wired tensors.
    pub tensors: Vec<TensorFacts>,
    /// The state of the run.
    pub status: Status,
    /// Updates made.
    pub updates: u64,
    /// Updates planned.
    pub planned_updates: u64,
    /// Updates per epoch.
    pub updates_per_epoch: u64,
    /// Seconds of training.
    pub seconds: f64,
    /// Accuracy of the last evaluation, 0 to 1.
    pub test_accuracy: f64,
    /// Loss of the last evaluation.
    pub test_loss: f64,
    /// The best test accuracy of any evaluation with no more real edges than `best_edges_real`. It is selected on the test images, so it
    /// is optimistic.
    pub best_test_accuracy: f64,
    /// The epoch of the best evaluation, counted from 1.
    pub best_epoch: u64,
    /// Real edges at the best evaluation: the fewest of all evaluations.
    #[serde(default)]
    pub best_edges_real: usize,
    /// Real edges.
    pub edges_real: usize,
    /// Possible edges.
    pub edges_possible: usize,
    /// Parameters of the forward pass: real edges, and everything that is not an edge.
    pub parameters: usize,
    /// Dead nodes, if the network is a graph of nodes.
    pub dead_nodes: Option<usize>,
    /// How the run went on after it had diverged, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roll_backs: Vec<RollBack>,
}

impl Facts {
    /// The facts that a model determines; the others are empty.
    pub(crate) fn of<M: Classifier>(model: &Wired<M>) -> Self {
        let mut facts = Self {
            format: FORMAT,
            tensors: model.tensors().iter().map(TensorFacts::from).collect(),
            ..Self::default()
        };
        facts.count(model);
        facts
    }

    /// Counts the edges, parameters and dead nodes of the network.
    pub(crate) fn count<M: Classifier>(&mut self, model: &Wired<M>) {
        let tensors = model.tensors();
        self.edges_real = tensors.iter().map(|tensor| tensor.active().count()).sum();
        self.edges_possible = tensors.iter().map(|tensor| tensor.legal.count()).sum();
        self.parameters = self.edges_real + model.other_parameters();
        let drawing = model.drawing();
        self.dead_nodes = drawing.map(|drawing| drawing.dead_nodes(&tensors));
    }

    /// The environment, and how the run went on after it had diverged: label and value.
    pub(crate) fn shown_environment(&self) -> Vec<(String, String)> {
        let roll_backs = self.roll_backs.iter();
        let roll_backs = roll_backs.map(|it| ("rolled back".to_owned(), it.to_string()));
        self.environment.iter().cloned().chain(roll_backs).collect()
    }

    /// What is invalid in facts that were read, if anything. Readers of a folder rely on sizes whose product fits, valid file names, and shares
    /// between 0 and 1.
    pub(super) fn problem(&self) -> Option<String> {
        let mut entries = 0usize;
        for tensor in &self.tensors {
            if let Some(problem) = tensor.problem() {
                return Some(problem);
            }
            entries = entries.saturating_add(tensor.entries().unwrap_or(usize::MAX));
        }
        let pixels = product(&self.image);
        let shares = [self.test_accuracy, self.best_test_accuracy];
        if entries > MAX_EDGES {
            Some(format!("its tensors have more than {MAX_EDGES} entries"))
        } else if !pixels.is_some_and(|pixels| (1..=MAX_EDGES).contains(&pixels)) {
            let [channels, height, width] = self.image;
            Some(format!(
                "images of {channels} x {height} x {width} are none"
            ))
        } else if self.classes.len() > MAX_CLASSES {
            Some(format!("it names more than {MAX_CLASSES} classes"))
        } else if shares.iter().any(|share| !(0.0..=1.0).contains(share)) {
            Some("an accuracy is not between 0 and 1".into())
        } else if self.edges_real > self.edges_possible || self.edges_possible > entries {
            let (real, possible) = (self.edges_real, self.edges_possible);
            Some(format!(
                "{real} real edges of {possible} possible do not fit its tensors of {entries} entries"
            ))
        } else if self.updates > self.planned_updates {
            Some(format!(
                "{} updates were made of {} planned",
                self.updates, self.planned_updates
            ))
        } else {
            None
        }
    }
}

impl From<&WiredTensor> for TensorFacts {
    fn from(tensor: &WiredTensor) -> Self {
        Self {
            name: tensor.name.clone(),
            dims: tensor.shape.dims.clone(),
            budget: tensor.budget,
            possible: tensor.legal.count(),
        }
    }
}

impl TensorFacts {
    /// The number of entries of the tensor; `None` if it overflows.
    pub fn entries(&self) -> Option<usize> {
        product(&self.dims)
    }

    fn problem(&self) -> Option<String> {
        let name = &self.name;
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) || !name.chars().all(plain) {
            // It is used as a file name.
            return Some("the name of a tensor is none".into());
        }
        let entries = self
            .entries()
            .filter(|entries| self.dims.len() > 1 && (1..=MAX_EDGES).contains(entries));
        match entries {
            None => Some(format!(
                "the dimensions of `{name}` are none of a tensor of at most {MAX_EDGES} entries"
            )),
            Some(entries) if self.budget > self.possible || self.possible > entries => {
                Some(format!(
                    "`{name}` has a budget of {} of {} possible edges, but {entries} entries",
                    self.budget, self.possible
                ))
            }
            _ => None,
        }
    }
}

fn product(sizes: &[usize]) -> Option<usize> {
    sizes
        .iter()
        .try_fold(1usize, |product, &size| product.checked_mul(size))
}

/// The state of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// It runs, or was interrupted without a message.
    #[default]
    Running,
    /// All updates were made.
    Finished,
    /// It was stopped on request.
    Stopped,
    /// It failed, for this reason.
    Failed(String),
    /// It was trained elsewhere; its weights are from a published file.
    Imported,
}

/// A training that had diverged went on from an earlier state with half the learning rate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RollBack {
    /// The update that failed, counted from 1.
    pub failed: u64,
    /// How it failed.
    pub reason: String,
    /// The update after which it went on.
    pub to: u64,
    /// How often the learning rate was halved in all.
    pub rate_halvings: u32,
}

impl fmt::Display for RollBack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reason, to, .. } = self;
        let rate = halved(self.rate_halvings);
        write!(
            f,
            "{reason}; back to update {to} with {rate} of the learning rate"
        )
    }
}

/// A rate that was halved so many times, as a share.
pub(crate) fn halved(times: u32) -> String {
    match 1u64.checked_shl(times) {
        Some(divisor) => format!("1/{divisor}"),
        None => format!("2^-{times}"),
    }
}

/// A wired tensor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TensorFacts {
    /// Its path in the model.
    pub name: String,
    /// Its dimensions.
    pub dims: Vec<usize>,
    /// The budget at the end.
    pub budget: usize,
    /// The possible edges.
    pub possible: usize,
}

/// `drawing.json`: the network as nodes and edges.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DrawingFile {
    /// Level and kernel size of each node.
    pub nodes: Vec<(usize, Vec<f32>)>,
    /// The output nodes.
    pub outputs: Range<usize>,
    /// Name, nodes of the targets and nodes of the sources of each wired tensor.
    pub tensors: Vec<(String, Range<usize>, Range<usize>)>,
}

impl DrawingFile {
    /// What is invalid in a drawing that was read, if anything.
    pub(super) fn problem(&self) -> Option<String> {
        let nodes = self.nodes.len();
        if self.nodes.iter().any(|(level, _)| *level >= nodes) {
            return Some(format!(
                "a node lies at a level past the {nodes} that its nodes can fill"
            ));
        }
        let outside = |range: &Range<usize>| range.start > range.end || range.end > nodes;
        if outside(&self.outputs) {
            return Some(format!(
                "its outputs lie past the {nodes} nodes that there are"
            ));
        }
        let stray = self
            .tensors
            .iter()
            .find(|(_, targets, sources)| outside(targets) || outside(sources));
        stray.map(|(name, ..)| format!("`{name}` joins nodes past the {nodes} that there are"))
    }
}

impl From<dnw_models::Drawing> for DrawingFile {
    fn from(drawing: dnw_models::Drawing) -> Self {
        Self {
            nodes: drawing
                .nodes
                .into_iter()
                .map(|node| (node.level, node.kernel))
                .collect(),
            outputs: drawing.outputs,
            tensors: drawing
                .tensors
                .into_iter()
                .map(|t| (t.name, t.targets, t.sources))
                .collect(),
        }
    }
}

//! Counts of parameters and multiply-adds.
//!
//! There are three counts: of the dense network, as in the paper's tables, and of the live part. All three visit the same tensors
//! and differ in the entries that they include.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::{Block, Circuit, Kind, Liveness, Op, Statistics, Tensor, ValueId};

/// Parameters and multiply-adds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Wired weights.
    pub edges: u64,
    /// All other weights.
    pub weights: u64,
    /// Scales and shifts of norms.
    pub norms: u64,
    /// Biases.
    pub biases: u64,
    /// Multiplications of edges and weights with pixels, for one image.
    pub multiply_adds: u64,
}

impl Tally {
    /// All parameters.
    pub fn parameters(&self) -> u64 {
        self.weights_and_edges() + self.norms + self.biases
    }

    /// The parameters without norms and biases, as in the paper's tables.
    pub fn weights_and_edges(&self) -> u64 {
        self.edges + self.weights
    }

    fn add_parameters(&mut self, kind: Kind, parameters: u64) {
        match kind {
            Kind::Edges => self.edges += parameters,
            Kind::Weight => self.weights += parameters,
            Kind::Norm => self.norms += parameters,
            Kind::Bias => self.biases += parameters,
            Kind::Statistic => {}
        }
    }

    fn add(&mut self, other: &Self) {
        self.edges += other.edges;
        self.weights += other.weights;
        self.norms += other.norms;
        self.biases += other.biases;
        self.multiply_adds += other.multiply_adds;
    }
}

/// The three counts.
///
/// A parameter is counted once, in the row of the first step that reads it. Multiply-adds are counted for every step that reads it,
/// for every output pixel, including zeros of the padding. Norms, biases, pools and sums have no multiply-adds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Views {
    /// The dense network: every weight and every node.
    pub dense: Tally,
    /// As in the paper's tables: all real edges; one kernel for each node that has a real edge out of it; of dense
    /// convolutions and classifiers the weights between channels with a real edge in and channels with a real edge out. Dead nodes
    /// are found by [their nearest edges](Liveness::one_step), not along paths. The tables do not include norms and biases:
    /// [`Tally::weights_and_edges`].
    ///
    /// Real edges count even if no step reads them, because the published ranking spends budget on edges that a static
    /// graph cannot use. They are counted with the pixels of the first step that reads their tensor.
    pub nominal: Tally,
    /// The network after dead nodes are [removed](crate::prune): those without a path to the result and those without a path from the
    /// image. The constants that replace the latter are not counted.
    pub alive: Tally,
}

/// The counts of a layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The layer.
    pub layer: String,
    /// Its counts.
    #[serde(flatten)]
    pub views: Views,
}

/// The counts of a circuit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// The layers that have parameters, in execution order.
    pub rows: Vec<Row>,
    /// The sum of all layers.
    pub total: Views,
}

/// Counts the parameters and multiply-adds of a circuit.
pub fn count(circuit: &Circuit) -> Count {
    let dense = tallies(circuit, &View::Dense);
    let nominal = tallies(circuit, &View::Nominal(Liveness::one_step(circuit)));
    let alive = tallies(circuit, &View::Alive(Liveness::along_paths(circuit)));
    let mut rows: Vec<Row> = Vec::new();
    let mut row_of: HashMap<&str, usize> = HashMap::new();
    let mut total = Views::default();
    for (at, step) in circuit.steps.iter().enumerate() {
        if dense[at].is_none() {
            continue;
        }
        let row = *row_of.entry(&step.layer).or_insert_with(|| {
            rows.push(Row {
                layer: step.layer.clone(),
                views: Views::default(),
            });
            rows.len() - 1
        });
        for views in [&mut rows[row].views, &mut total] {
            views.dense.add(&dense[at].unwrap_or_default());
            views.nominal.add(&nominal[at].unwrap_or_default());
            views.alive.add(&alive[at].unwrap_or_default());
        }
    }
    Count { rows, total }
}

/// Which entries are counted.
enum View {
    Dense,
    Nominal(Liveness),
    Alive(Liveness),
}

/// How a step uses a tensor.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// An entry connects a source and a target.
    Mixing,
    /// An entry belongs to one channel and is multiplied with its pixels.
    Kernels,
    /// An entry belongs to one channel.
    Vector,
}

impl View {
    /// Whether entries that no step reads are counted.
    fn counts_unread(&self, kind: Kind) -> bool {
        match self {
            Self::Dense => true,
            Self::Nominal(_) => kind == Kind::Edges,
            Self::Alive(_) => false,
        }
    }

    /// Whether the real entries between two channels are counted. An entry of one channel has no source.
    fn counts(&self, kind: Kind, source: Option<Channel>, target: Channel) -> bool {
        match self {
            Self::Dense => true,
            Self::Nominal(_) if kind == Kind::Edges => true,
            Self::Nominal(live) => {
                live.used(target.0)[target.1]
                    && source.is_none_or(|source| live.varies(source.0)[source.1])
            }
            Self::Alive(live) => {
                let source = source.unwrap_or(target);
                live.used(target.0)[target.1] && live.varies(source.0)[source.1]
            }
        }
    }
}

/// A channel of a value.
type Channel = (ValueId, usize);

/// The entries of a tensor that are counted already.
#[derive(Default)]
struct Counted {
    entries: Vec<bool>,
    /// The first step that reads it.
    first: Option<ValueId>,
}

/// The tally of each step that reads a tensor.
fn tallies(circuit: &Circuit, view: &View) -> Vec<Option<Tally>> {
    let mut counted: Vec<Counted> = Vec::new();
    counted.resize_with(circuit.tensors.len(), Counted::default);
    let takes_part = |tensor: &Tensor, entry| matches!(view, View::Dense) || tensor.is_real(entry);
    let pixels = |value| {
        let [_, height, width] = circuit.step(value).shape;
        (height * width) as u64
    };
    let mut tallies = vec![None; circuit.steps.len()];
    for value in circuit.values() {
        let step = circuit.step(value);
        for (role, block) in readings(&step.op) {
            let tally: &mut Tally = tallies[value.0].get_or_insert_default();
            let tensor = circuit.tensor(block.tensor);
            let counted = &mut counted[block.tensor.0];
            counted.first.get_or_insert(value);
            counted.entries.resize(tensor.values.len(), false);
            let (mut parameters, mut multiplied) = (0, 0);
            for (target, &row) in block.rows.iter().enumerate() {
                for (place, &column) in block.columns.iter().enumerate() {
                    let source = (role == Role::Mixing).then(|| (step.inputs[0], place));
                    if !view.counts(tensor.kind, source, (value, target)) {
                        continue;
                    }
                    for entry in tensor.kernel(row, column) {
                        if takes_part(tensor, entry) {
                            multiplied += 1;
                            let known = std::mem::replace(&mut counted.entries[entry], true);
                            parameters += u64::from(!known);
                        }
                    }
                }
            }
            tally.add_parameters(tensor.kind, parameters);
            if role != Role::Vector {
                tally.multiply_adds += multiplied * pixels(value);
            }
        }
    }
    // Entries that no step reads.
    for (tensor, counted) in circuit.tensors.iter().zip(counted) {
        let Some(first) = counted.first.filter(|_| view.counts_unread(tensor.kind)) else {
            continue;
        };
        let unread = |&(entry, known): &(usize, bool)| !known && takes_part(tensor, entry);
        let unread = counted
            .entries
            .into_iter()
            .enumerate()
            .filter(unread)
            .count() as u64;
        let tally: &mut Tally = tallies[first.0].get_or_insert_default();
        tally.add_parameters(tensor.kind, unread);
        if !matches!(view, View::Dense) {
            tally.multiply_adds += unread * pixels(first);
        }
    }
    tallies
}

/// The tensors that a step reads.
fn readings(op: &Op) -> Vec<(Role, &Block)> {
    match op {
        Op::Conv { weight, bias, .. } => std::iter::once((Role::Mixing, weight))
            .chain(bias.iter().map(|bias| (Role::Vector, bias)))
            .collect(),
        Op::Depthwise { weight, bias, .. } => std::iter::once((Role::Kernels, weight))
            .chain(bias.iter().map(|bias| (Role::Vector, bias)))
            .collect(),
        Op::Norm {
            statistics,
            gamma,
            beta,
            ..
        } => {
            let affine = [(Role::Vector, gamma), (Role::Vector, beta)];
            match statistics {
                Statistics::Instance | Statistics::Pixel => affine.to_vec(),
                Statistics::Batch { mean, variance } => {
                    let gathered = [(Role::Vector, mean), (Role::Vector, variance)];
                    affine.into_iter().chain(gathered).collect()
                }
            }
        }
        _ => Vec::new(),
    }
}

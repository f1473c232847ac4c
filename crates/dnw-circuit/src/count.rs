//! What a circuit costs.
//!
//! Three answers, because three are asked for: what a framework without sparsity would do, what the paper's tables state,
//! what has to be done. All three are one walk over the tensors that steps read, which differs in what it counts.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::{Block, Circuit, Kind, Liveness, Op, Statistics, Tensor, ValueId};

/// Parameters and multiply-adds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Weights that are wired.
    pub edges: u64,
    /// All other weights.
    pub weights: u64,
    /// Scales and shifts of norms.
    pub norms: u64,
    /// Biases.
    pub biases: u64,
    /// Multiplications of one image's maps by edges and weights.
    pub multiply_adds: u64,
}

impl Tally {
    /// All parameters.
    pub fn parameters(&self) -> u64 {
        self.weights_and_edges() + self.norms + self.biases
    }

    /// The parameters without norms and biases, as the paper's tables have them.
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

/// The three answers.
///
/// A parameter counts once, in the row of the first step that reads it; every reading counts as multiply-adds, for every
/// pixel given, zeros of the padding included. Norms, biases, pools and sums cost no multiply-adds here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Views {
    /// Every weight and every node: what a framework without sparsity stores and computes.
    pub dense: Tally,
    /// As the paper's tables count: real edges wherever they lead; one kernel for each node with a real edge out of it; of
    /// dense convolutions and classifiers what lies between channels with a real edge in and channels with a real edge
    /// out. Deadness is seen [one step](Liveness::one_step) far, not along paths. Tables leave norms and biases out:
    /// [`Tally::weights_and_edges`].
    ///
    /// Real edges count whether or not a step reads them, because the published ranking spends budget on edges that a static
    /// graph cannot use. Those that none reads are charged, like the others of their tensor, for the pixels of the first
    /// step that reads of it.
    pub nominal: Tally,
    /// What is left when dead nodes are [removed](crate::prune) until none is: no path out, or, constant, no path in. The
    /// constants that removal leaves behind are not counted.
    pub alive: Tally,
}

/// What a layer costs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The layer.
    pub layer: String,
    /// Its cost.
    #[serde(flatten)]
    pub views: Views,
}

/// What a circuit costs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// Layer by layer, those without parameters left out, in the order in which they first run.
    pub rows: Vec<Row>,
    /// All of it.
    pub total: Views,
}

/// Counts a circuit.
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

/// Which part of each tensor counts.
enum View {
    Dense,
    Nominal(Liveness),
    Alive(Liveness),
}

/// What a step does with a tensor.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// An entry joins a source and a target.
    Mixing,
    /// An entry belongs to a channel and is multiplied with its pixels.
    Kernels,
    /// An entry belongs to a channel.
    Vector,
}

impl View {
    /// Whether entries count that no step reads.
    fn counts_unread(&self, kind: Kind) -> bool {
        match self {
            Self::Dense => true,
            Self::Nominal(_) => kind == Kind::Edges,
            Self::Alive(_) => false,
        }
    }

    /// Whether the real entries between two channels count. An entry that belongs to one channel has no source.
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

/// What has been counted of a tensor.
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
    // What no step reads.
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
                Statistics::Instance => affine.to_vec(),
                Statistics::Batch { mean, variance } => {
                    let gathered = [(Role::Vector, mean), (Role::Vector, variance)];
                    affine.into_iter().chain(gathered).collect()
                }
            }
        }
        _ => Vec::new(),
    }
}

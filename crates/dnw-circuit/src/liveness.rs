//! Which channels do anything.
//!
//! A channel is alive if a path of real edges leads to it from the image and another from it to the result. One pass forward
//! finds the former, one backward the latter, and both together are what removing dead nodes again and again
//! would end in: if a channel is alive, so is every channel on the two paths, hence nothing that keeps it alive is ever
//! removed.
//!
//! Paths are followed in the structure. An edge of weight zero is an edge; so is one whose taps only ever meet the padding; a
//! node that its ReLU keeps at zero is alive.

use crate::{Circuit, Op, Step, ValueId};

/// For every value and channel, whether something comes in and something goes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Liveness {
    varies: Vec<Vec<bool>>,
    used: Vec<Vec<bool>>,
}

/// How far is looked for something that comes in or goes out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// Along whole paths.
    Path,
    /// To the next edges of any convolution that mixes channels, whatever lies beyond.
    Edge,
}

impl Liveness {
    /// Along paths from the image and to the result.
    pub fn along_paths(circuit: &Circuit) -> Self {
        Self::new(circuit, Reach::Path)
    }

    /// One step around each channel, which is how published counts see dead nodes: something comes in if the row of its
    /// weight has a real entry, something goes out if its column has one, wherever that leads and even if no step reads
    /// it. Channels that norms, kernels of their own, pools and the like pass on unmixed are one node; the image
    /// comes in and the result goes out.
    pub fn one_step(circuit: &Circuit) -> Self {
        Self::new(circuit, Reach::Edge)
    }

    fn new(circuit: &Circuit, reach: Reach) -> Self {
        let nothing: Vec<Vec<bool>> = circuit
            .steps
            .iter()
            .map(|step| vec![false; step.shape[0]])
            .collect();
        let (mut varies, mut used) = (nothing.clone(), nothing);
        varies[0].fill(true);
        for (at, step) in circuit.steps.iter().enumerate() {
            let mut given = std::mem::take(&mut varies[at]);
            match &step.op {
                Op::Conv { weight, .. } if reach == Reach::Edge => {
                    let tensor = circuit.tensor(weight.tensor);
                    let joined = |row| (0..tensor.shape[1]).any(|column| tensor.joins(row, column));
                    given = weight.rows.iter().map(|&row| joined(row)).collect();
                }
                _ => for_each_link(circuit, step, |input, source, target| {
                    given[target] |= varies[input.0][source];
                }),
            }
            varies[at] = given;
        }
        used[circuit.output.0].fill(true);
        for (at, step) in circuit.steps.iter().enumerate().rev() {
            let given = std::mem::take(&mut used[at]);
            match &step.op {
                Op::Conv { weight, .. } if reach == Reach::Edge => {
                    let tensor = circuit.tensor(weight.tensor);
                    let joined = |column| (0..tensor.shape[0]).any(|row| tensor.joins(row, column));
                    for (source, &column) in weight.columns.iter().enumerate() {
                        used[step.inputs[0].0][source] |= joined(column);
                    }
                }
                _ => for_each_link(circuit, step, |input, source, target| {
                    used[input.0][source] |= given[target];
                }),
            }
            used[at] = given;
        }
        Self { varies, used }
    }

    /// For each channel, whether something comes in. If not, it is the same for every image.
    pub fn varies(&self, value: ValueId) -> &[bool] {
        &self.varies[value.0]
    }

    /// For each channel, whether something goes out. If not, the result does not depend on it.
    pub fn used(&self, value: ValueId) -> &[bool] {
        &self.used[value.0]
    }

    /// The channels with both.
    pub fn alive(&self, value: ValueId) -> impl Iterator<Item = usize> + '_ {
        let both = self.varies(value).iter().zip(self.used(value));
        both.enumerate()
            .filter_map(|(channel, (&varies, &used))| (varies && used).then_some(channel))
    }
}

/// Calls `link(input, source, target)` for each channel that a step reads and each that it then gives something of it.
fn for_each_link(circuit: &Circuit, step: &Step, mut link: impl FnMut(ValueId, usize, usize)) {
    match &step.op {
        Op::Input | Op::Constant(_) => {}
        Op::Conv { weight, .. } => {
            let tensor = circuit.tensor(weight.tensor);
            for (target, &row) in weight.rows.iter().enumerate() {
                for (source, &column) in weight.columns.iter().enumerate() {
                    if tensor.joins(row, column) {
                        link(step.inputs[0], source, target);
                    }
                }
            }
        }
        Op::Depthwise { weight, .. } => {
            let tensor = circuit.tensor(weight.tensor);
            for (channel, &row) in weight.rows.iter().enumerate() {
                if tensor.joins(row, weight.columns[0]) {
                    link(step.inputs[0], channel, channel);
                }
            }
        }
        Op::Norm { .. } | Op::Relu | Op::Sum(_) | Op::Crop { .. } | Op::Pool { .. } => {
            for &input in &step.inputs {
                (0..step.shape[0]).for_each(|channel| link(input, channel, channel));
            }
        }
        Op::Concat => {
            let mut target = 0;
            for &input in &step.inputs {
                for source in 0..circuit.step(input).shape[0] {
                    link(input, source, target);
                    target += 1;
                }
            }
        }
        Op::Select(channels) => {
            for (target, &source) in channels.iter().enumerate() {
                link(step.inputs[0], source, target);
            }
        }
        Op::Flatten | Op::Fold(_) => {
            let share = step.shape[0] / circuit.step(step.inputs[0]).shape[0];
            (0..step.shape[0]).for_each(|target| link(step.inputs[0], target / share, target));
        }
    }
}

//! Which channels are alive.
//!
//! A channel is alive if a path of real edges leads from the image to it and another from it to the result. One forward pass
//! over the steps finds the former, one backward pass the latter. The outcome is the same as removing dead nodes repeatedly
//! until none is left: all channels on the two paths of a live channel are alive, so none of them is ever removed.
//!
//! Only the structure counts. An edge of weight zero is an edge, and so is one whose filter taps only ever read the padding; a node
//! whose ReLU always outputs zero is alive.

use crate::{Circuit, Op, Statistics, Step, ValueId};

/// For every channel of every value, whether it depends on the image and whether the result depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Liveness {
    varies: Vec<Vec<bool>>,
    used: Vec<Vec<bool>>,
}

/// How far paths are followed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// Along whole paths.
    Path,
    /// To the nearest convolution that mixes channels.
    Edge,
}

impl Liveness {
    /// Liveness by whole paths from the image and to the result.
    pub fn along_paths(circuit: &Circuit) -> Self {
        Self::new(circuit, Reach::Path)
    }

    /// Liveness by the nearest edges, which is the published definition of dead nodes: a channel has an input if its row of
    /// the weight has a real entry, and an output if its column has one, wherever that edge leads and even if no step reads
    /// it. Channels that norms, depthwise convolutions and pools pass on without mixing are one node. The image has an input and the
    /// result has an output.
    pub fn one_step(circuit: &Circuit) -> Self {
        Self::new(circuit, Reach::Edge)
    }

    fn new(circuit: &Circuit, reach: Reach) -> Self {
        let none: Vec<Vec<bool>> = circuit
            .steps
            .iter()
            .map(|step| vec![false; step.shape[0]])
            .collect();
        let (mut varies, mut used) = (none.clone(), none);
        varies[0].fill(true);
        for (at, step) in circuit.steps.iter().enumerate() {
            let mut flags = std::mem::take(&mut varies[at]);
            match &step.op {
                Op::Conv { weight, .. } if reach == Reach::Edge => {
                    let tensor = circuit.tensor(weight.tensor);
                    let joined = |row| (0..tensor.shape[1]).any(|column| tensor.joins(row, column));
                    flags = weight.rows.iter().map(|&row| joined(row)).collect();
                }
                _ => for_each_link(circuit, step, |input, source, target| {
                    flags[target] |= varies[input.0][source];
                }),
            }
            varies[at] = flags;
        }
        used[circuit.output.0].fill(true);
        for (at, step) in circuit.steps.iter().enumerate().rev() {
            let flags = std::mem::take(&mut used[at]);
            match &step.op {
                Op::Conv { weight, .. } if reach == Reach::Edge => {
                    let tensor = circuit.tensor(weight.tensor);
                    let joined = |column| (0..tensor.shape[0]).any(|row| tensor.joins(row, column));
                    for (source, &column) in weight.columns.iter().enumerate() {
                        used[step.inputs[0].0][source] |= joined(column);
                    }
                }
                _ => for_each_link(circuit, step, |input, source, target| {
                    used[input.0][source] |= flags[target];
                }),
            }
            used[at] = flags;
        }
        Self { varies, used }
    }

    /// For each channel, whether it has an input. If not, it is the same for every image.
    pub fn varies(&self, value: ValueId) -> &[bool] {
        &self.varies[value.0]
    }

    /// For each channel, whether it has an output. If not, the result does not depend on it.
    pub fn used(&self, value: ValueId) -> &[bool] {
        &self.used[value.0]
    }

    /// The live channels: those with an input and an output.
    pub fn alive(&self, value: ValueId) -> impl Iterator<Item = usize> + '_ {
        let both = self.varies(value).iter().zip(self.used(value));
        both.enumerate()
            .filter_map(|(channel, (&varies, &used))| (varies && used).then_some(channel))
    }
}

/// Calls `link(input, source, target)` for each pair of an input channel and an output channel of a step where the output depends on the
/// input.
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
        Op::Softmax
        | Op::Reshape
        | Op::Norm {
            statistics: Statistics::Pixel,
            ..
        } => {
            for target in 0..step.shape[0] {
                let sources = circuit.step(step.inputs[0]).shape[0];
                (0..sources).for_each(|source| link(step.inputs[0], source, target));
            }
        }
        Op::Norm { .. }
        | Op::Relu
        | Op::Activation(_)
        | Op::Product
        | Op::Sum(_)
        | Op::Crop { .. }
        | Op::Resample { .. }
        | Op::Pool { .. } => {
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
        Op::Unfold(side) => {
            let sources = circuit.step(step.inputs[0]).shape[0];
            let target = |source: usize| source / (side * side);
            (0..sources).for_each(|source| link(step.inputs[0], source, target(source)));
        }
    }
}

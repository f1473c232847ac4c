//! The work of an update for each image, and the memory that the backward pass needs.
//!
//! A [circuit](dnw_circuit) describes what a network computes, not how training computes it. This counts, step by step, how many values the
//! operations of the models keep for their gradients, and how many they read and write.

use dnw_circuit::{Circuit, Kind, Op, Statistics, Step, Tensor, ValueId};

/// The work of one image, forward and backward.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Multiply-adds of forward convolutions and linear layers over every possible edge, without depthwise convolutions.
    pub dense_products: u64,
    /// Of these, the multiply-adds that kernels for wirings may skip: 1 x 1 edges in graphs.
    pub graph_products: u64,
    /// Of these, the multiply-adds of real edges.
    pub real_products: u64,
    /// Values that are kept for the backward pass.
    pub kept: u64,
    /// Values that operations other than products read and write, forward and backward.
    pub moved: u64,
    /// Values of the largest feature map with all channels.
    pub largest_map: u64,
}

/// How often an operation reads or writes a feature map, forward and backward together. Batch norm: mean, variance, output, and
/// in the backward pass two sums and the gradient. A 3 x 3 depthwise convolution reads its neighbours from the cache; three passes of nine
/// multiply-adds, vectorised, cost about as much as this many reads.
mod passes {
    pub(super) const NORM: u64 = 14;
    pub(super) const RELU: u64 = 5;
    pub(super) const DEPTHWISE: u64 = 16;
    pub(super) const COPY: u64 = 5;
}

/// The work of a circuit.
pub(super) fn work(circuit: &Circuit) -> Work {
    let size = |value: ValueId| circuit.step(value).shape.iter().product::<usize>() as u64;
    let mut kept = vec![false; circuit.steps().len()];
    let mut besides = 0;
    let mut work = Work::default();
    for value in circuit.values() {
        let step = circuit.step(value);
        let own = size(value);
        work.largest_map = work.largest_map.max(own);
        match &step.op {
            Op::Conv { weight, .. } => {
                kept[step.inputs[0].index()] = true;
                let tensor = circuit.tensor(weight.tensor);
                let products = products(tensor, weight, step);
                work.dense_products += products.dense;
                if is_graph(tensor) {
                    work.graph_products += products.dense;
                    work.real_products += products.real;
                }
            }
            Op::Depthwise { .. } => {
                work.moved += passes::DEPTHWISE * own;
                // A graph's nodes are one operation, which keeps its input and computes the rest again.
                if !is_of_a_fused_node(circuit, step) {
                    kept[step.inputs[0].index()] = true;
                }
            }
            Op::Norm { statistics, .. } => {
                kept[step.inputs[0].index()] = true;
                work.moved += passes::NORM * own;
                if *statistics == Statistics::Instance && !feeds_a_fused_node(circuit, value) {
                    // Plain tensor operations: the centred input, its quotient by the root of the variance, the product with the scale.
                    besides += 3 * own;
                }
            }
            Op::Relu => {
                work.moved += passes::RELU * own;
                if !feeds_a_fused_depthwise(circuit, value) {
                    kept[value.index()] = true;
                }
            }
            Op::Concat
            | Op::Sum(_)
            | Op::Pool { .. }
            | Op::Activation(_)
            | Op::Product
            | Op::Softmax => work.moved += passes::COPY * own,
            _ => {}
        }
    }
    let sizes = circuit
        .values()
        .filter(|value| kept[value.index()])
        .map(size);
    work.kept = sizes.sum::<u64>() + besides;
    work
}

/// Whether a tensor holds the edges of a graph, whose kernels visit real edges only. Recognised by the models' names for graphs.
pub(super) fn is_graph(tensor: &Tensor) -> bool {
    let name = tensor.name();
    tensor.kind() == Kind::Edges && (name.ends_with("graph.weight") || name.starts_with("stages."))
}

struct Products {
    dense: u64,
    real: u64,
}

fn products(tensor: &Tensor, block: &dnw_circuit::Block, step: &Step) -> Products {
    let [_, columns, height, width] = tensor.shape();
    let area = height * width;
    let pixels = (step.shape[1] * step.shape[2]) as u64;
    let dense = (block.rows.len() * block.columns.len() * area) as u64;
    let real = if is_graph(tensor) {
        let entry = |row: usize, column: usize| row * columns + column;
        let rows = block.rows.iter();
        let real =
            rows.flat_map(|&row| block.columns.iter().map(move |&column| entry(row, column)));
        real.filter(|&entry| tensor.is_real(entry)).count() as u64
    } else {
        dense
    };
    Products {
        dense: dense * pixels,
        real: real * pixels,
    }
}

/// The readers of a value.
fn readers(circuit: &Circuit, value: ValueId) -> impl Iterator<Item = ValueId> {
    let reads = move |reader: &ValueId| circuit.step(*reader).inputs.contains(&value);
    circuit.values().filter(reads)
}

/// On CPUs, instance norm, ReLU and depthwise convolution are one operation.
fn is_of_a_fused_node(circuit: &Circuit, depthwise: &Step) -> bool {
    let relu = circuit.step(depthwise.inputs[0]);
    if relu.op != Op::Relu {
        return false;
    }
    let norm = circuit.step(relu.inputs[0]);
    matches!(
        &norm.op,
        Op::Norm {
            statistics: Statistics::Instance,
            ..
        }
    ) && readers(circuit, relu.inputs[0]).count() == 1
}

fn feeds_a_fused_depthwise(circuit: &Circuit, relu: ValueId) -> bool {
    let mut readers = readers(circuit, relu);
    readers.any(|reader| {
        let step = circuit.step(reader);
        matches!(step.op, Op::Depthwise { .. }) && is_of_a_fused_node(circuit, step)
    })
}

fn feeds_a_fused_node(circuit: &Circuit, norm: ValueId) -> bool {
    let mut readers = readers(circuit, norm);
    readers.any(|relu| circuit.step(relu).op == Op::Relu && feeds_a_fused_depthwise(circuit, relu))
}

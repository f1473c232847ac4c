//! What an update does for each image of its batch, and what it keeps until it goes back.
//!
//! A [circuit](dnw_circuit) says what a network computes, not how training does. This counts, step by step, what the operations that
//! the models use leave in memory for their gradients and how many numbers they read and write.

use dnw_circuit::{Circuit, Kind, Op, Statistics, Step, Tensor, ValueId};

/// The work of one image, forward and backward.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Multiply-adds of forward convolutions and linear layers over every possible edge, depthwise kernels left out.
    pub dense_products: u64,
    /// Of those, the ones that kernels for wirings may skip forward: of 1 x 1 edges in graphs.
    pub graph_products: u64,
    /// What is left of the latter where only real edges are visited.
    pub real_products: u64,
    /// Numbers that are kept until the backward pass needs them.
    pub kept: u64,
    /// Numbers that operations other than products read and write, forward and backward.
    pub moved: u64,
    /// Numbers of the largest map of all channels.
    pub largest_map: u64,
}

/// Times that an operation reads or writes a map of its size, forward and backward together. Batch norm: mean, variance, result, and
/// backward two sums and the gradient. A 3 x 3 depthwise convolution reads its neighbours from the cache; three passes of nine
/// multiplications, of which a core makes several at a time, weigh about as much as so many reads.
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
                // A graph's nodes are one operation, which keeps what they gathered and computes the rest again.
                if !is_of_a_fused_node(circuit, step) {
                    kept[step.inputs[0].index()] = true;
                }
            }
            Op::Norm { statistics, .. } => {
                kept[step.inputs[0].index()] = true;
                work.moved += passes::NORM * own;
                if *statistics == Statistics::Instance && !feeds_a_fused_node(circuit, value) {
                    // Made of plain tensors: what was centred, its square root's quotient, the product with the scale.
                    besides += 3 * own;
                }
            }
            Op::Relu => {
                work.moved += passes::RELU * own;
                if !feeds_a_fused_depthwise(circuit, value) {
                    kept[value.index()] = true;
                }
            }
            Op::Concat | Op::Sum(_) | Op::Pool { .. } => work.moved += passes::COPY * own,
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

/// Whether a tensor is the edges of a graph, which kernels visit one by one: by the names that the models give their graphs.
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

/// Instance norm, ReLU and depthwise convolution in a row are one operation on the CPU.
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

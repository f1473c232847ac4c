//! From a circuit to a graph of layers.

use dnw_circuit as circuit;
use dnw_circuit::{Block, Circuit, Statistics, Step, TensorId};
use dnw_runtime::plan::{Activation, Function, Pool, Taps, Window};

use crate::graph::{Conv, Edge, Graph, Node, Op};

pub(crate) fn lower(circuit: &Circuit) -> Graph {
    let nodes = circuit.steps().iter().map(|step| Node {
        layer: step.layer.clone(),
        op: op(circuit, step),
        inputs: step.inputs.iter().map(|input| input.index()).collect(),
        shape: step.shape,
        relu: step.op == circuit::Op::Relu,
    });
    Graph {
        nodes: nodes.collect(),
        output: circuit.output().index(),
    }
}

fn op(circuit: &Circuit, step: &Step) -> Op {
    match &step.op {
        circuit::Op::Input => Op::Input,
        circuit::Op::Constant(values) => Op::Constant(values.clone()),
        circuit::Op::Conv {
            weight,
            bias,
            window,
        } => Op::Conv(Conv {
            edges: weight
                .rows
                .iter()
                .map(|&row| edges(circuit, weight, row))
                .collect(),
            bias: bias_of(circuit, bias.as_ref(), step.shape[0]),
            window: window_of(circuit, weight.tensor, *window),
            then: None,
        }),
        circuit::Op::Depthwise {
            weight,
            bias,
            window,
        } => {
            let tensor = circuit.tensor(weight.tensor);
            let [_, columns, height, width] = tensor.shape();
            let taps = height * width;
            let weights = weight.rows.iter().flat_map(|&row| {
                let first = (row * columns + weight.columns[0]) * taps;
                (first..first + taps).map(|entry| match tensor.is_real(entry) {
                    true => f64::from(tensor.values()[entry]),
                    false => 0.0,
                })
            });
            Op::Depthwise {
                weights: weights.collect(),
                bias: bias_of(circuit, bias.as_ref(), step.shape[0]),
                window: window_of(circuit, weight.tensor, *window),
            }
        }
        circuit::Op::Norm {
            statistics,
            gamma,
            beta,
            epsilon,
        } => {
            let (mut scale, mut shift) = (vector(circuit, gamma), vector(circuit, beta));
            match statistics {
                Statistics::Batch { mean, variance } => {
                    let (mean, variance) = (vector(circuit, mean), vector(circuit, variance));
                    for channel in 0..scale.len() {
                        scale[channel] /= (variance[channel] + epsilon).sqrt();
                        shift[channel] -= mean[channel] * scale[channel];
                    }
                    Op::Norm {
                        scale,
                        shift,
                        epsilon: None,
                    }
                }
                Statistics::Pixel => Op::PixelNorm {
                    scale,
                    shift,
                    epsilon: *epsilon,
                },
                _ => Op::Norm {
                    scale,
                    shift,
                    epsilon: Some(*epsilon),
                },
            }
        }
        // The node's flag makes it a ReLU.
        circuit::Op::Relu => Op::Sum(vec![1.0]),
        circuit::Op::Sum(coefficients) => Op::Sum(coefficients.clone()),
        circuit::Op::Activation(activation) => Op::Activation(activation_of(*activation)),
        circuit::Op::Product => Op::Product,
        circuit::Op::Softmax => Op::Softmax,
        circuit::Op::Concat => Op::Concat,
        circuit::Op::Select(channels) => Op::Select(channels.clone()),
        &circuit::Op::Crop { top, left } => Op::Crop { top, left },
        &circuit::Op::Pool {
            pool,
            kernel,
            stride,
            padding,
        } => Op::Pool {
            pool: match pool {
                circuit::Pool::Max => Pool::Max,
                circuit::Pool::InnerAverage => Pool::InnerAverage,
                _ => Pool::Average,
            },
            window: Window {
                kernel,
                stride,
                padding,
                dilation: [1; 2],
            },
        },
        circuit::Op::Resample { rows, columns } => Op::Resample {
            rows: taps_of(rows),
            columns: taps_of(columns),
        },
        circuit::Op::Flatten => Op::Flatten,
        circuit::Op::Reshape => Op::Reshape,
        &circuit::Op::Fold(side) => Op::Fold(side),
        &circuit::Op::Unfold(side) => Op::Unfold(side),
        other => unreachable!("an operation that is not compiled: {other:?}"),
    }
}

/// The real edges into a row, ascending by source and tap.
fn edges(circuit: &Circuit, weight: &Block, row: usize) -> Vec<Edge> {
    let tensor = circuit.tensor(weight.tensor);
    let [_, columns, height, width] = tensor.shape();
    let taps = height * width;
    let mut edges = Vec::new();
    for (source, &column) in weight.columns.iter().enumerate() {
        let first = (row * columns + column) * taps;
        for tap in (0..taps).filter(|tap| tensor.is_real(first + tap)) {
            let weight = f64::from(tensor.values()[first + tap]);
            // A zero takes part in nothing.
            if weight != 0.0 {
                edges.push(Edge {
                    source,
                    tap,
                    weight,
                });
            }
        }
    }
    edges
}

fn vector(circuit: &Circuit, block: &Block) -> Vec<f64> {
    let values = circuit.tensor(block.tensor).values();
    block
        .rows
        .iter()
        .map(|&row| f64::from(values[row]))
        .collect()
}

fn bias_of(circuit: &Circuit, bias: Option<&Block>, targets: usize) -> Vec<f64> {
    bias.map_or_else(|| vec![0.0; targets], |bias| vector(circuit, bias))
}

fn window_of(circuit: &Circuit, weight: TensorId, window: circuit::Window) -> Window {
    let [.., height, width] = circuit.tensor(weight).shape();
    Window {
        kernel: [height, width],
        stride: window.stride,
        padding: window.padding,
        dilation: window.dilation,
    }
}

fn taps_of(taps: &circuit::Taps) -> Taps {
    let (mut starts, mut inputs, mut weights) = (vec![0], Vec::new(), Vec::new());
    for output in taps.outputs() {
        inputs.extend(output.iter().map(|&(input, _)| input as u32));
        weights.extend(output.iter().map(|&(_, weight)| weight as f32));
        starts.push(inputs.len() as u32);
    }
    Taps {
        starts,
        inputs,
        weights,
    }
}

/// An activation with constants of 32 bits.
fn activation_of(activation: circuit::Activation) -> Activation {
    // Not beyond the largest 32-bit number.
    let float = |x: f64| (x as f32).clamp(f32::MIN, f32::MAX);
    let function = match activation.function {
        circuit::Function::Clip { low, high } => Function::Clip {
            low: float(low),
            high: float(high),
        },
        circuit::Function::LeakyRelu { slope } => Function::LeakyRelu {
            slope: float(slope),
        },
        circuit::Function::HardSigmoid { slope, shift } => Function::HardSigmoid {
            slope: float(slope),
            shift: float(shift),
        },
        circuit::Function::Sigmoid => Function::Sigmoid,
        circuit::Function::Normal => Function::Normal,
        circuit::Function::Softplus => Function::Softplus,
        circuit::Function::Exp => Function::Exp,
        circuit::Function::Ln => Function::Ln,
        circuit::Function::Sqrt => Function::Sqrt,
        circuit::Function::Reciprocal => Function::Reciprocal,
        circuit::Function::Abs => Function::Abs,
        other => unreachable!("a function that is not compiled: {other:?}"),
    };
    Activation {
        function,
        gated: activation.gated,
    }
}

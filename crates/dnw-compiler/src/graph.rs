//! The graph of layers that the passes work on.

use dnw_runtime::plan::{Activation, Pool, Taps, Window};

/// A network. Each node reads outputs of earlier nodes.
#[derive(Clone, Debug)]
pub(crate) struct Graph {
    pub(crate) nodes: Vec<Node>,
    pub(crate) output: usize,
}

/// A layer.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// The layer of the circuit that it comes from.
    pub(crate) layer: String,
    pub(crate) op: Op,
    /// The nodes whose outputs it reads.
    pub(crate) inputs: Vec<usize>,
    /// `[channels, height, width]` of its output.
    pub(crate) shape: [usize; 3],
    /// Whether negative outputs become zero.
    pub(crate) relu: bool,
}

/// What a node computes.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    /// The image.
    Input,
    /// The same for every image.
    Constant(Vec<f64>),
    /// A convolution; a second input is added to its output.
    Conv(Conv),
    /// A depthwise convolution: `[channels, taps]` weights.
    Depthwise {
        weights: Vec<f64>,
        bias: Vec<f64>,
        window: Window,
    },
    /// A scale and a shift for each channel, after an instance norm if `epsilon` is given.
    Norm {
        scale: Vec<f64>,
        shift: Vec<f64>,
        epsilon: Option<f64>,
    },
    /// A layer norm over the channels of each pixel.
    PixelNorm {
        scale: Vec<f64>,
        shift: Vec<f64>,
        epsilon: f64,
    },
    /// A weighted sum.
    Sum(Vec<f64>),
    /// A function of each pixel.
    Activation(Activation),
    /// The product of two inputs; the second may have one pixel for each channel.
    Product,
    /// A softmax over the channels of each pixel.
    Softmax,
    /// All channels of the inputs.
    Concat,
    /// These channels.
    Select(Vec<usize>),
    /// A part of each map, from this line and column on.
    Crop { top: usize, left: usize },
    /// A pool.
    Pool { pool: Pool, window: Window },
    /// Weighted sums of rows and of columns.
    Resample { rows: Taps, columns: Taps },
    /// `[channels, height, width]` to `[channels * height * width, 1, 1]`.
    Flatten,
    /// The same numbers in another shape.
    Reshape,
    /// Blocks of pixels to channels.
    Fold(usize),
    /// Channels to blocks of pixels.
    Unfold(usize),
    /// What another node has taken over; nobody reads it.
    Removed,
}

/// A convolution over its real edges.
#[derive(Clone, Debug)]
pub(crate) struct Conv {
    /// The edges of each target, ascending by source and tap.
    pub(crate) edges: Vec<Vec<Edge>>,
    pub(crate) bias: Vec<f64>,
    pub(crate) window: Window,
    /// A depthwise convolution that follows at once; the node's shape and ReLU are those of its output.
    pub(crate) then: Option<Then>,
}

/// A depthwise convolution of a convolution's output.
#[derive(Clone, Debug)]
pub(crate) struct Then {
    /// `[channels, taps]`.
    pub(crate) weights: Vec<f64>,
    pub(crate) bias: Vec<f64>,
    pub(crate) window: Window,
    /// Height and width of the convolution's own output.
    pub(crate) map: [usize; 2],
    /// Whether negative values of it become zero.
    pub(crate) relu: bool,
}

/// A weight that takes part.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Edge {
    pub(crate) source: usize,
    /// `y * kernel width + x`.
    pub(crate) tap: usize,
    pub(crate) weight: f64,
}

impl Graph {
    /// How many nodes read each node; the output counts as one more.
    pub(crate) fn readers(&self) -> Vec<usize> {
        let mut readers = vec![0; self.nodes.len()];
        for node in &self.nodes {
            for &input in &node.inputs {
                readers[input] += 1;
            }
        }
        readers[self.output] += 1;
        readers
    }

    /// Removes nodes that nobody reads, so that they do not count as readers of others.
    pub(crate) fn remove_unread(&mut self) {
        // Readers come behind what they read.
        let mut readers = self.readers();
        for at in (0..self.nodes.len()).rev() {
            let node = &mut self.nodes[at];
            if readers[at] == 0 && !matches!(node.op, Op::Input) {
                node.op = Op::Removed;
                for input in std::mem::take(&mut node.inputs) {
                    readers[input] -= 1;
                }
            }
        }
    }

    /// Takes a node out: its readers read `instead`.
    pub(crate) fn replace(&mut self, node: usize, instead: usize) {
        for other in &mut self.nodes {
            for input in &mut other.inputs {
                if *input == node {
                    *input = instead;
                }
            }
        }
        if self.output == node {
            self.output = instead;
        }
        self.nodes[node].op = Op::Removed;
        self.nodes[node].inputs.clear();
    }
}

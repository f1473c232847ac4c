//! What a circuit is made of.

use crate::{CircuitError, Tensor, TensorId};

/// What a step gives: `[channels, height, width]` for each image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValueId(pub(crate) usize);

impl ValueId {
    /// The place of its step in [`Circuit::steps`].
    pub fn index(self) -> usize {
        self.0
    }
}

/// A network from pixels to logits. Valid by construction: see [`CircuitBuilder`](crate::CircuitBuilder).
///
/// Every step gives one value and reads earlier ones, so the order of the steps is an order to run them in. The first step
/// is the only [`Op::Input`].
#[derive(Clone, Debug, PartialEq)]
pub struct Circuit {
    pub(crate) tensors: Vec<Tensor>,
    pub(crate) steps: Vec<Step>,
    pub(crate) output: ValueId,
}

/// One step of a circuit.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The layer that it belongs to.
    pub layer: String,
    /// What it does.
    pub op: Op,
    /// What it reads.
    pub inputs: Vec<ValueId>,
    /// The shape of what it gives, `[channels, height, width]`.
    pub shape: [usize; 3],
}

/// What a step does.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// The image.
    Input,
    /// The same maps for every image: nodes that start at zero, or what [`prune`](crate::prune) has folded. In `f64`, so
    /// that folding rounds nothing.
    Constant(Vec<f64>),
    /// Every target gathers from every source over real entries. A linear layer is one with 1 x 1 kernels on maps of one
    /// pixel.
    Conv {
        /// A row for each channel given, a column for each channel read.
        weight: Block,
        /// A row for each channel given.
        bias: Option<Block>,
        /// How kernels move over the maps.
        window: Window,
    },
    /// One kernel for each channel.
    Depthwise {
        /// A row for each channel, one column.
        weight: Block,
        /// A row for each channel.
        bias: Option<Block>,
        /// How kernels move over the maps.
        window: Window,
    },
    /// `gamma (x - mean) / sqrt(variance + epsilon) + beta`, channel by channel.
    Norm {
        /// Whence mean and variance.
        statistics: Statistics,
        /// Scales, a row for each channel.
        gamma: Block,
        /// Shifts, a row for each channel.
        beta: Block,
        /// Keeps the root from zero.
        epsilon: f64,
    },
    /// Zero where negative.
    Relu,
    /// `sum of a_i x_i` over the inputs, for these `a`.
    Sum(Vec<f64>),
    /// The channels of all inputs, one after the other.
    Concat,
    /// These channels, in this order.
    Select(Vec<usize>),
    /// The window of the step's own height and width whose first pixel this is.
    Crop {
        /// First row of pixels.
        top: usize,
        /// First column of pixels.
        left: usize,
    },
    /// One number for each window of pixels, channel by channel.
    Pool {
        /// Which number.
        pool: Pool,
        /// Height and width of a window.
        kernel: [usize; 2],
        /// Pixels from window to window.
        stride: [usize; 2],
        /// Pixels added on each side, which are never the largest; none when averaging.
        padding: [usize; 2],
    },
    /// `[c, h, w]` to `[c h w, 1, 1]`, channel by channel, row by row.
    Flatten,
    /// Blocks of `f x f` pixels to channels, `[c, h, w]` to `[c f f, h / f, w / f]`: the channels of one channel follow
    /// each other, row by row of the block.
    Fold(usize),
}

/// Whence a norm has its mean and variance.
#[derive(Clone, Debug, PartialEq)]
pub enum Statistics {
    /// From training, the same for every image: a batch norm at evaluation.
    Batch {
        /// A row for each channel.
        mean: Block,
        /// A row for each channel.
        variance: Block,
    },
    /// From the pixels of the channel, the variance being the mean square deviation.
    Instance,
}

/// Which number stands for a window of pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pool {
    /// The largest.
    Max,
    /// The mean.
    Average,
}

/// Rows and columns of a tensor.
///
/// A neural graph has one weight for all its edges; each level reads the rows of its nodes and the columns of those
/// that feed it, and a graph in discrete time reads the same block at every time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The tensor.
    pub tensor: TensorId,
    /// Its rows, in the order of the channels given.
    pub rows: Vec<usize>,
    /// Its columns, in the order of the channels read.
    pub columns: Vec<usize>,
}

impl Block {
    /// These rows and columns.
    pub fn new(
        tensor: TensorId,
        rows: impl IntoIterator<Item = usize>,
        columns: impl IntoIterator<Item = usize>,
    ) -> Self {
        Self {
            tensor,
            rows: rows.into_iter().collect(),
            columns: columns.into_iter().collect(),
        }
    }

    /// These rows of a tensor of one column: part of a bias, a norm or the kernels of nodes.
    pub fn rows(tensor: TensorId, rows: impl IntoIterator<Item = usize>) -> Self {
        Self::new(tensor, rows, [0])
    }
}

/// How kernels move over maps; heights first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Pixels from one place to the next.
    pub stride: [usize; 2],
    /// Zeros added on each side.
    pub padding: [usize; 2],
    /// Pixels from one entry of the kernel to the next.
    pub dilation: [usize; 2],
}

impl Default for Window {
    /// Stride 1, no padding, dilation 1.
    fn default() -> Self {
        Self {
            stride: [1; 2],
            padding: [0; 2],
            dilation: [1; 2],
        }
    }
}

impl Window {
    /// A square window with this stride and padding.
    pub fn square(stride: usize, padding: usize) -> Self {
        Self {
            stride: [stride; 2],
            padding: [padding; 2],
            ..Self::default()
        }
    }
}

impl Circuit {
    /// The tensors, in the order in which they were added.
    pub fn tensors(&self) -> &[Tensor] {
        &self.tensors
    }

    /// A tensor.
    pub fn tensor(&self, id: TensorId) -> &Tensor {
        &self.tensors[id.0]
    }

    /// The steps, in an order to run them in.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The step that gives a value.
    pub fn step(&self, value: ValueId) -> &Step {
        &self.steps[value.0]
    }

    /// The values, in the order of their steps.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = ValueId> + use<> {
        (0..self.steps.len()).map(ValueId)
    }

    /// The value that is the result.
    pub fn output(&self) -> ValueId {
        self.output
    }

    /// The shape of the image, `[channels, height, width]`.
    pub fn image(&self) -> [usize; 3] {
        self.steps[0].shape
    }

    /// The same circuit with another of its values as the result.
    ///
    /// # Errors
    /// [`CircuitError::NoSuchValue`] if it has no such value.
    pub fn with_output(mut self, output: ValueId) -> Result<Self, CircuitError> {
        if output.0 >= self.steps.len() {
            return Err(CircuitError::NoSuchValue {
                layer: "the result".to_owned(),
            });
        }
        self.output = output;
        Ok(self)
    }
}

//! Circuits and their steps.

use crate::{Activation, CircuitError, Taps, Tensor, TensorId};

/// The identifier of a step's output, which has the shape `[channels, height, width]` for each image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValueId(pub(crate) usize);

impl ValueId {
    /// The index of its step in [`Circuit::steps`].
    pub fn index(self) -> usize {
        self.0
    }
}

/// A network from pixels to logits. A [`CircuitBuilder`](crate::CircuitBuilder) builds it and checks that it is valid.
///
/// Every step has one output and reads outputs of earlier steps, so the steps are in execution order. The first step is the
/// only [`Op::Input`].
#[derive(Clone, Debug, PartialEq)]
pub struct Circuit {
    pub(crate) tensors: Vec<Tensor>,
    pub(crate) steps: Vec<Step>,
    pub(crate) output: ValueId,
}

/// One step of a circuit.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Step {
    /// The layer that it belongs to.
    pub layer: String,
    /// Its operation.
    pub op: Op,
    /// Its inputs.
    pub inputs: Vec<ValueId>,
    /// The shape of its output, `[channels, height, width]`.
    pub shape: [usize; 3],
}

/// The operation of a step.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Op {
    /// The image.
    Input,
    /// Feature maps that are the same for every image: nodes that start at zero, or constants that [`prune`](crate::prune) folded.
    /// In `f64`, so that folding does not round.
    Constant(Vec<f64>),
    /// A convolution over the real entries of its weight. A linear layer is a convolution with a 1 x 1 kernel on feature maps of one
    /// pixel.
    Conv {
        /// A row for each output channel, a column for each input channel.
        weight: Block,
        /// A row for each output channel.
        bias: Option<Block>,
        /// Stride, padding and dilation.
        window: Window,
    },
    /// A depthwise convolution: one kernel per channel.
    Depthwise {
        /// A row for each channel, one column.
        weight: Block,
        /// A row for each channel.
        bias: Option<Block>,
        /// Stride, padding and dilation.
        window: Window,
    },
    /// `gamma (x - mean) / sqrt(variance + epsilon) + beta`, channel by channel.
    Norm {
        /// The mean and variance.
        statistics: Statistics,
        /// Scales, a row for each channel.
        gamma: Block,
        /// Shifts, a row for each channel.
        beta: Block,
        /// Added to the variance.
        epsilon: f64,
    },
    /// `max(x, 0)`.
    Relu,
    /// Another function of each pixel.
    Activation(Activation),
    /// The product of two inputs, pixel by pixel. The second has the first's shape, or one pixel for each channel, as in
    /// squeeze-and-excitation blocks.
    Product,
    /// `exp(x) / sum of exp(x)` over the channels of each pixel.
    Softmax,
    /// `sum of a_i x_i` over the inputs `x_i`. Holds the coefficients `a_i`.
    Sum(Vec<f64>),
    /// The channels of all inputs, one after the other.
    Concat,
    /// These channels, in this order.
    Select(Vec<usize>),
    /// A crop to the height and width of the step's shape, starting at this pixel.
    Crop {
        /// First row of pixels.
        top: usize,
        /// First column of pixels.
        left: usize,
    },
    /// A pooling, channel by channel.
    Pool {
        /// Maximum or average.
        pool: Pool,
        /// Height and width of the window.
        kernel: [usize; 2],
        /// Stride, vertical and horizontal.
        stride: [usize; 2],
        /// Padding above and to the left. A window may also reach beyond the last row and column; each has at least one pixel inside.
        padding: [usize; 2],
    },
    /// Weighted sums of rows and columns, channel by channel: what enlarges, shrinks, mirrors or repeats feature maps.
    Resample {
        /// The rows of the input that each row of the output is a sum of.
        rows: Taps,
        /// The columns of the input that each column of the output is a sum of.
        columns: Taps,
    },
    /// `[c, h, w]` to `[c h w, 1, 1]`, channel by channel, row by row.
    Flatten,
    /// The same numbers in the same row-major order, in the step's shape.
    Reshape,
    /// Space to depth: moves blocks of `f x f` pixels to channels, `[c, h, w]` to `[c f f, h / f, w / f]`. The `f f` output
    /// channels of an input channel follow each other, in row-major order of the block.
    Fold(usize),
    /// Depth to space, the inverse of [`Fold`](Self::Fold): `[c f f, h, w]` to `[c, h f, w f]`.
    Unfold(usize),
}

/// The source of a norm's mean and variance.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Statistics {
    /// Running statistics from training: a batch norm in evaluation.
    Batch {
        /// A row for each channel.
        mean: Block,
        /// A row for each channel.
        variance: Block,
    },
    /// The mean and biased variance of the feature map: an instance norm.
    Instance,
    /// The mean and biased variance of the channels of each pixel: a layer norm over channels.
    Pixel,
}

/// The kind of a pooling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pool {
    /// The maximum of each window's pixels inside the feature map.
    Max,
    /// The mean of each window, with zeros outside the feature map.
    Average,
    /// The mean of each window's pixels inside the feature map.
    InnerAverage,
}

/// A selection of rows and columns of a tensor.
///
/// A neural graph has one weight for all its edges. Each level reads the rows of its own nodes and the columns of its source nodes; a
/// graph in discrete time reads the same block in every step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The tensor.
    pub tensor: TensorId,
    /// Its rows, in the order of the output channels.
    pub rows: Vec<usize>,
    /// Its columns, in the order of the input channels.
    pub columns: Vec<usize>,
}

impl Block {
    /// Selects these rows and columns.
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

    /// Selects these rows of a tensor with one column: of a bias, a norm or the depthwise kernels of nodes.
    pub fn rows(tensor: TensorId, rows: impl IntoIterator<Item = usize>) -> Self {
        Self::new(tensor, rows, [0])
    }
}

/// Stride, padding and dilation of a convolution, vertical and horizontal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Stride.
    pub stride: [usize; 2],
    /// Zero padding on each side.
    pub padding: [usize; 2],
    /// Dilation.
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
    /// The same stride and padding in both directions, without dilation.
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

    /// The steps, in execution order.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The step whose output a value is.
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

    /// The same circuit with another value as the result.
    ///
    /// # Errors
    /// [`CircuitError::NoSuchValue`] if the value is not of this circuit.
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

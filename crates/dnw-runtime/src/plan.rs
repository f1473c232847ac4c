//! A compiled network: what is computed, in which order, and where each result lies.
//!
//! All feature maps of one image lie in one block of memory, the *arena*. A step reads and writes *maps*: some channels of the arena, each a
//! run of `height * width` pixels, row by row. `dnw-compiler` makes plans; [`Model`](crate::Model) checks and executes them.

/// A whole network.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// What an image must look like.
    pub input: Input,
    /// Where the image lies in the arena, `[channels, height, width]`.
    pub image: Maps,
    /// Where the result lies, one pixel per class or some other shape.
    pub output: Maps,
    /// Length of the arena in numbers.
    pub arena: usize,
    /// Feature maps that are the same for every image. They are written once, when a session starts.
    pub constants: Vec<Constant>,
    /// The steps, in the order of execution.
    pub steps: Vec<Step>,
}

/// What an image must look like, so that a program needs nothing but the compiled file to predict.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Input {
    /// The name of the network, for people.
    pub name: String,
    /// `[channels, height, width]`.
    pub shape: [usize; 3],
    /// Subtracted from each channel's pixels, which lie from 0 to 1; empty for zeros.
    pub mean: Vec<f32>,
    /// What each channel is divided by then; empty for ones.
    pub deviation: Vec<f32>,
    /// The shorter side of a larger picture is resized to this many pixels before the centre is cropped; zero for pictures that are resized to
    /// the input's height and width without a crop.
    pub resize: usize,
    /// The names of the outputs, in order; empty if unknown.
    pub classes: Vec<String>,
}

impl Input {
    /// The name of an output; its number if it has none.
    pub fn class(&self, index: usize) -> String {
        let name = self.classes.get(index).cloned();
        name.unwrap_or_else(|| format!("class {index}"))
    }
}

/// Channels in the arena.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Maps {
    /// The index of the first number.
    pub at: usize,
    /// `[channels, height, width]`.
    pub shape: [usize; 3],
    /// Numbers from the start of a channel to the start of the next: a multiple of [`VECTOR`], so that vectors are aligned, or `height * width`
    /// exactly if that is 1. What lies between is not defined.
    pub stride: usize,
}

/// Targets of a block that shares its rows, four.
pub use dnw_kernels::inference::BLOCK;
/// Numbers in a vector, sixteen: strides of maps are multiples of it.
pub use dnw_kernels::inference::LANES as VECTOR;
/// Activations and their functions.
pub use dnw_kernels::inference::{Activation, Function};

impl Maps {
    /// Maps of this shape with the usual stride.
    pub fn new(at: usize, shape: [usize; 3]) -> Self {
        let pixels = shape[1] * shape[2];
        let stride = if pixels == 1 {
            1
        } else {
            pixels.next_multiple_of(VECTOR)
        };
        Self { at, shape, stride }
    }

    /// Pixels of a channel.
    pub fn pixels(&self) -> usize {
        self.shape[1] * self.shape[2]
    }

    /// Numbers from the first to behind the last, padding included, rounded up to whole vectors.
    pub fn len(&self) -> usize {
        (self.shape[0] * self.stride).next_multiple_of(VECTOR)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Feature maps that are the same for every image.
#[derive(Clone, Debug, PartialEq)]
pub struct Constant {
    /// Where they lie.
    pub maps: Maps,
    /// Their values, channel by channel without padding.
    pub values: Vec<f32>,
}

/// One step of a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The layer of the network that it computes, for people.
    pub layer: String,
    /// Why this kernel was selected, for people.
    pub reason: String,
    /// The operation.
    pub op: Op,
}

/// What a step computes.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// Copies maps to rows with zeros around them, which a convolution of more than one tap reads.
    Pad(Pad),
    /// Weighted sums of rows: a convolution over its real edges, or a dense one.
    Sums(Sums),
    /// A depthwise convolution.
    Depthwise(Depthwise),
    /// Products with vectors: layers whose maps have one pixel.
    Linear(Linear),
    /// Pools windows of maps.
    Pool(PoolMaps),
    /// Instance norm, or a scale and a shift for each channel.
    Norm(NormMaps),
    /// A weighted sum of maps of one shape.
    Add(AddMaps),
    /// Copies pixels one by one.
    Copy(CopyPixels),
    /// A function of each pixel.
    Activation(ActivateMaps),
    /// The product of maps, pixel by pixel, or with a factor for each channel that depends on the image.
    Product(MultiplyMaps),
    /// A softmax over the channels of each pixel.
    Softmax(SoftmaxMaps),
    /// A layer norm over the channels of each pixel.
    PixelNorm(PixelNorm),
    /// Weighted sums of rows and columns.
    Resample(ResampleMaps),
    /// Channels to blocks of pixels.
    Unfold(UnfoldMaps),
}

/// Stride, padding and dilation, vertical and horizontal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Height and width of the kernel.
    pub kernel: [usize; 2],
    /// Stride.
    pub stride: [usize; 2],
    /// Zeros on each side.
    pub padding: [usize; 2],
    /// Distance of neighbouring taps.
    pub dilation: [usize; 2],
}

impl Window {
    /// Whether every line of the output of a convolution reads a line of its input, so that it can follow sums strip by strip
    /// ([`Sums::then`]).
    pub fn reads_lines(&self) -> bool {
        (0..2).all(|i| self.padding[i] < self.kernel[i] && self.dilation[i] == 1)
    }
}

/// How the pixels of a map lie in padded rows, such that each tap of a convolution reads one row from an offset on.
///
/// The lines of a map follow each other with zeros between them. With a stride there is one row for each remainder of the pixel's
/// coordinates, in which neighbouring outputs read neighbouring numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Padded {
    /// The convolution.
    pub window: Window,
    /// Height and width of the map.
    pub map: [usize; 2],
    /// Height and width of the output.
    pub output: [usize; 2],
    /// Numbers from an output's line to the next.
    pub line: usize,
    /// Numbers of one row: a multiple of [`VECTOR`].
    pub row: usize,
    /// Rows of a channel: one, or one per remainder of the stride.
    pub rows: [usize; 2],
}

impl Padded {
    /// The layout of the input of this convolution; `None` if the window does not fit into the padded map, or a size overflows.
    pub fn new(window: Window, map: [usize; 2]) -> Option<Self> {
        let Window {
            kernel,
            stride,
            padding,
            dilation,
        } = window;
        let (mut output, mut rows, mut reach, mut lines) = ([0; 2], [0; 2], [0; 2], [0; 2]);
        for i in 0..2 {
            if kernel[i] == 0 || stride[i] == 0 || dilation[i] == 0 {
                return None;
            }
            let padded = padding[i].checked_mul(2)?.checked_add(map[i])?;
            let last_tap = (kernel[i] - 1).checked_mul(dilation[i])?;
            output[i] = padded.checked_sub(last_tap.checked_add(1)?)? / stride[i] + 1;
            rows[i] = stride[i].min(last_tap + 1);
            reach[i] = last_tap / stride[i];
            // With stride 1 the zeros behind a line are also the zeros before the next.
            lines[i] = if stride == [1, 1] {
                (map[i].checked_add(padding[i])?).max(output[i])
            } else {
                padded.div_ceil(stride[i])
            };
        }
        let line = lines[1];
        // What the vectors of an output read from the furthest tap on, and all lines of the map itself.
        let reads = Self::flat(output, line)?
            .checked_add(reach[0].checked_mul(line)?)?
            .checked_add(reach[1])?;
        let holds = lines[0]
            .checked_add(padding[0])?
            .checked_mul(line)?
            .checked_add(padding[1])?;
        let row = reads.max(holds).checked_next_multiple_of(VECTOR)?;
        Some(Self {
            window,
            map,
            output,
            line,
            row,
            rows,
        })
    }

    /// Numbers of an output with lines in the same distance, rounded up to whole vectors.
    pub fn flat_output(&self) -> usize {
        Self::flat(self.output, self.line).unwrap_or(usize::MAX)
    }

    fn flat([height, width]: [usize; 2], line: usize) -> Option<usize> {
        (height - 1)
            .checked_mul(line)?
            .checked_add(width)?
            .checked_next_multiple_of(VECTOR)
    }

    /// Rows of a channel.
    pub fn rows_per_channel(&self) -> usize {
        self.rows[0] * self.rows[1]
    }

    /// Where a tap of a channel starts, relative to the channel's first row.
    pub fn tap(&self, y: usize, x: usize) -> usize {
        let Window {
            stride, dilation, ..
        } = self.window;
        let (y, x) = (y * dilation[0], x * dilation[1]);
        let row = y % stride[0] * self.rows[1] + x % stride[1];
        row * self.row + y / stride[0] * self.line + x / stride[1]
    }
}

/// Copies maps to padded rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Pad {
    /// The maps.
    pub from: Maps,
    /// The index of the first number of the rows: `[channels, rows_per_channel, row]`.
    pub to: usize,
    /// Their layout.
    pub layout: Padded,
}

/// Weighted sums of rows of the arena.
///
/// A target's output is `bias + sum of weight * row`. Targets are in blocks that share their rows: of one target for unstructured
/// wirings, of [`BLOCK`] for dense layers and wirings in blocks.
#[derive(Clone, Debug, PartialEq)]
pub struct Sums {
    /// Targets of a block: 1 or [`BLOCK`].
    pub block: usize,
    /// Where the rows that can be read start in the arena.
    pub rows: Vec<u32>,
    /// For each block the number of terms before it; one more than there are blocks.
    pub starts: Vec<u32>,
    /// For each term the index in `rows`, ascending in each block.
    pub terms: Vec<u32>,
    /// The weights of each term, one for each target of its block.
    pub weights: Vec<f32>,
    /// One for each target of each block.
    pub bias: Vec<f32>,
    /// Height and width of the sums.
    pub map: [usize; 2],
    /// Numbers of a row from one line of the sums to the next; their width if rows are maps.
    pub line: usize,
    /// The channel that each target of each block is, in `to`; `u32::MAX` where a block has fewer targets.
    pub channels: Vec<u32>,
    /// Where the output lies.
    pub to: Maps,
    /// Where the map starts that is added to each channel of the sums, of their height and width; none is added if the list is empty.
    pub residual: Vec<u32>,
    /// Whether negative sums become zero.
    pub relu: bool,
    /// A depthwise convolution of the sums, whose result is the output. The sums of a few lines stay in the cache until it has read them.
    pub then: Option<Kernels>,
}

/// Bytes of rows that stay in a level 2 cache, beside what is written: what a strip of lines reads.
pub const CACHED_BYTES: usize = 544 << 10;

/// A depthwise convolution that follows another step at once: one kernel for each target of each block, in their order.
#[derive(Clone, Debug, PartialEq)]
pub struct Kernels {
    /// The kernel's size, stride, padding and dilation.
    pub window: Window,
    /// `[targets, kernel height, kernel width]`.
    pub weights: Vec<f32>,
    /// One for each target.
    pub bias: Vec<f32>,
    /// Whether negative outputs become zero.
    pub relu: bool,
}

/// A depthwise convolution: each channel has a kernel of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Depthwise {
    /// The input.
    pub from: Maps,
    /// The output.
    pub to: Maps,
    /// The kernel's size, stride, padding and dilation.
    pub window: Window,
    /// `[channels, kernel height, kernel width]`.
    pub weights: Vec<f32>,
    /// One for each channel.
    pub bias: Vec<f32>,
    /// Whether negative outputs become zero.
    pub relu: bool,
}

/// Products of a matrix with one vector.
#[derive(Clone, Debug, PartialEq)]
pub struct Linear {
    /// The input: maps of one pixel.
    pub from: Maps,
    /// The output: maps of one pixel.
    pub to: Maps,
    /// The real edges of each target, or none for a dense matrix.
    pub edges: Option<Edges>,
    /// One for each edge; `[targets, sources]` for a dense matrix.
    pub weights: Vec<f32>,
    /// One for each target.
    pub bias: Vec<f32>,
    /// Whether negative outputs become zero.
    pub relu: bool,
}

/// The sources of each target.
#[derive(Clone, Debug, PartialEq)]
pub struct Edges {
    /// For each target the number of edges before it; one more than there are targets.
    pub starts: Vec<u32>,
    /// For each edge its source, ascending in each target.
    pub sources: Vec<u32>,
}

/// Pools windows of maps.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolMaps {
    /// The input.
    pub from: Maps,
    /// The output.
    pub to: Maps,
    /// Maximum or average.
    pub pool: Pool,
    /// The window, with the padding above and to the left. Windows may also reach beyond the last row and column; each has at least one
    /// pixel inside. The shape of the output says how many there are.
    pub window: Window,
}

/// The kind of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pool {
    /// The largest of each window's pixels inside the map.
    Max,
    /// The mean of each window, with zeros outside the map.
    Average,
    /// The mean of each window's pixels inside the map.
    InnerAverage,
}

/// `(x - mean) / sqrt(variance + epsilon) * scale + shift` with each map's own mean and variance, or `x * scale + shift`.
#[derive(Clone, Debug, PartialEq)]
pub struct NormMaps {
    /// The input.
    pub from: Maps,
    /// The output; may be the input.
    pub to: Maps,
    /// Added to each map's variance; `None` if the map's mean and variance are not used.
    pub epsilon: Option<f32>,
    /// One for each channel.
    pub scale: Vec<f32>,
    /// One for each channel.
    pub shift: Vec<f32>,
    /// Whether negative outputs become zero.
    pub relu: bool,
}

/// A weighted sum of maps of one shape.
#[derive(Clone, Debug, PartialEq)]
pub struct AddMaps {
    /// The terms.
    pub from: Vec<(f32, Maps)>,
    /// The output.
    pub to: Maps,
    /// Whether negative outputs become zero.
    pub relu: bool,
}

/// Copies pixels.
#[derive(Clone, Debug, PartialEq)]
pub struct CopyPixels {
    /// The output.
    pub to: Maps,
    /// What is copied: pieces of lines.
    pub pieces: Vec<Piece>,
}

/// A function of each pixel.
#[derive(Clone, Debug, PartialEq)]
pub struct ActivateMaps {
    /// The input.
    pub from: Maps,
    /// The output, of the same shape; may be the input.
    pub to: Maps,
    /// The function.
    pub activation: Activation,
}

/// A product of maps.
#[derive(Clone, Debug, PartialEq)]
pub struct MultiplyMaps {
    /// The first factor.
    pub from: Maps,
    /// The second factor: of the same shape, or one pixel for each channel.
    pub by: Maps,
    /// The output, of the shape of the first factor; may be the first factor.
    pub to: Maps,
}

/// `exp(x) / sum of exp(x)` over the channels of each pixel.
#[derive(Clone, Debug, PartialEq)]
pub struct SoftmaxMaps {
    /// The input.
    pub from: Maps,
    /// The output, of the same shape.
    pub to: Maps,
}

/// `(x - mean) / sqrt(variance + epsilon) * scale + shift` with the mean and variance of each pixel's channels.
#[derive(Clone, Debug, PartialEq)]
pub struct PixelNorm {
    /// The input.
    pub from: Maps,
    /// The output, of the same shape.
    pub to: Maps,
    /// Added to each pixel's variance.
    pub epsilon: f32,
    /// One for each channel.
    pub scale: Vec<f32>,
    /// One for each channel.
    pub shift: Vec<f32>,
}

/// Weighted sums of rows and columns, such as an enlargement.
#[derive(Clone, Debug, PartialEq)]
pub struct ResampleMaps {
    /// The input.
    pub from: Maps,
    /// The output.
    pub to: Maps,
    /// The rows that each row of the output is a sum of.
    pub rows: Taps,
    /// The columns that each column of the output is a sum of.
    pub columns: Taps,
}

/// For each output of an axis the inputs that it is a weighted sum of.
#[derive(Clone, Debug, PartialEq)]
pub struct Taps {
    /// For each output the number of inputs before its own; one more than there are outputs.
    pub starts: Vec<u32>,
    /// The inputs.
    pub inputs: Vec<u32>,
    /// One for each input.
    pub weights: Vec<f32>,
}

/// Depth to space: the `side * side` channels of a block become its pixels.
#[derive(Clone, Debug, PartialEq)]
pub struct UnfoldMaps {
    /// The input.
    pub from: Maps,
    /// The output.
    pub to: Maps,
    /// Height and width of a block.
    pub side: usize,
}

/// Numbers that are copied from the arena to the arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The index of the first number read.
    pub from: u32,
    /// The distance between numbers read.
    pub stride: u32,
    /// The index of the first number written; the others follow it.
    pub to: u32,
    /// How many numbers.
    pub len: u32,
}

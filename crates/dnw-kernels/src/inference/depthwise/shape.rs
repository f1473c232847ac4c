//! What a depthwise convolution computes.

/// The sizes of a depthwise convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DepthwiseShape {
    /// Height and width of a map.
    pub map: [usize; 2],
    /// Height and width of an output map. Pixels that a tap reads behind the map's end are zeros, however many.
    pub output: [usize; 2],
    /// Height and width of the kernel.
    pub kernel: [usize; 2],
    /// Stride.
    pub stride: [usize; 2],
    /// Zeros above and to the left.
    pub padding: [usize; 2],
    /// Distance of neighbouring taps.
    pub dilation: [usize; 2],
}

/// The lines of a map. Numbers behind the last line are not used, but may be loaded in a vector with others.
#[derive(Clone, Copy, Debug)]
pub struct Lines<'a> {
    /// From the first pixel on.
    pub numbers: &'a [f32],
    /// Numbers from the start of a line to the start of the next.
    pub line: usize,
}

impl Lines<'_> {
    /// # Panics
    /// If these are not the lines of a map of this height and width.
    pub(super) fn check(&self, [height, width]: [usize; 2]) {
        assert!(self.line >= width && self.numbers.len() >= (height - 1) * self.line + width);
    }
}

/// The kernel of a channel.
#[derive(Clone, Copy, Debug)]
pub struct Kernel<'a> {
    /// A weight for each tap, line by line.
    pub weights: &'a [f32],
    /// Added to every output.
    pub bias: f32,
    /// Whether negative outputs become zero.
    pub relu: bool,
}

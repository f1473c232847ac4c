//! The sizes of what nodes compute on.

use crate::simd::LANES;

/// The sizes of the nodes' maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeShape {
    /// Images in the batch.
    pub images: usize,
    /// Nodes, one channel each.
    pub nodes: usize,
    /// Height of a map.
    pub height: usize,
    /// Width of a map.
    pub width: usize,
    /// The stride of the depthwise convolution, vertical and horizontal.
    pub stride: usize,
}

impl NodeShape {
    /// Pixels of a node's input.
    pub fn pixels(&self) -> usize {
        self.height * self.width
    }

    /// Height and width of a node's output.
    pub fn output(&self) -> [usize; 2] {
        [self.height, self.width].map(|side| side.div_ceil(self.stride))
    }

    /// Pixels of a node's output.
    pub fn output_pixels(&self) -> usize {
        let [height, width] = self.output();
        height * width
    }

    /// Flat length of a map with its separating column, rounded up to whole vectors.
    pub(super) fn padded_length(&self) -> usize {
        (self.height * (self.width + 1)).next_multiple_of(LANES)
    }

    /// Length of a buffer in which every tap of every output is in range.
    pub(super) fn buffer(&self) -> usize {
        self.padded_length() + 2 * (self.width + 2)
    }
}

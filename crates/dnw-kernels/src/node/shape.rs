//! The sizes of the nodes and the kind of norm.

use std::ops::Range;

use crate::simd::LANES;

/// The sizes of the nodes' feature maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeShape {
    /// Images in the batch.
    pub images: usize,
    /// Nodes, one channel each.
    pub nodes: usize,
    /// Height of an input feature map.
    pub height: usize,
    /// Width of an input feature map.
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

    /// Flat length of a feature map with a column of zeros after each line, rounded up to whole vectors.
    pub(super) fn padded_length(&self) -> usize {
        (self.height * (self.width + 1)).next_multiple_of(LANES)
    }

    /// Length of a padded buffer, in which every tap of every output is in range.
    pub(super) fn buffer_length(&self) -> usize {
        self.padded_length() + 2 * (self.width + 2)
    }

    /// How many pairs of mean and variance the norm has per node.
    pub(super) fn statistics_per_node(&self, norm: Norm<'_>) -> usize {
        match norm {
            Norm::None => 0,
            Norm::Instance => self.images,
            Norm::Batch | Norm::Running { .. } => 1,
        }
    }
}

/// The norm of a node, applied before the ReLU.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Norm<'a> {
    /// No norm.
    None,
    /// Instance norm: each feature map has its own statistics.
    Instance,
    /// Batch norm: a node has one mean and variance over the batch.
    Batch,
    /// Batch norm with running statistics, as in evaluation.
    Running {
        /// The running means, `[nodes]`.
        mean: &'a [f32],
        /// The running variances, `[nodes]`.
        variance: &'a [f32],
    },
}

impl<'a> Norm<'a> {
    /// The norm of a range of nodes.
    pub(crate) fn of(self, nodes: Range<usize>) -> Self {
        match self {
            Self::Running { mean, variance } => Self::Running {
                mean: &mean[nodes.clone()],
                variance: &variance[nodes],
            },
            other => other,
        }
    }
}

//! The arguments of operations besides their tensors.

use dnw_kernels::convolution::ConvolutionShape;
use dnw_kernels::levels::{GraphNorm, LevelsShape};
use dnw_kernels::product::ProductShape;
use dnw_kernels::steps::StepsShape;

use super::IndexCache;

/// A wired product.
#[derive(Clone, Debug)]
pub struct ProductCall {
    pub(crate) shape: ProductShape,
    /// The shape of what comes out.
    pub(crate) given: Vec<usize>,
    pub(crate) index: IndexCache,
}

/// A wired convolution.
#[derive(Clone, Debug)]
pub struct ConvolutionCall {
    pub(crate) shape: ConvolutionShape,
    pub(crate) given: [usize; 2],
    pub(crate) index: IndexCache,
}

/// A whole graph of levels.
#[derive(Debug)]
pub struct LevelsCall {
    pub(crate) shape: LevelsShape,
    pub(crate) norm: CallNorm,
    pub(crate) epsilon: f32,
    pub(crate) index: IndexCache,
}

/// How the norms of a graph are computed.
#[derive(Clone, Debug)]
pub(crate) enum CallNorm {
    /// By the statistics of each feature map.
    Instance,
    /// By the batch's.
    Batch,
    /// By running statistics.
    Running([Vec<f32>; 2]),
}

impl CallNorm {
    pub(crate) fn graph_norm(&self) -> GraphNorm<'_> {
        match self {
            Self::Instance => GraphNorm::Instance,
            Self::Batch => GraphNorm::Batch,
            Self::Running([mean, variance]) => GraphNorm::Running { mean, variance },
        }
    }
}

/// Steps of a cyclic graph.
#[derive(Clone, Debug)]
pub struct StepsCall {
    pub(crate) shape: StepsShape,
    pub(crate) epsilon: f32,
    pub(crate) index: IndexCache,
}

/// A batch norm, with or without the ReLU behind it.
#[derive(Debug)]
pub struct NormCall {
    pub(crate) epsilon: f32,
    pub(crate) rectified: bool,
}

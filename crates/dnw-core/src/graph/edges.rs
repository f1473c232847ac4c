//! The edges of a graph as a forward pass reads them.

use std::ops::Range;

use burn::module::Param;
use burn::tensor::{Bool, Tensor};

use crate::layers::{edges_of, trainable_weight};
use crate::ops::{self, IndexCache, Kernels};

/// The weight of a graph's edges and which of them are real, read once for a forward pass.
#[derive(Clone, Debug)]
pub(super) struct GraphEdges {
    weight: Tensor<4>,
    real: Tensor<4, Bool>,
    index: IndexCache,
    kernels: Kernels,
}

impl GraphEdges {
    /// The edges of a wired weight `[targets, sources, 1, 1]`.
    pub(super) fn new(weight: &Param<Tensor<4>>, kernels: Kernels) -> Self {
        let edges = edges_of(weight);
        let weight = trainable_weight(weight, edges);
        let real = edges.mask(weight.dims());
        Self {
            weight,
            real,
            index: edges.index().clone(),
            kernels,
        }
    }

    /// The edges into some targets from some sources.
    pub(super) fn block(&self, [targets, sources]: [Range<usize>; 2]) -> Self {
        let block = [targets, sources];
        Self {
            weight: self.weight.clone().slice(block.clone()),
            real: self.real.clone().slice(block),
            index: IndexCache::default(),
            kernels: self.kernels,
        }
    }

    /// The weight of all edges, which receives the gradient of the product.
    pub(super) fn weight(&self) -> &Tensor<4> {
        &self.weight
    }

    /// The mask of real edges.
    pub(super) fn real(&self) -> &Tensor<4, Bool> {
        &self.real
    }

    /// The index of the real edges, for kernels.
    pub(super) fn index(&self) -> &IndexCache {
        &self.index
    }

    /// The same edges with another weight, flattened.
    pub(super) fn with_weight(&self, weight: Tensor<1>) -> Self {
        Self {
            weight: weight.reshape(self.weight.dims()),
            ..self.clone()
        }
    }

    /// The sums that the targets gather from their sources.
    ///
    /// # Shapes
    /// - `x`: `[batch, sources, height, width]`
    /// - result: `[batch, targets, height, width]`
    pub(super) fn product(&self, x: Tensor<4>) -> Tensor<4> {
        ops::wired_product(
            x,
            self.weight.clone(),
            self.real.clone(),
            &self.index,
            self.kernels,
        )
    }
}

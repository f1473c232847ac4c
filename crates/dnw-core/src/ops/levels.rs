//! A whole graph of levels in one pass: at each level its nodes sum their real edges, then apply the node function.
//!
//! The reference in plain tensors is [`NeuralGraph::pass`](crate::graph::NeuralGraph::pass), which goes level by level. On GPUs there are
//! kernels where batch norms normalise the nodes and the outputs are a level of their own ([`gpu`]); other graphs go level by level there.

#[cfg(feature = "cube")]
mod gpu;

use std::sync::Arc;

use burn::backend::tensor::{BoolTensor, FloatTensor};
use burn::tensor::{Bool, Shape, Tensor};
use dnw_kernels::levels::{self, LevelsPass, LevelsShape};
use dnw_kernels::pool;
use tracing::{Span, trace_span};

use super::averages::BatchStatistics;
use super::batch_norm::FoundStatistics;
use super::cpu::CpuBackend;
use super::dispatch::{self, Operation};
use super::index::{Edges, IndexCache};
use super::node::{self, GraphNodes, GraphNorm};
use crate::graph::{GraphSpec, Outputs};
#[cfg(feature = "cube")]
use burn_cubecl::tensor::CubeTensor;

/// The sums of the output nodes, and the batch statistics of each level if the norm uses them. On CPU backends, and on GPUs where [`gpu`] says
/// so.
///
/// `x`: `[batch, inputs, height, width]`; `weight`, `real`: `[targets, sources, 1, 1]`; the result:
/// `[batch, outputs, height, width]`.
pub(crate) fn levels(
    x: Tensor<4>,
    weight: Tensor<4>,
    real: Tensor<4, Bool>,
    nodes: GraphNodes,
    spec: &GraphSpec,
    index: &IndexCache,
) -> (Tensor<4>, Option<Vec<BatchStatistics>>) {
    let (device, [images, _, height, width]) = (x.device().inner(), x.dims());
    let levels = Levels {
        shape: LevelsShape {
            images,
            entering: [height, width],
            stride: nodes.stride,
            levels: spec.function_levels().to_vec(),
            outputs: match spec.outputs() {
                Outputs::OwnLevel(n) => levels::Outputs::OwnLevel(n),
                Outputs::InLastLevel(n) => levels::Outputs::InLastLevel(n),
            },
        },
        norm: nodes.norm.clone(),
        epsilon: nodes.epsilon as f32,
        index: index.clone(),
    };
    let floats = nodes.inputs(x, weight);
    let (y, statistics) = dispatch::run(levels, floats, [real.into_dispatch()]);
    let tensors = |found: FoundStatistics| found.tensors(&device);
    let statistics = statistics.map(|levels| levels.into_iter().map(tensors).collect());
    (Tensor::from_dispatch(y), statistics)
}

/// Inputs: `x`, `weight`, `gamma`, `beta`, `kernel`; mask: `real`.
#[derive(Clone, Debug)]
struct Levels {
    shape: LevelsShape,
    norm: GraphNorm,
    epsilon: f32,
    index: IndexCache,
}

impl Levels {
    fn norm(&self) -> levels::GraphNorm<'_> {
        match &self.norm {
            GraphNorm::Instance => levels::GraphNorm::Instance,
            GraphNorm::Batch => levels::GraphNorm::Batch,
            GraphNorm::Running([mean, variance]) => levels::GraphNorm::Running { mean, variance },
        }
    }
}

#[cfg(feature = "cube")]
impl Levels {
    fn gpu_graph(&self) -> gpu::Graph<'_> {
        gpu::Graph {
            shape: &self.shape,
            epsilon: self.epsilon,
        }
    }
}

impl Operation<5, 1> for Levels {
    /// Of each level.
    type Extra = Option<Vec<FoundStatistics>>;
    /// `x` and `weight`, and the parameters of the nodes.
    type Saved<B: CpuBackend> = (
        Edges,
        Arc<LevelsPass>,
        [FloatTensor<B>; 2],
        [FloatTensor<B>; 3],
    );

    fn span() -> Span {
        trace_span!("graph of levels")
    }

    fn forward_cpu<B: CpuBackend>(
        &self,
        [x, weight, gamma, beta, kernel]: [FloatTensor<B>; 5],
        [real]: [BoolTensor<B>; 1],
    ) -> (FloatTensor<B>, Self::Extra, Self::Saved<B>) {
        let edges = Edges::new::<B>(&weight, &real, &self.index);
        let nodes = [gamma, beta, kernel];
        let ([height, width], outputs) = (self.shape.maps(), self.shape.output_nodes());
        let output = Shape::from([self.shape.images, outputs, height, width]);
        let mut y = pool::acquire(output.num_elements());
        let pass = levels::forward(
            &self.shape,
            B::floats(&x),
            &edges.weights,
            &edges.index,
            &node::parameters::<B>(&nodes, self.epsilon),
            self.norm(),
            &mut y,
        );
        let of_batch = matches!(self.norm, GraphNorm::Batch);
        let statistics = of_batch.then(|| {
            let [mean, variance] = pass.batch_statistics();
            let (mut mean, mut variance) = (mean.into_iter(), variance.into_iter());
            let levels = self.shape.levels.iter();
            let of_level = levels.map(|&nodes| {
                let mean = mean.by_ref().take(nodes).collect();
                FoundStatistics::Host([mean, variance.by_ref().take(nodes).collect()])
            });
            of_level.collect()
        });
        let saved = (edges, Arc::new(pass), [x, weight], nodes);
        (B::tensor(y, output), statistics, saved)
    }

    fn backward_cpu<B: CpuBackend>(
        &self,
        (edges, pass, inputs, nodes): Self::Saved<B>,
        dy: &FloatTensor<B>,
        _: [bool; 5],
    ) -> [Option<FloatTensor<B>>; 5] {
        let parameters = node::parameters::<B>(&nodes, self.epsilon);
        node::graph_gradients::<B>(inputs, &nodes, |dx, dw| {
            levels::backward(
                &self.shape,
                &pass,
                &edges.weights,
                &edges.index,
                &parameters,
                self.norm(),
                B::floats(dy),
                dx,
                dw,
            )
        })
    }

    #[cfg(feature = "cube")]
    fn forward_gpu(
        &self,
        floats: &[CubeTensor; 5],
        [real]: &[CubeTensor; 1],
    ) -> (CubeTensor, Self::Extra, Vec<CubeTensor>) {
        let (y, statistics, saved) = gpu::forward(self.gpu_graph(), floats, real);
        (y, Some(statistics), saved)
    }

    #[cfg(feature = "cube")]
    fn backward_gpu(
        &self,
        floats: [CubeTensor; 5],
        _: [CubeTensor; 1],
        saved: Vec<CubeTensor>,
        dy: CubeTensor,
        _: [bool; 5],
    ) -> [Option<CubeTensor>; 5] {
        gpu::backward(self.gpu_graph(), &floats, &saved, &dy).map(Some)
    }
}

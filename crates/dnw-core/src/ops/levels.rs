//! A whole graph of levels in one pass: at each level its nodes sum their real edges, then apply the node function.
//!
//! The reference in plain tensors is [`NeuralGraph::pass`](crate::graph::NeuralGraph::pass), which goes level by level. There is no kernel
//! for GPUs: a GPU goes level by level too.

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

/// The sums of the output nodes, and the batch statistics if the norm uses them. CPU backends only.
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
) -> (Tensor<4>, Option<BatchStatistics>) {
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
    let statistics = statistics.map(|found| found.tensors(&device));
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

impl Operation<5, 1> for Levels {
    type Extra = Option<FoundStatistics>;
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
        let statistics = of_batch.then(|| FoundStatistics::Host(pass.batch_statistics()));
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
}

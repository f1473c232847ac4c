//! The steps of a cyclic graph in one pass.
//!
//! The reference in plain tensors is [`CyclicGraph`](crate::graph::CyclicGraph), which goes step by step. There is no kernel for GPUs: a
//! GPU goes step by step too.

use std::ops::Range;
use std::sync::Arc;

use burn::backend::tensor::{BoolTensor, FloatTensor};
use burn::tensor::{Bool, Shape, Tensor};
use dnw_kernels::pool;
use dnw_kernels::steps::{self, StepsPass, StepsShape};
use tracing::{Span, trace_span};

use super::cpu::CpuBackend;
use super::dispatch::{self, Operation};
use super::index::{Edges, IndexCache};
use super::node::{self, GraphNodes};

/// The state of the nodes `outputs` after `steps` steps. The first nodes start with the state `x`, the others
/// at zero. CPU backends only.
///
/// `x`: `[batch, inputs, height, width]`; `weight`, `real`: `[nodes, nodes, 1, 1]`; the result: `[batch, outputs, height, width]`.
pub(crate) fn steps(
    x: Tensor<4>,
    weight: Tensor<4>,
    real: Tensor<4, Bool>,
    nodes: GraphNodes,
    outputs: Range<usize>,
    steps: usize,
    index: &IndexCache,
) -> Tensor<4> {
    let [images, inputs, height, width] = x.dims();
    let steps = Steps {
        shape: StepsShape {
            images,
            nodes: weight.dims()[0],
            height,
            width,
            inputs,
            outputs,
            steps,
        },
        epsilon: nodes.epsilon as f32,
        index: index.clone(),
    };
    let floats = nodes.inputs(x, weight);
    let (y, ()) = dispatch::run(steps, floats, [real.into_dispatch()]);
    Tensor::from_dispatch(y)
}

/// Inputs: `x`, `weight`, `gamma`, `beta`, `kernel`; mask: `real`.
#[derive(Clone, Debug)]
struct Steps {
    shape: StepsShape,
    epsilon: f32,
    index: IndexCache,
}

impl Operation<5, 1> for Steps {
    type Extra = ();
    /// `x` and `weight`, and the parameters of the nodes.
    type Saved<B: CpuBackend> = (
        Edges,
        Arc<StepsPass>,
        [FloatTensor<B>; 2],
        [FloatTensor<B>; 3],
    );

    fn span() -> Span {
        trace_span!("steps of a cyclic graph")
    }

    fn forward_cpu<B: CpuBackend>(
        &self,
        [x, weight, gamma, beta, kernel]: [FloatTensor<B>; 5],
        [real]: [BoolTensor<B>; 1],
    ) -> (FloatTensor<B>, (), Self::Saved<B>) {
        let edges = Edges::new::<B>(&weight, &real, &self.index);
        let (shape, nodes) = (&self.shape, [gamma, beta, kernel]);
        let output = [shape.images, shape.outputs.len(), shape.height, shape.width];
        let output = Shape::from(output);
        let mut y = pool::acquire(output.num_elements());
        let parameters = node::parameters::<B>(&nodes, self.epsilon);
        let (x_values, Edges { index, weights }) = (B::floats(&x), &edges);
        let pass = steps::forward(shape, x_values, weights, index, &parameters, &mut y);
        let saved = (edges, Arc::new(pass), [x, weight], nodes);
        (B::tensor(y, output), (), saved)
    }

    fn backward_cpu<B: CpuBackend>(
        &self,
        (edges, pass, inputs, nodes): Self::Saved<B>,
        dy: &FloatTensor<B>,
        _: [bool; 5],
    ) -> [Option<FloatTensor<B>>; 5] {
        let parameters = node::parameters::<B>(&nodes, self.epsilon);
        node::graph_gradients::<B>(inputs, &nodes, |dx, dw| {
            steps::backward(
                &self.shape,
                &pass,
                &edges.weights,
                &edges.index,
                &parameters,
                B::floats(dy),
                dx,
                dw,
            )
        })
    }
}

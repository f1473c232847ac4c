//! The operations as backends offer them, and their gradients.

use std::sync::Arc;

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::{BoolTensor, FloatTensor};
use burn::backend::{Autodiff, AutodiffBackend, Backend, TensorMetadata, backend_extension};
use burn::tensor::Shape;
use tracing::trace_span;

use super::calls::{ConvolutionCall, LevelsCall, NormCall, ProductCall, StepsCall};
use super::watch::{Place, Seen};
use super::{BatchStatistics, Chosen, Wanted};
use dnw_kernels::sgd::SgdStep;

use super::host::{self, Convolution, Host, Levels, Nodes, Norm, Product, Steps};

/// The operations of wired networks that a backend has kernels for. Each has a reference in plain tensors in the module above.
#[backend_extension(Flex: cfg(feature = "flex"), NdArray: cfg(feature = "ndarray"), Autodiff)]
pub trait WiredOps: Backend {
    /// Every target gathers from its real edges.
    fn wired_product(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        real: BoolTensor<Self>,
        call: Arc<ProductCall>,
    ) -> FloatTensor<Self>;

    /// The convolution by the real entries of a kernel.
    fn wired_convolution(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        real: BoolTensor<Self>,
        call: Arc<ConvolutionCall>,
    ) -> FloatTensor<Self>;

    /// Instance norm, ReLU, depthwise 3 x 3.
    fn fused_nodes(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        kernel: FloatTensor<Self>,
        epsilon: f32,
    ) -> FloatTensor<Self>;

    /// Batch norm by the statistics of the batch, which are returned too, and the ReLU behind it if the call says so.
    fn batch_norm_by_batch(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        call: Arc<NormCall>,
    ) -> (FloatTensor<Self>, BatchStatistics);

    /// A graph of levels, from what comes in to what the outputs gather.
    fn graph_levels(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        real: BoolTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        kernel: FloatTensor<Self>,
        call: Arc<LevelsCall>,
    ) -> (FloatTensor<Self>, Option<BatchStatistics>);

    /// A cyclic graph's steps, from the inputs' state to the outputs'.
    fn graph_steps(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        real: BoolTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        kernel: FloatTensor<Self>,
        call: Arc<StepsCall>,
    ) -> FloatTensor<Self>;

    /// How the mask of the largest weights differs from `real`, `[entries]`; `seen` is the survey of a step just before. The error is the
    /// first candidate that is NaN.
    fn select_top_k(
        weights: FloatTensor<Self>,
        real: BoolTensor<Self>,
        wanted: Wanted,
        seen: Option<Seen>,
    ) -> Result<Chosen, usize>;

    /// The mask with these entries toggled.
    fn toggle_mask(mask: BoolTensor<Self>, entries: Arc<Vec<usize>>) -> BoolTensor<Self>;

    /// An update of weights that have a velocity; gives both.
    fn sgd_step(
        weights: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        velocity: FloatTensor<Self>,
        sgd: SgdStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);

    /// [`sgd_step`](Self::sgd_step), and a survey of the weights for the selection that follows; `real` is the mask, `[entries]`.
    fn sgd_step_and_survey(
        weights: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        velocity: FloatTensor<Self>,
        real: BoolTensor<Self>,
        sgd: SgdStep,
        wanted: Wanted,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, Option<Seen>);

    /// Where the elements of a tensor begin in memory, if it is contiguous.
    fn place(tensor: FloatTensor<Self>) -> Option<Place>;

    /// The first update; gives weights and velocity.
    fn sgd_first_step(
        weights: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        sgd: SgdStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
}

macro_rules! on_host {
    ($backend:ty) => {
        impl WiredOps for $backend {
            fn wired_product(
                x: FloatTensor<Self>,
                weight: FloatTensor<Self>,
                real: BoolTensor<Self>,
                call: Arc<ProductCall>,
            ) -> FloatTensor<Self> {
                let (x, weight) = (Self::contiguous(x), Self::contiguous(weight));
                Product::new::<Self>(&weight, &real, call).forward::<Self>(&x)
            }

            fn wired_convolution(
                x: FloatTensor<Self>,
                weight: FloatTensor<Self>,
                real: BoolTensor<Self>,
                call: Arc<ConvolutionCall>,
            ) -> FloatTensor<Self> {
                let (x, weight) = (Self::contiguous(x), Self::contiguous(weight));
                Convolution::forward::<Self>(&x, &weight, &real, call).0
            }

            fn fused_nodes(
                x: FloatTensor<Self>,
                gamma: FloatTensor<Self>,
                beta: FloatTensor<Self>,
                kernel: FloatTensor<Self>,
                epsilon: f32,
            ) -> FloatTensor<Self> {
                let nodes = Nodes {
                    gamma,
                    beta,
                    kernel,
                };
                host::nodes_forward::<Self>(&Self::contiguous(x), &nodes.contiguous(), epsilon)
            }

            fn batch_norm_by_batch(
                x: FloatTensor<Self>,
                gamma: FloatTensor<Self>,
                beta: FloatTensor<Self>,
                call: Arc<NormCall>,
            ) -> (FloatTensor<Self>, BatchStatistics) {
                let [x, gamma, beta] = [x, gamma, beta].map(Self::contiguous);
                let (y, norm) = Norm::forward::<Self>(&x, &[gamma, beta], call);
                (y, norm.statistics())
            }

            fn graph_levels(
                x: FloatTensor<Self>,
                weight: FloatTensor<Self>,
                real: BoolTensor<Self>,
                gamma: FloatTensor<Self>,
                beta: FloatTensor<Self>,
                kernel: FloatTensor<Self>,
                call: Arc<LevelsCall>,
            ) -> (FloatTensor<Self>, Option<BatchStatistics>) {
                let (x, weight) = (Self::contiguous(x), Self::contiguous(weight));
                let nodes = Nodes {
                    gamma,
                    beta,
                    kernel,
                }
                .contiguous();
                let (y, levels) = Levels::forward::<Self>(&x, &weight, &real, &nodes, call);
                (y, levels.batch_statistics())
            }

            fn graph_steps(
                x: FloatTensor<Self>,
                weight: FloatTensor<Self>,
                real: BoolTensor<Self>,
                gamma: FloatTensor<Self>,
                beta: FloatTensor<Self>,
                kernel: FloatTensor<Self>,
                call: Arc<StepsCall>,
            ) -> FloatTensor<Self> {
                let (x, weight) = (Self::contiguous(x), Self::contiguous(weight));
                let nodes = Nodes {
                    gamma,
                    beta,
                    kernel,
                }
                .contiguous();
                Steps::forward::<Self>(&x, &weight, &real, &nodes, call).0
            }

            fn select_top_k(
                weights: FloatTensor<Self>,
                real: BoolTensor<Self>,
                wanted: Wanted,
                seen: Option<Seen>,
            ) -> Result<Chosen, usize> {
                host::select_top_k::<Self>(&Self::contiguous(weights), &real, &wanted, seen)
            }

            fn toggle_mask(mask: BoolTensor<Self>, entries: Arc<Vec<usize>>) -> BoolTensor<Self> {
                Self::toggle(mask, &entries)
            }

            fn sgd_step(
                weights: FloatTensor<Self>,
                gradient: FloatTensor<Self>,
                velocity: FloatTensor<Self>,
                sgd: SgdStep,
            ) -> (FloatTensor<Self>, FloatTensor<Self>) {
                host::sgd_step::<Self>(weights, Self::contiguous(gradient), velocity, sgd)
            }

            fn sgd_step_and_survey(
                weights: FloatTensor<Self>,
                gradient: FloatTensor<Self>,
                velocity: FloatTensor<Self>,
                real: BoolTensor<Self>,
                sgd: SgdStep,
                wanted: Wanted,
            ) -> (FloatTensor<Self>, FloatTensor<Self>, Option<Seen>) {
                let gradient = Self::contiguous(gradient);
                host::sgd_step_and_survey::<Self>(weights, gradient, velocity, &real, sgd, &wanted)
            }

            fn place(tensor: FloatTensor<Self>) -> Option<Place> {
                host::place::<Self>(&tensor)
            }

            fn sgd_first_step(
                weights: FloatTensor<Self>,
                gradient: FloatTensor<Self>,
                sgd: SgdStep,
            ) -> (FloatTensor<Self>, FloatTensor<Self>) {
                host::sgd_first_step::<Self>(weights, gradient, sgd)
            }
        }
    };
}

#[cfg(feature = "flex")]
on_host!(burn::backend::Flex);
#[cfg(feature = "ndarray")]
on_host!(burn::backend::NdArray);

/// Hands gradients to those parents that want one.
fn register<B: Backend, const N: usize>(
    parents: [Option<NodeId>; N],
    gradients: [FloatTensor<B>; N],
    grads: &mut Gradients,
) {
    for (parent, gradient) in parents.into_iter().zip(gradients) {
        if let Some(node) = parent {
            grads.register::<B>(node, gradient);
        }
    }
}

impl<B: Host + WiredOps, C: CheckpointStrategy> WiredOps for Autodiff<B, C> {
    fn wired_product(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        real: BoolTensor<Self>,
        call: Arc<ProductCall>,
    ) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct WiredProduct;

        impl<B: Host> Backward<B, 2> for WiredProduct {
            type State = (Product, [FloatTensor<B>; 2]);

            fn backward(
                self,
                ops: Ops<Self::State, 2>,
                grads: &mut Gradients,
                _: &mut Checkpointer,
            ) {
                let [x_node, weight_node] = ops.parents;
                let (product, [x, weight]) = ops.state;
                let _span = trace_span!("wired product").entered();
                let dy = B::contiguous(grads.consume::<B>(&ops.node));
                if let Some(node) = x_node {
                    grads.register::<B>(node.id, product.input_gradient::<B>(&x, &dy));
                }
                if let Some(node) = weight_node {
                    grads.register::<B>(node.id, product.weight_gradient::<B>(&x, &weight, &dy));
                }
                [x, dy].into_iter().for_each(B::recycle);
            }
        }

        let _span = trace_span!("wired product").entered();
        let nodes = [x.node(), weight.node()];
        let [x, weight] = [x, weight].map(|tensor| B::contiguous(tensor.into_primitive()));
        let product = Product::new::<B>(&weight, &real, call);
        let y = product.forward::<B>(&x);
        match WiredProduct.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((product, [x, weight]), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }

    fn wired_convolution(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        real: BoolTensor<Self>,
        call: Arc<ConvolutionCall>,
    ) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct WiredConvolution;

        impl<B: Host> Backward<B, 2> for WiredConvolution {
            type State = (Convolution, [Shape; 2]);

            fn backward(
                self,
                ops: Ops<Self::State, 2>,
                grads: &mut Gradients,
                _: &mut Checkpointer,
            ) {
                let (convolution, shapes) = ops.state;
                let _span = trace_span!("wired convolution").entered();
                let dy = B::contiguous(grads.consume::<B>(&ops.node));
                let ids = ops.parents.map(|node| node.map(|node| node.id));
                let [x, weight] = shapes;
                let wanted = [ids[0].map(|_| x), ids[1].map(|_| weight)];
                let found = convolution.backward::<B>(wanted, dy);
                for (id, gradient) in ids.into_iter().zip(found) {
                    if let (Some(id), Some(gradient)) = (id, gradient) {
                        grads.register::<B>(id, gradient);
                    }
                }
            }
        }

        let _span = trace_span!("wired convolution").entered();
        let nodes = [x.node(), weight.node()];
        let [x, weight] = [x, weight].map(|tensor| B::contiguous(tensor.into_primitive()));
        let (y, convolution) = Convolution::forward::<B>(&x, &weight, &real, call);
        let shapes = [x.shape(), weight.shape()];
        B::recycle(x);
        match WiredConvolution
            .prepare::<C>(nodes)
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => prep.finish((convolution, shapes), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }

    fn fused_nodes(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        kernel: FloatTensor<Self>,
        epsilon: f32,
    ) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct FusedNodes;

        impl<B: Host> Backward<B, 4> for FusedNodes {
            type State = (FloatTensor<B>, Nodes<B>, f32);

            fn backward(
                self,
                ops: Ops<Self::State, 4>,
                grads: &mut Gradients,
                _: &mut Checkpointer,
            ) {
                let (x, nodes, epsilon) = ops.state;
                let _span = trace_span!("nodes").entered();
                let dy = B::contiguous(grads.consume::<B>(&ops.node));
                register::<B, 4>(
                    ops.parents.map(|node| node.map(|node| node.id)),
                    host::nodes_backward::<B>(&x, &nodes, epsilon, &dy),
                    grads,
                );
                [x, dy].into_iter().for_each(B::recycle);
            }
        }

        let _span = trace_span!("nodes").entered();
        let parents = [x.node(), gamma.node(), beta.node(), kernel.node()];
        let (x, nodes) = (
            B::contiguous(x.into_primitive()),
            plain::<B, C>(gamma, beta, kernel),
        );
        let y = host::nodes_forward::<B>(&x, &nodes, epsilon);
        match FusedNodes.prepare::<C>(parents).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((x, nodes, epsilon), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }

    fn batch_norm_by_batch(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        call: Arc<NormCall>,
    ) -> (FloatTensor<Self>, BatchStatistics) {
        #[derive(Debug)]
        struct BatchNormByBatch;

        impl<B: Host> Backward<B, 3> for BatchNormByBatch {
            type State = (FloatTensor<B>, [FloatTensor<B>; 2], Norm);

            fn backward(
                self,
                ops: Ops<Self::State, 3>,
                grads: &mut Gradients,
                _: &mut Checkpointer,
            ) {
                let (x, affine, norm) = ops.state;
                let _span = trace_span!("batch norm").entered();
                let dy = B::contiguous(grads.consume::<B>(&ops.node));
                let parents = ops.parents.map(|node| node.map(|node| node.id));
                register::<B, 3>(parents, norm.backward::<B>(&x, &affine, &dy), grads);
                [x, dy].into_iter().for_each(B::recycle);
            }
        }

        let _span = trace_span!("batch norm").entered();
        let parents = [x.node(), gamma.node(), beta.node()];
        let [x, gamma, beta] =
            [x, gamma, beta].map(|tensor| B::contiguous(tensor.into_primitive()));
        let affine = [gamma, beta];
        let (y, norm) = Norm::forward::<B>(&x, &affine, call);
        let statistics = norm.statistics();
        let prep = BatchNormByBatch.prepare::<C>(parents);
        let y = match prep.compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((x, affine, norm), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        };
        (y, statistics)
    }

    fn graph_levels(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        real: BoolTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        kernel: FloatTensor<Self>,
        call: Arc<LevelsCall>,
    ) -> (FloatTensor<Self>, Option<BatchStatistics>) {
        #[derive(Debug)]
        struct GraphLevels;

        impl<B: Host> Backward<B, 5> for GraphLevels {
            type State = ([FloatTensor<B>; 2], Nodes<B>, Levels);

            fn backward(
                self,
                ops: Ops<Self::State, 5>,
                grads: &mut Gradients,
                _: &mut Checkpointer,
            ) {
                let ([x, weight], nodes, levels) = ops.state;
                let _span = trace_span!("graph of levels").entered();
                let dy = B::contiguous(grads.consume::<B>(&ops.node));
                register::<B, 5>(
                    ops.parents.map(|node| node.map(|node| node.id)),
                    levels.backward::<B>(&x, &weight, &nodes, &dy),
                    grads,
                );
                [x, dy].into_iter().for_each(B::recycle);
            }
        }

        let _span = trace_span!("graph of levels").entered();
        let parents = [
            x.node(),
            weight.node(),
            gamma.node(),
            beta.node(),
            kernel.node(),
        ];
        let [x, weight] = [x, weight].map(|tensor| B::contiguous(tensor.into_primitive()));
        let nodes = plain::<B, C>(gamma, beta, kernel);
        let (y, levels) = Levels::forward::<B>(&x, &weight, &real, &nodes, call);
        let statistics = levels.batch_statistics();
        let y = match GraphLevels.prepare::<C>(parents).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(([x, weight], nodes, levels), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        };
        (y, statistics)
    }

    fn graph_steps(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        real: BoolTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        kernel: FloatTensor<Self>,
        call: Arc<StepsCall>,
    ) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct GraphSteps;

        impl<B: Host> Backward<B, 5> for GraphSteps {
            type State = ([FloatTensor<B>; 2], Nodes<B>, Steps);

            fn backward(
                self,
                ops: Ops<Self::State, 5>,
                grads: &mut Gradients,
                _: &mut Checkpointer,
            ) {
                let ([x, weight], nodes, steps) = ops.state;
                let _span = trace_span!("steps of a cyclic graph").entered();
                let dy = B::contiguous(grads.consume::<B>(&ops.node));
                register::<B, 5>(
                    ops.parents.map(|node| node.map(|node| node.id)),
                    steps.backward::<B>(&x, &weight, &nodes, &dy),
                    grads,
                );
                [x, dy].into_iter().for_each(B::recycle);
            }
        }

        let _span = trace_span!("steps of a cyclic graph").entered();
        let parents = [
            x.node(),
            weight.node(),
            gamma.node(),
            beta.node(),
            kernel.node(),
        ];
        let [x, weight] = [x, weight].map(|tensor| B::contiguous(tensor.into_primitive()));
        let nodes = plain::<B, C>(gamma, beta, kernel);
        let (y, steps) = Steps::forward::<B>(&x, &weight, &real, &nodes, call);
        match GraphSteps.prepare::<C>(parents).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(([x, weight], nodes, steps), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }

    fn select_top_k(
        weights: FloatTensor<Self>,
        real: BoolTensor<Self>,
        wanted: Wanted,
        seen: Option<Seen>,
    ) -> Result<Chosen, usize> {
        B::select_top_k(weights.into_primitive(), real, wanted, seen)
    }

    fn toggle_mask(mask: BoolTensor<Self>, entries: Arc<Vec<usize>>) -> BoolTensor<Self> {
        B::toggle_mask(mask, entries)
    }

    fn sgd_step(
        weights: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        velocity: FloatTensor<Self>,
        sgd: SgdStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let [weights, gradient, velocity] =
            [weights, gradient, velocity].map(|tensor| tensor.into_primitive());
        let (weights, velocity) = B::sgd_step(weights, gradient, velocity, sgd);
        (Self::from_inner(weights), Self::from_inner(velocity))
    }

    fn sgd_step_and_survey(
        weights: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        velocity: FloatTensor<Self>,
        real: BoolTensor<Self>,
        sgd: SgdStep,
        wanted: Wanted,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, Option<Seen>) {
        let [weights, gradient, velocity] =
            [weights, gradient, velocity].map(|tensor| tensor.into_primitive());
        let (weights, velocity, seen) =
            B::sgd_step_and_survey(weights, gradient, velocity, real, sgd, wanted);
        (Self::from_inner(weights), Self::from_inner(velocity), seen)
    }

    fn place(tensor: FloatTensor<Self>) -> Option<Place> {
        B::place(tensor.into_primitive())
    }

    fn sgd_first_step(
        weights: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        sgd: SgdStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let [weights, gradient] = [weights, gradient].map(|tensor| tensor.into_primitive());
        let (weights, velocity) = B::sgd_first_step(weights, gradient, sgd);
        (Self::from_inner(weights), Self::from_inner(velocity))
    }
}

/// The nodes' numbers without what autodiff remembers of them.
fn plain<B: Host + WiredOps, C: CheckpointStrategy>(
    gamma: FloatTensor<Autodiff<B, C>>,
    beta: FloatTensor<Autodiff<B, C>>,
    kernel: FloatTensor<Autodiff<B, C>>,
) -> Nodes<B> {
    let [gamma, beta, kernel] = [gamma, beta, kernel].map(|tensor| tensor.into_primitive());
    Nodes {
        gamma,
        beta,
        kernel,
    }
    .contiguous()
}

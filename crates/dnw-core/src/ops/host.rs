//! Backends whose tensors are slices of this process, and the operations on them by the kernels of `dnw-kernels`.

use std::borrow::Cow;
use std::sync::Arc;

use burn::backend::tensor::{BoolTensor, FloatTensor};
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::Shape;
use dnw_kernels::convolution::{self, ConvolutionPass};
use dnw_kernels::levels::{self, LevelsPass};
use dnw_kernels::node::{self, NodeGradients, NodeParameters, NodeShape};
use dnw_kernels::norm::{self, NormParameters, NormShape};
use dnw_kernels::steps::{self, StepsPass};
use dnw_kernels::{Buffer, EdgeIndex, pool, product};

use super::calls::{CallNorm, ConvolutionCall, LevelsCall, NormCall, ProductCall, StepsCall};
use super::watch::Place;
use super::{BatchStatistics, IndexCache};

#[cfg(feature = "flex")]
mod flex;
#[cfg(feature = "ndarray")]
mod ndarray;
mod update;

pub(crate) use update::{place, select_top_k, sgd_first_step, sgd_step, sgd_step_and_survey};

/// A backend that computes on the CPU, on numbers that can be read where they lie.
pub(crate) trait Host: Backend {
    /// The same numbers, row-major and without gaps.
    fn contiguous(tensor: FloatTensor<Self>) -> FloatTensor<Self>;

    /// Whether the numbers lie row-major and without gaps.
    fn is_contiguous(tensor: &FloatTensor<Self>) -> bool;

    /// The numbers of a contiguous tensor of 32-bit floats.
    fn floats(tensor: &FloatTensor<Self>) -> &[f32];

    /// A byte for each entry, zero for no, in the tensor's order.
    fn bytes(tensor: &BoolTensor<Self>) -> Cow<'_, [u8]>;

    /// Where the entries lie.
    fn mask_place(tensor: &BoolTensor<Self>) -> Place;

    /// A tensor of these numbers.
    fn tensor(values: Vec<f32>, shape: Shape) -> FloatTensor<Self>;

    /// Changes the numbers, row-major, where they lie if nobody else holds them.
    fn change(tensor: FloatTensor<Self>, change: impl FnOnce(&mut [f32])) -> FloatTensor<Self>;

    /// Turns some entries over, where they lie if nobody else holds them.
    fn toggle(mask: BoolTensor<Self>, entries: &[usize]) -> BoolTensor<Self>;

    /// Takes what is not needed any more; its memory is used again if nobody else holds it.
    fn recycle(tensor: FloatTensor<Self>) {
        drop(tensor);
    }
}

/// The real edges of a weight, and what they weigh.
#[derive(Clone, Debug)]
struct Edges {
    index: Arc<EdgeIndex>,
    /// By the edges' numbers.
    weights: Arc<Buffer>,
}

impl Edges {
    fn new<B: Host>(weight: &FloatTensor<B>, real: &BoolTensor<B>, cache: &IndexCache) -> Self {
        let shape = real.shape();
        let rows = shape[0];
        let columns = shape.num_elements() / rows.max(1);
        let index = cache.index([rows, columns], &B::bytes(real));
        let weights = Arc::new(index.weights(B::floats(weight)));
        Self { index, weights }
    }
}

/// The numbers of nodes.
pub(crate) struct Nodes<B: Backend> {
    pub(crate) gamma: FloatTensor<B>,
    pub(crate) beta: FloatTensor<B>,
    pub(crate) kernel: FloatTensor<B>,
}

impl<B: Host> Nodes<B> {
    pub(crate) fn contiguous(self) -> Self {
        Self {
            gamma: B::contiguous(self.gamma),
            beta: B::contiguous(self.beta),
            kernel: B::contiguous(self.kernel),
        }
    }

    fn parameters(&self, epsilon: f32) -> NodeParameters<'_> {
        NodeParameters {
            gamma: B::floats(&self.gamma),
            beta: B::floats(&self.beta),
            kernel: B::floats(&self.kernel),
            epsilon,
        }
    }

    fn gradients(&self, found: NodeGradients) -> [FloatTensor<B>; 3] {
        [
            B::tensor(found.gamma, self.gamma.shape()),
            B::tensor(found.beta, self.beta.shape()),
            B::tensor(found.kernel, self.kernel.shape()),
        ]
    }
}

impl<B: Backend> Clone for Nodes<B> {
    fn clone(&self) -> Self {
        Self {
            gamma: self.gamma.clone(),
            beta: self.beta.clone(),
            kernel: self.kernel.clone(),
        }
    }
}

impl<B: Backend> std::fmt::Debug for Nodes<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Nodes")
    }
}

/// A block for as many elements as a tensor has, from the pool. The caller writes all of them.
fn uninitialised_like<B: Host>(tensor: &FloatTensor<B>) -> Vec<f32> {
    pool::acquire(tensor.shape().num_elements())
}

/// Zeros, as many as a tensor has elements.
fn zeros_like<B: Host>(tensor: &FloatTensor<B>) -> Vec<f32> {
    let mut zeros = uninitialised_like::<B>(tensor);
    zeros.fill(0.0);
    zeros
}

/// A product, its index made.
#[derive(Clone, Debug)]
pub(crate) struct Product {
    call: Arc<ProductCall>,
    edges: Edges,
}

impl Product {
    pub(crate) fn new<B: Host>(
        weight: &FloatTensor<B>,
        real: &BoolTensor<B>,
        call: Arc<ProductCall>,
    ) -> Self {
        let edges = Edges::new::<B>(weight, real, &call.index);
        Self { call, edges }
    }

    pub(crate) fn forward<B: Host>(&self, x: &FloatTensor<B>) -> FloatTensor<B> {
        let shape = self.call.shape;
        let mut y = pool::acquire(shape.images * shape.targets * shape.pixels);
        let Edges { index, weights } = &self.edges;
        product::forward(shape, B::floats(x), weights, index, &mut y);
        B::tensor(y, Shape::from(self.call.given.clone()))
    }

    pub(crate) fn input_gradient<B: Host>(
        &self,
        x: &FloatTensor<B>,
        dy: &FloatTensor<B>,
    ) -> FloatTensor<B> {
        let mut dx = uninitialised_like::<B>(x);
        let Edges { index, weights } = &self.edges;
        product::input_gradient(self.call.shape, B::floats(dy), weights, index, &mut dx);
        B::tensor(dx, x.shape())
    }

    pub(crate) fn weight_gradient<B: Host>(
        &self,
        x: &FloatTensor<B>,
        weight: &FloatTensor<B>,
        dy: &FloatTensor<B>,
    ) -> FloatTensor<B> {
        let mut dw = uninitialised_like::<B>(weight);
        product::weight_gradient(self.call.shape, B::floats(x), B::floats(dy), &mut dw);
        B::tensor(dw, weight.shape())
    }
}

/// A convolution after its pass.
#[derive(Clone, Debug)]
pub(crate) struct Convolution {
    call: Arc<ConvolutionCall>,
    edges: Edges,
    pass: Arc<ConvolutionPass>,
}

impl Convolution {
    pub(crate) fn forward<B: Host>(
        x: &FloatTensor<B>,
        weight: &FloatTensor<B>,
        real: &BoolTensor<B>,
        call: Arc<ConvolutionCall>,
    ) -> (FloatTensor<B>, Self) {
        let edges = Edges::new::<B>(weight, real, &call.index);
        let (shape, [height, width]) = (&call.shape, call.given);
        let mut y = pool::acquire(shape.images * shape.targets * height * width);
        let Edges { index, weights } = &edges;
        let pass = convolution::forward(shape, B::floats(x), weights, index, &mut y);
        let given = Shape::from([shape.images, shape.targets, height, width]);
        let pass = Arc::new(pass);
        (B::tensor(y, given), Self { call, edges, pass })
    }

    /// The gradients to an input and a weight of these shapes, where they are wanted.
    pub(crate) fn backward<B: Host>(
        &self,
        [x, weight]: [Option<Shape>; 2],
        dy: FloatTensor<B>,
    ) -> [Option<FloatTensor<B>>; 2] {
        let of = |shape: &Option<Shape>| Some(pool::acquire(shape.as_ref()?.num_elements()));
        let (mut dx, mut dw) = (of(&x), of(&weight));
        let Edges { index, weights } = &self.edges;
        let wanted = [dx.as_deref_mut(), dw.as_deref_mut()];
        let shape = &self.call.shape;
        convolution::backward(shape, &self.pass, weights, index, B::floats(&dy), wanted);
        B::recycle(dy);
        let tensor =
            |values: Option<Vec<f32>>, shape: Option<Shape>| Some(B::tensor(values?, shape?));
        [tensor(dx, x), tensor(dw, weight)]
    }
}

/// The sizes of the nodes' maps.
fn node_shape<B: Host>(x: &FloatTensor<B>) -> NodeShape {
    let shape = x.shape();
    NodeShape {
        images: shape[0],
        nodes: shape[1],
        height: shape[2],
        width: shape[3],
        stride: 1,
    }
}

/// Fires nodes.
pub(crate) fn nodes_forward<B: Host>(
    x: &FloatTensor<B>,
    nodes: &Nodes<B>,
    epsilon: f32,
) -> FloatTensor<B> {
    let mut y = uninitialised_like::<B>(x);
    node::forward(
        node_shape::<B>(x),
        B::floats(x),
        &nodes.parameters(epsilon),
        &mut y,
    );
    B::tensor(y, x.shape())
}

/// The gradients to what nodes are given and to their numbers.
pub(crate) fn nodes_backward<B: Host>(
    x: &FloatTensor<B>,
    nodes: &Nodes<B>,
    epsilon: f32,
    dy: &FloatTensor<B>,
) -> [FloatTensor<B>; 4] {
    let mut dx = uninitialised_like::<B>(x);
    let found = node::backward(
        node_shape::<B>(x),
        B::floats(x),
        &nodes.parameters(epsilon),
        B::floats(dy),
        &mut dx,
    );
    let [gamma, beta, kernel] = nodes.gradients(found);
    [B::tensor(dx, x.shape()), gamma, beta, kernel]
}

/// A batch norm after its pass.
#[derive(Clone, Debug)]
pub(crate) struct Norm {
    call: Arc<NormCall>,
    statistics: Arc<Vec<f32>>,
}

/// The sizes of a norm.
fn norm_shape<B: Host>(x: &FloatTensor<B>) -> NormShape {
    let shape = x.shape();
    NormShape {
        images: shape[0],
        channels: shape[1],
        pixels: shape[2] * shape[3],
    }
}

impl Norm {
    fn parameters<'a, B: Host>(
        call: &NormCall,
        [gamma, beta]: &'a [FloatTensor<B>; 2],
    ) -> NormParameters<'a> {
        NormParameters {
            gamma: B::floats(gamma),
            beta: B::floats(beta),
            epsilon: call.epsilon,
            rectified: call.rectified,
        }
    }

    pub(crate) fn forward<B: Host>(
        x: &FloatTensor<B>,
        affine: &[FloatTensor<B>; 2],
        call: Arc<NormCall>,
    ) -> (FloatTensor<B>, Self) {
        let mut y = uninitialised_like::<B>(x);
        let parameters = Self::parameters::<B>(&call, affine);
        let statistics = norm::forward(norm_shape::<B>(x), B::floats(x), &parameters, &mut y);
        let statistics = Arc::new(statistics);
        (B::tensor(y, x.shape()), Self { call, statistics })
    }

    /// Mean and biased variance of each channel.
    pub(crate) fn statistics(&self) -> BatchStatistics {
        let pairs = || self.statistics.chunks_exact(2);
        [
            pairs().map(|pair| pair[0]).collect(),
            pairs().map(|pair| pair[1]).collect(),
        ]
    }

    /// The gradients to the input, to gamma and to beta.
    pub(crate) fn backward<B: Host>(
        &self,
        x: &FloatTensor<B>,
        affine: &[FloatTensor<B>; 2],
        dy: &FloatTensor<B>,
    ) -> [FloatTensor<B>; 3] {
        let mut dx = uninitialised_like::<B>(x);
        let parameters = Self::parameters::<B>(&self.call, affine);
        let [gamma, beta] = norm::backward(
            norm_shape::<B>(x),
            B::floats(x),
            &self.statistics,
            &parameters,
            B::floats(dy),
            &mut dx,
        );
        [
            B::tensor(dx, x.shape()),
            B::tensor(gamma, affine[0].shape()),
            B::tensor(beta, affine[1].shape()),
        ]
    }
}

/// A graph of levels after its pass.
#[derive(Clone, Debug)]
pub(crate) struct Levels {
    call: Arc<LevelsCall>,
    edges: Edges,
    pass: Arc<LevelsPass>,
}

impl Levels {
    pub(crate) fn forward<B: Host>(
        x: &FloatTensor<B>,
        weight: &FloatTensor<B>,
        real: &BoolTensor<B>,
        nodes: &Nodes<B>,
        call: Arc<LevelsCall>,
    ) -> (FloatTensor<B>, Self) {
        let edges = Edges::new::<B>(weight, real, &call.index);
        let shape = &call.shape;
        let ([height, width], outputs) = (shape.maps(), shape.output_nodes());
        let mut y = pool::acquire(shape.images * outputs * height * width);
        let parameters = nodes.parameters(call.epsilon);
        let norm = call.norm.graph_norm();
        let Edges { index, weights } = &edges;
        let pass = levels::forward(
            shape,
            B::floats(x),
            weights,
            index,
            &parameters,
            norm,
            &mut y,
        );
        let y = B::tensor(y, Shape::from([shape.images, outputs, height, width]));
        let pass = Arc::new(pass);
        (y, Self { call, edges, pass })
    }

    /// The statistics of the nodes, if their norm is that of the batch.
    pub(crate) fn batch_statistics(&self) -> Option<BatchStatistics> {
        matches!(self.call.norm, CallNorm::Batch).then(|| self.pass.batch_statistics())
    }

    /// The gradients to the input, to the weight, and to the nodes' numbers.
    pub(crate) fn backward<B: Host>(
        &self,
        x: &FloatTensor<B>,
        weight: &FloatTensor<B>,
        nodes: &Nodes<B>,
        dy: &FloatTensor<B>,
    ) -> [FloatTensor<B>; 5] {
        // What no edge could lead to has no gradient, and the kernel adds.
        let (mut dx, mut dw) = (uninitialised_like::<B>(x), zeros_like::<B>(weight));
        let found = levels::backward(
            &self.call.shape,
            &self.pass,
            &self.edges.weights,
            &self.edges.index,
            &nodes.parameters(self.call.epsilon),
            self.call.norm.graph_norm(),
            B::floats(dy),
            &mut dx,
            &mut dw,
        );
        let [gamma, beta, kernel] = nodes.gradients(found);
        let (dx, dw) = (B::tensor(dx, x.shape()), B::tensor(dw, weight.shape()));
        [dx, dw, gamma, beta, kernel]
    }
}

/// A cyclic graph after its steps.
#[derive(Clone, Debug)]
pub(crate) struct Steps {
    call: Arc<StepsCall>,
    edges: Edges,
    pass: Arc<StepsPass>,
}

impl Steps {
    pub(crate) fn forward<B: Host>(
        x: &FloatTensor<B>,
        weight: &FloatTensor<B>,
        real: &BoolTensor<B>,
        nodes: &Nodes<B>,
        call: Arc<StepsCall>,
    ) -> (FloatTensor<B>, Self) {
        let edges = Edges::new::<B>(weight, real, &call.index);
        let shape = &call.shape;
        let given = [shape.images, shape.outputs.len(), shape.height, shape.width];
        let mut y = pool::acquire(given.iter().product());
        let parameters = nodes.parameters(call.epsilon);
        let Edges { index, weights } = &edges;
        let pass = steps::forward(shape, B::floats(x), weights, index, &parameters, &mut y);
        let pass = Arc::new(pass);
        (B::tensor(y, Shape::from(given)), Self { call, edges, pass })
    }

    /// The gradients to the input, to the weight, and to the nodes' numbers.
    pub(crate) fn backward<B: Host>(
        &self,
        x: &FloatTensor<B>,
        weight: &FloatTensor<B>,
        nodes: &Nodes<B>,
        dy: &FloatTensor<B>,
    ) -> [FloatTensor<B>; 5] {
        // What no edge could lead to has no gradient, and the kernel adds.
        let (mut dx, mut dw) = (uninitialised_like::<B>(x), zeros_like::<B>(weight));
        let found = steps::backward(
            &self.call.shape,
            &self.pass,
            &self.edges.weights,
            &self.edges.index,
            &nodes.parameters(self.call.epsilon),
            B::floats(dy),
            &mut dx,
            &mut dw,
        );
        let [gamma, beta, kernel] = nodes.gradients(found);
        let (dx, dw) = (B::tensor(dx, x.shape()), B::tensor(dw, weight.shape()));
        [dx, dw, gamma, beta, kernel]
    }
}

//! The node function: instance norm, ReLU, depthwise 3 x 3 convolution with one pixel of padding.

use burn::backend::tensor::{BoolTensor, FloatTensor};
use burn::backend::{DispatchTensor, TensorMetadata};
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Tensor, activation};
use dnw_kernels::node::{self, NodeGradients, NodeParameters, NodeShape};
use tracing::{Span, trace_span};

use super::cpu::{CpuBackend, uninitialised_like, zeros_like};
use super::dispatch::{self, Operation};
use super::instance_norm::instance_norm;
use super::kernels::Kernels;
#[cfg(feature = "cube")]
use {
    super::gpu::{buffer, empty, tensor},
    burn_cubecl::tensor::CubeTensor,
    dnw_cube::node as gpu_node,
};

/// The nodes of a graph whose function is a norm, ReLU and a depthwise 3 x 3 convolution, for kernels that run the graph in one pass.
#[derive(Clone, Debug)]
pub struct GraphNodes {
    /// Scale after the norm, `[nodes with a node function]`.
    pub gamma: Tensor<1>,
    /// Shift after the norm, `[nodes with a node function]`.
    pub beta: Tensor<1>,
    /// `[nodes with a node function, 1, 3, 3]`.
    pub kernel: Tensor<4>,
    /// Added to the variance.
    pub epsilon: f64,
    /// The stride of the input level's convolution.
    pub stride: usize,
    /// Which statistics normalise the nodes.
    pub norm: GraphNorm,
}

impl GraphNodes {
    /// The float inputs of an operation over a whole graph: `x`, `weight`, `gamma`, `beta`, `kernel`.
    pub(super) fn inputs(self, x: Tensor<4>, weight: Tensor<4>) -> [DispatchTensor; 5] {
        [
            x.into_dispatch(),
            weight.into_dispatch(),
            self.gamma.into_dispatch(),
            self.beta.into_dispatch(),
            self.kernel.into_dispatch(),
        ]
    }
}

/// Which statistics normalise the nodes of a graph.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum GraphNorm {
    /// Those of each feature map.
    Instance,
    /// Those of the node's feature maps in the whole batch.
    Batch,
    /// Running averages: mean and variance, `[nodes with a node function]` each.
    Running([Vec<f32>; 2]),
}

/// The node function of each node.
///
/// `x`: `[batch, nodes, height, width]`; `gamma`, `beta`: `[nodes]`; `kernel`: `[nodes, 1, 3, 3]`.
pub(crate) fn node_function(
    x: Tensor<4>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    kernel: Tensor<4>,
    epsilon: f64,
    kernels: Kernels,
) -> Tensor<4> {
    let [images, nodes, height, width] = x.dims();
    let on_gpu = kernels.on_gpu(&x) && kernels.on_gpu(&kernel) && fits_gpu(&x);
    if !on_gpu && !kernels.on_cpu(&x) {
        let normed = instance_norm(x, gamma, beta, epsilon, kernels);
        let options = ConvOptions::new([1, 1], [1, 1], [1, 1], nodes);
        return conv2d(activation::relu(normed), kernel, None, options);
    }
    let function = Node {
        shape: NodeShape {
            images,
            nodes,
            height,
            width,
            stride: 1,
        },
        epsilon: epsilon as f32,
    };
    let floats = [
        x.into_dispatch(),
        gamma.into_dispatch(),
        beta.into_dispatch(),
        kernel.into_dispatch(),
    ];
    let (y, ()) = dispatch::run(function, floats, []);
    Tensor::from_dispatch(y)
}

/// Inputs: `x`, `gamma`, `beta`, `kernel`.
#[derive(Clone, Debug)]
struct Node {
    shape: NodeShape,
    epsilon: f32,
}

/// The parameters of nodes as slices.
pub(super) fn parameters<B: CpuBackend>(
    [gamma, beta, kernel]: &[FloatTensor<B>; 3],
    epsilon: f32,
) -> NodeParameters<'_> {
    NodeParameters {
        gamma: B::floats(gamma),
        beta: B::floats(beta),
        kernel: B::floats(kernel),
        epsilon,
    }
}

/// The gradients to the parameters of nodes as tensors.
fn gradients<B: CpuBackend>(
    [gamma, beta, kernel]: &[FloatTensor<B>; 3],
    found: NodeGradients,
) -> [FloatTensor<B>; 3] {
    [
        B::tensor(found.gamma, gamma.shape()),
        B::tensor(found.beta, beta.shape()),
        B::tensor(found.kernel, kernel.shape()),
    ]
}

/// The gradients to the inputs of an operation over a whole graph, whose kernel writes those of `x` and adds those of `weight`.
pub(super) fn graph_gradients<B: CpuBackend>(
    [x, weight]: [FloatTensor<B>; 2],
    nodes: &[FloatTensor<B>; 3],
    kernel: impl FnOnce(&mut [f32], &mut [f32]) -> NodeGradients,
) -> [Option<FloatTensor<B>>; 5] {
    // Entries of no possible edge stay zero.
    let (mut dx, mut dw) = (uninitialised_like::<B>(&x), zeros_like::<B>(&weight));
    let [gamma, beta, depthwise] = gradients::<B>(nodes, kernel(&mut dx, &mut dw));
    let (dx, dw) = (B::tensor(dx, x.shape()), B::tensor(dw, weight.shape()));
    B::recycle(x);
    [dx, dw, gamma, beta, depthwise].map(Some)
}

impl Operation<4, 0> for Node {
    type Extra = ();
    /// `x`, and the parameters.
    type Saved<B: CpuBackend> = (FloatTensor<B>, [FloatTensor<B>; 3]);

    fn span() -> Span {
        trace_span!("nodes")
    }

    fn forward_cpu<B: CpuBackend>(
        &self,
        [x, gamma, beta, kernel]: [FloatTensor<B>; 4],
        []: [BoolTensor<B>; 0],
    ) -> (FloatTensor<B>, (), Self::Saved<B>) {
        let nodes = [gamma, beta, kernel];
        let parameters = parameters::<B>(&nodes, self.epsilon);
        let mut y = uninitialised_like::<B>(&x);
        node::forward(self.shape, B::floats(&x), &parameters, &mut y);
        (B::tensor(y, x.shape()), (), (x, nodes))
    }

    fn backward_cpu<B: CpuBackend>(
        &self,
        (x, nodes): Self::Saved<B>,
        dy: &FloatTensor<B>,
        _: [bool; 4],
    ) -> [Option<FloatTensor<B>>; 4] {
        let parameters = parameters::<B>(&nodes, self.epsilon);
        let (x_values, dy) = (B::floats(&x), B::floats(dy));
        let mut dx = uninitialised_like::<B>(&x);
        let found = node::backward(self.shape, x_values, &parameters, dy, &mut dx);
        let dx = B::tensor(dx, x.shape());
        B::recycle(x);
        let [gamma, beta, kernel] = gradients::<B>(&nodes, found);
        [dx, gamma, beta, kernel].map(Some)
    }

    #[cfg(feature = "cube")]
    fn forward_gpu(
        &self,
        [x, gamma, beta, kernel]: &[CubeTensor; 4],
        []: &[CubeTensor; 0],
    ) -> (CubeTensor, (), Vec<CubeTensor>) {
        let parameters = gpu_parameters([gamma, beta, kernel], self.epsilon);
        let (y, output) = empty(x, x.shape());
        let shape = gpu_shape(x.shape().dims());
        gpu_node::forward(&x.client, shape, &buffer(x), &parameters, &output);
        (y, (), Vec::new())
    }

    #[cfg(feature = "cube")]
    fn backward_gpu(
        &self,
        [x, gamma, beta, kernel]: [CubeTensor; 4],
        []: [CubeTensor; 0],
        _: Vec<CubeTensor>,
        dy: CubeTensor,
        _: [bool; 4],
    ) -> [Option<CubeTensor>; 4] {
        let parameters = gpu_parameters([&gamma, &beta, &kernel], self.epsilon);
        let (dx, output) = empty(&x, x.shape());
        let (shape, inputs, dy) = (gpu_shape(x.shape().dims()), buffer(&x), buffer(&dy));
        let found = gpu_node::backward(&x.client, shape, &inputs, &parameters, &dy, &output);
        let of = |like: &CubeTensor, found| tensor(like, like.shape(), found);
        [
            dx,
            of(&gamma, &found.gamma),
            of(&beta, &found.beta),
            of(&kernel, &found.kernel),
        ]
        .map(Some)
    }
}

#[cfg(feature = "cube")]
fn gpu_parameters(
    [gamma, beta, kernel]: [&CubeTensor; 3],
    epsilon: f32,
) -> gpu_node::NodeParameters {
    gpu_node::NodeParameters {
        gamma: buffer(gamma),
        beta: buffer(beta),
        kernel: buffer(kernel),
        epsilon,
    }
}

#[cfg(feature = "cube")]
fn gpu_shape([images, nodes, height, width]: [usize; 4]) -> gpu_node::NodeShape {
    gpu_node::NodeShape {
        images,
        nodes,
        height,
        width,
    }
}

/// Whether the GPU of a tensor has a kernel for feature maps of this size.
fn fits_gpu(x: &Tensor<4>) -> bool {
    match x.device().inner().as_dispatch() {
        #[cfg(feature = "cube")]
        burn::backend::DispatchDevice::Cube(gpu) => gpu_shape(x.dims()).fits(&gpu.client()),
        #[allow(unreachable_patterns)]
        _ => false,
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use burn::tensor::Device;
    use proptest::prelude::*;

    use super::*;
    use crate::ops::testing::{agree, random};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn the_fused_node_function_is_that_of_plain_tensors(
            batch in 1usize..4, nodes in 1usize..6, height in 2usize..11, width in 2usize..11,
        ) {
            let device = Device::flex().autodiff();
            let x = random([batch, nodes, height, width], &device);
            let (gamma, beta) = (random([nodes, 1, 1, 1], &device), random([nodes, 1, 1, 1], &device));
            let kernel = random([nodes, 1, 3, 3], &device);
            let by = |kernels| {
                move |[x, g, b, k]: [Tensor<4>; 4]| {
                    node_function(x, g.flatten(0, 3), b.flatten(0, 3), k, 1e-2, kernels)
                }
            };
            agree([x, gamma, beta, kernel], by(Kernels::Fastest), by(Kernels::Reference));
        }
    }
}

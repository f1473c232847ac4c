//! The operations on GPUs: Burn's CubeCL backend with the kernels of `dnw-cube`, and their gradients.
//!
//! This is a trait of its own, beside [`WiredOps`](super::extension::WiredOps) for CPUs, because the two serve different operations (a GPU
//! goes through a graph level by level, a CPU in one pass) and because what a pass leaves for its gradient is slices there and a GPU's
//! memory here.

use std::sync::Arc;

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::cubecl::dtype_to_storage_type;
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::{BoolTensor, FloatTensor};
use burn::backend::{
    Autodiff, Backend, Dispatch, DispatchDevice, TensorMetadata, backend_extension,
};
use burn::tensor::{Bool, DType, Device, Shape, Tensor};
use burn_cubecl::CubeBackend;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;
use dnw_cube::Buffer;
use dnw_cube::bits::{self, MaskBits};
use dnw_cube::node::{self, NodeParameters, NodeShape};
use dnw_cube::product::{self, Steps};
use dnw_cube::selection::{self, NotANumber};
use tracing::trace_span;

use super::{Chosen, Wanted};

/// The operations of wired networks that GPUs have kernels for. Each has a reference in plain tensors in the module above.
#[backend_extension(Cube, Autodiff)]
pub trait CubeOps: Backend {
    /// Every target gathers from its real edges.
    fn wired_product(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        real: BoolTensor<Self>,
    ) -> FloatTensor<Self>;

    /// Instance norm, ReLU, depthwise 3 x 3.
    fn fused_nodes(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        kernel: FloatTensor<Self>,
        epsilon: f32,
    ) -> FloatTensor<Self>;

    /// How the mask of the largest weights differs from `real`, `[entries]`. The error is the first candidate that is NaN.
    fn select_top_k(
        weights: FloatTensor<Self>,
        real: BoolTensor<Self>,
        wanted: Wanted,
    ) -> Result<Chosen, usize>;

    /// The mask with these entries toggled.
    fn toggle_mask(mask: BoolTensor<Self>, entries: Arc<Vec<usize>>) -> BoolTensor<Self>;
}

/// A contiguous tensor's numbers.
fn buffer(tensor: &CubeTensor) -> Buffer {
    let length = tensor.shape().num_elements();
    Buffer::new(tensor.handle.clone(), length, tensor.dtype.size())
}

/// An uninitialised tensor of 32-bit floats on the device of another tensor, and its buffer.
fn empty(like: &CubeTensor, shape: Shape) -> (CubeTensor, Buffer) {
    let found = Buffer::uninitialised(&like.client, shape.num_elements());
    (tensor(like, shape, &found), found)
}

/// A buffer of 32-bit floats as a tensor.
fn tensor(like: &CubeTensor, shape: Shape, buffer: &Buffer) -> CubeTensor {
    let (client, device) = (like.client.clone(), like.device.clone());
    CubeTensor::new_contiguous(client, device, shape, buffer.handle(), DType::F32)
}

/// A product, its mask packed.
#[derive(Clone, Debug)]
struct Product {
    x: CubeTensor,
    weight: CubeTensor,
    real: CubeTensor,
}

impl Product {
    fn new(x: CubeTensor, weight: CubeTensor, real: CubeTensor) -> Self {
        let [x, weight, real] = [x, weight, real].map(into_contiguous);
        Self { x, weight, real }
    }

    fn sizes(&self) -> [usize; 2] {
        let shape = self.real.shape();
        [shape[0], shape[1]]
    }

    fn forward(&self) -> CubeTensor {
        let ([targets, sources], client) = (self.sizes(), &self.x.client);
        let store = dtype_to_storage_type(self.real.dtype);
        let mask = MaskBits::of_targets(client, &buffer(&self.real), [targets, sources], store);
        let mut shape = self.x.shape();
        let images = shape[0];
        shape[1] = targets;
        let (y, output) = empty(&self.x, shape);
        let steps = Steps {
            row: sources,
            column: 1,
        };
        let (x, weight) = (buffer(&self.x), buffer(&self.weight));
        product::gather(client, &x, &weight, steps, &mask, images, &output);
        y
    }

    fn input_gradient(&self, dy: &CubeTensor) -> CubeTensor {
        let ([targets, sources], client) = (self.sizes(), &self.x.client);
        let store = dtype_to_storage_type(self.real.dtype);
        let mask = MaskBits::of_sources(client, &buffer(&self.real), [targets, sources], store);
        let images = self.x.shape()[0];
        let (dx, output) = empty(&self.x, self.x.shape());
        let steps = Steps {
            row: 1,
            column: sources,
        };
        let (dy, weight) = (buffer(dy), buffer(&self.weight));
        product::gather(client, &dy, &weight, steps, &mask, images, &output);
        dx
    }

    /// One dense product over all images, by Burn's own: it has the GPU's matrix units.
    fn weight_gradient(&self, dy: CubeTensor) -> CubeTensor {
        let [targets, sources] = self.sizes();
        let pixels = dy.shape().num_elements() / targets.max(1);
        let dy = CubeBackend::float_permute(dy, &[1, 0, 2, 3]);
        let dy = CubeBackend::float_reshape(dy, Shape::from([targets, pixels]));
        let x = CubeBackend::float_permute(self.x.clone(), &[0, 2, 3, 1]);
        let x = CubeBackend::float_reshape(x, Shape::from([pixels, sources]));
        CubeBackend::float_reshape(CubeBackend::float_matmul(dy, x), self.weight.shape())
    }
}

/// Nodes and what they are given.
#[derive(Clone, Debug)]
struct Nodes {
    x: CubeTensor,
    gamma: CubeTensor,
    beta: CubeTensor,
    kernel: CubeTensor,
    epsilon: f32,
}

impl Nodes {
    fn new([x, gamma, beta, kernel]: [CubeTensor; 4], epsilon: f32) -> Self {
        let [x, gamma, beta, kernel] = [x, gamma, beta, kernel].map(into_contiguous);
        Self {
            x,
            gamma,
            beta,
            kernel,
            epsilon,
        }
    }

    fn parameters(&self) -> NodeParameters {
        NodeParameters {
            gamma: buffer(&self.gamma),
            beta: buffer(&self.beta),
            kernel: buffer(&self.kernel),
            epsilon: self.epsilon,
        }
    }

    fn forward(&self) -> CubeTensor {
        let (y, output) = empty(&self.x, self.x.shape());
        let shape = node_shape(&self.x.shape());
        node::forward(
            &self.x.client,
            shape,
            &buffer(&self.x),
            &self.parameters(),
            &output,
        );
        y
    }

    /// The gradients to what the nodes are given, to gamma, to beta and to the kernels.
    fn backward(&self, dy: &CubeTensor) -> [CubeTensor; 4] {
        let (dx, output) = empty(&self.x, self.x.shape());
        let (client, shape) = (&self.x.client, node_shape(&self.x.shape()));
        let (x, dy) = (buffer(&self.x), buffer(dy));
        let found = node::backward(client, shape, &x, &self.parameters(), &dy, &output);
        let of = |like: &CubeTensor, found: &Buffer| tensor(like, like.shape(), found);
        [
            dx,
            of(&self.gamma, &found.gamma),
            of(&self.beta, &found.beta),
            of(&self.kernel, &found.kernel),
        ]
    }
}

fn node_shape(x: &Shape) -> NodeShape {
    NodeShape {
        images: x[0],
        nodes: x[1],
        height: x[2],
        width: x[3],
    }
}

impl CubeOps for CubeBackend {
    fn wired_product(x: CubeTensor, weight: CubeTensor, real: CubeTensor) -> CubeTensor {
        Product::new(x, weight, real).forward()
    }

    fn fused_nodes(
        x: CubeTensor,
        gamma: CubeTensor,
        beta: CubeTensor,
        kernel: CubeTensor,
        epsilon: f32,
    ) -> CubeTensor {
        Nodes::new([x, gamma, beta, kernel], epsilon).forward()
    }

    fn select_top_k(
        weights: CubeTensor,
        real: CubeTensor,
        wanted: Wanted,
    ) -> Result<Chosen, usize> {
        let (weights, real) = (into_contiguous(weights), into_contiguous(real));
        let entries = weights.shape().num_elements();
        let halves: Vec<u32> = match wanted.candidate_words() {
            None => Vec::new(),
            Some(words) => {
                let halves = words
                    .iter()
                    .flat_map(|&word| [word as u32, (word >> 32) as u32]);
                halves.take(entries.div_ceil(32)).collect()
            }
        };
        let wanted = selection::Wanted {
            candidates: (!wanted.all).then_some(&halves),
            k: wanted.edges,
        };
        let (store, client) = (dtype_to_storage_type(real.dtype), real.client.clone());
        let (weights, real) = (&buffer(&weights), buffer(&real));
        let made = selection::select_top_k(&client, weights, &real, store, wanted);
        match made {
            Ok(choice) => Ok(Chosen {
                born: choice.born,
                died: choice.died,
                threshold: choice.threshold,
                nearest: choice.nearest,
                contenders: choice.contenders,
            }),
            Err(NotANumber { entry }) => Err(entry),
        }
    }

    fn toggle_mask(mask: CubeTensor, entries: Arc<Vec<usize>>) -> CubeTensor {
        if entries.is_empty() {
            return mask;
        }
        let mask = into_contiguous(mask);
        // Where it lies, if nobody else holds it.
        let mask = if mask.can_mut() { mask } else { mask.copy() };
        let entries: Vec<u32> = entries.iter().map(|&entry| entry as u32).collect();
        let store = dtype_to_storage_type(mask.dtype);
        bits::toggle(&mask.client, &buffer(&mask), &entries, store);
        mask
    }
}

impl<C: CheckpointStrategy> CubeOps for Autodiff<CubeBackend, C> {
    fn wired_product(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        real: CubeTensor,
    ) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct WiredProduct;

        impl Backward<CubeBackend, 2> for WiredProduct {
            type State = Product;

            fn backward(self, ops: Ops<Product, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
                let ([x, weight], product) = (ops.parents, ops.state);
                let _span = trace_span!("wired product").entered();
                let dy = into_contiguous(grads.consume::<CubeBackend>(&ops.node));
                if let Some(node) = x {
                    grads.register::<CubeBackend>(node.id, product.input_gradient(&dy));
                }
                if let Some(node) = weight {
                    grads.register::<CubeBackend>(node.id, product.weight_gradient(dy));
                }
            }
        }

        let _span = trace_span!("wired product").entered();
        let nodes = [x.node(), weight.node()];
        let product = Product::new(x.into_primitive(), weight.into_primitive(), real);
        let y = product.forward();
        match WiredProduct.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(product, y),
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

        impl Backward<CubeBackend, 4> for FusedNodes {
            type State = Nodes;

            fn backward(self, ops: Ops<Nodes, 4>, grads: &mut Gradients, _: &mut Checkpointer) {
                let _span = trace_span!("nodes").entered();
                let dy = into_contiguous(grads.consume::<CubeBackend>(&ops.node));
                let found = ops.state.backward(&dy);
                for (parent, gradient) in ops.parents.into_iter().zip(found) {
                    if let Some(node) = parent {
                        grads.register::<CubeBackend>(node.id, gradient);
                    }
                }
            }
        }

        let _span = trace_span!("nodes").entered();
        let parents = [x.node(), gamma.node(), beta.node(), kernel.node()];
        let plain = [x, gamma, beta, kernel].map(|tensor| tensor.into_primitive());
        let nodes = Nodes::new(plain, epsilon);
        let y = nodes.forward();
        match FusedNodes.prepare::<C>(parents).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(nodes, y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }

    fn select_top_k(
        weights: FloatTensor<Self>,
        real: CubeTensor,
        wanted: Wanted,
    ) -> Result<Chosen, usize> {
        CubeBackend::select_top_k(weights.into_primitive(), real, wanted)
    }

    fn toggle_mask(mask: CubeTensor, entries: Arc<Vec<usize>>) -> CubeTensor {
        CubeBackend::toggle_mask(mask, entries)
    }
}

/// Whether a device is a GPU.
pub(super) fn has(device: &Device) -> bool {
    let device = device.clone().inner();
    matches!(device.as_dispatch(), DispatchDevice::Cube(_))
}

/// Whether these kernels serve a tensor: on a GPU, of 32-bit floats.
pub(super) fn serves<const D: usize>(x: &Tensor<D>) -> bool {
    has(&x.device()) && x.dtype() == DType::F32
}

/// Whether the node function serves maps of this size.
pub(super) fn serves_nodes(x: &Tensor<4>) -> bool {
    let device = x.device().inner();
    match device.as_dispatch() {
        DispatchDevice::Cube(gpu) => node_shape(&x.shape()).fits(&gpu.client()),
        #[allow(unreachable_patterns)]
        _ => false,
    }
}

/// See [`super::wired_product`].
pub(super) fn wired_product(x: Tensor<4>, weight: Tensor<4>, real: Tensor<4, Bool>) -> Tensor<4> {
    Tensor::from_dispatch(<Dispatch as CubeOps>::wired_product(
        x.into_dispatch(),
        weight.into_dispatch(),
        real.into_dispatch(),
    ))
}

/// See [`super::node_function`].
pub(super) fn fused_nodes(
    x: Tensor<4>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    kernel: Tensor<4>,
    epsilon: f64,
) -> Tensor<4> {
    Tensor::from_dispatch(<Dispatch as CubeOps>::fused_nodes(
        x.into_dispatch(),
        gamma.into_dispatch(),
        beta.into_dispatch(),
        kernel.into_dispatch(),
        epsilon as f32,
    ))
}

/// See [`super::select_top_k`].
pub(super) fn select_top_k(
    weights: Tensor<1>,
    real: Tensor<1, Bool>,
    wanted: Wanted,
) -> Result<Chosen, usize> {
    <Dispatch as CubeOps>::select_top_k(weights.into_dispatch(), real.into_dispatch(), wanted)
}

/// See [`super::toggle_mask`].
pub(super) fn toggle_mask<const D: usize>(
    mask: Tensor<D, Bool>,
    entries: Vec<usize>,
) -> Tensor<D, Bool> {
    let mask = mask.into_dispatch();
    Tensor::from_dispatch(<Dispatch as CubeOps>::toggle_mask(mask, Arc::new(entries)))
}

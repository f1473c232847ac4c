//! The operations on the CPU backend flex, by the kernels of `dnw-kernels`, with their gradients.

use std::sync::Arc;

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::{BoolTensor, FloatTensor};
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::{Bool, Tensor, TensorData};
use dnw_kernels::EdgeIndex;
use dnw_kernels::node::{self, NodeParameters, NodeShape};
use dnw_kernels::product::{self, ProductShape};

/// Whether a tensor lives on flex.
pub(super) fn is_device_of(x: &Tensor<4>) -> bool {
    let device = x.device().inner();
    matches!(device.as_dispatch(), burn::backend::DispatchDevice::Flex(_))
}

/// See [`super::wired_product`].
pub(super) fn wired_product(x: Tensor<4>, weight: Tensor<4>, real: Tensor<4, Bool>) -> Tensor<4> {
    Tensor::from_dispatch(<Dispatch as WiredOps>::wired_product(
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
    Tensor::from_dispatch(<Dispatch as WiredOps>::fused_nodes(
        x.into_dispatch(),
        gamma.into_dispatch(),
        beta.into_dispatch(),
        kernel.into_dispatch(),
        epsilon as f32,
    ))
}

/// The operations as a backend offers them.
#[backend_extension(Flex, Autodiff)]
pub trait WiredOps: Backend {
    /// See [`super::wired_product`].
    fn wired_product(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        real: BoolTensor<Self>,
    ) -> FloatTensor<Self>;

    /// See [`super::node_function`].
    fn fused_nodes(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        kernel: FloatTensor<Self>,
        epsilon: f32,
    ) -> FloatTensor<Self>;
}

/// The values of a contiguous tensor.
fn floats(tensor: &FlexTensor) -> &[f32] {
    tensor
        .as_slice()
        .expect("contiguous, and of 32-bit floats, or the kernels would not serve it")
}

fn tensor(values: Vec<f32>, shape: impl Into<burn::tensor::Shape>) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape))
}

/// The sizes of a product and the real edges that it visits.
#[derive(Clone, Debug)]
struct Product {
    shape: ProductShape,
    pixels: [usize; 2],
    index: Arc<EdgeIndex>,
}

impl Product {
    fn new(x: &FlexTensor, real: &FlexTensor) -> Self {
        let (x, w) = (x.shape(), real.shape());
        let (images, sources, height, width) = (x[0], x[1], x[2], x[3]);
        let targets = w[0];
        let shape = ProductShape {
            images,
            targets,
            sources,
            pixels: height * width,
        };
        let real = real.to_contiguous();
        let (start, end) = real.layout().contiguous_offsets().expect("made contiguous");
        let mask = real.bytes()[start..end].iter().map(|&byte| byte != 0);
        let index = Arc::new(EdgeIndex::from_mask(targets, sources, mask));
        Self {
            shape,
            pixels: [height, width],
            index,
        }
    }

    fn forward(&self, x: &FlexTensor, weight: &FlexTensor) -> FlexTensor {
        let ProductShape {
            images,
            targets,
            pixels,
            ..
        } = self.shape;
        let mut y = vec![0.0; images * targets * pixels];
        product::forward(self.shape, floats(x), floats(weight), &self.index, &mut y);
        tensor(y, [images, targets, self.pixels[0], self.pixels[1]])
    }
}

/// The sizes of the nodes' maps, and the nodes' numbers.
fn node_shape(x: &FlexTensor) -> NodeShape {
    let shape = x.shape();
    NodeShape {
        images: shape[0],
        nodes: shape[1],
        height: shape[2],
        width: shape[3],
    }
}

impl WiredOps for Flex {
    fn wired_product(x: FlexTensor, weight: FlexTensor, real: FlexTensor) -> FlexTensor {
        Product::new(&x, &real).forward(&x.to_contiguous(), &weight.to_contiguous())
    }

    fn fused_nodes(
        x: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        kernel: FlexTensor,
        epsilon: f32,
    ) -> FlexTensor {
        let (x, gamma, beta, kernel) = (
            x.to_contiguous(),
            gamma.to_contiguous(),
            beta.to_contiguous(),
            kernel.to_contiguous(),
        );
        let parameters = NodeParameters {
            gamma: floats(&gamma),
            beta: floats(&beta),
            kernel: floats(&kernel),
            epsilon,
        };
        let mut y = vec![0.0; floats(&x).len()];
        node::forward(node_shape(&x), floats(&x), &parameters, &mut y);
        tensor(y, x.shape())
    }
}

impl<C: CheckpointStrategy> WiredOps for Autodiff<Flex, C> {
    fn wired_product(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        real: BoolTensor<Self>,
    ) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct WiredProduct;

        impl Backward<Flex, 2> for WiredProduct {
            type State = (Product, FlexTensor, FlexTensor);

            fn backward(
                self,
                ops: Ops<Self::State, 2>,
                grads: &mut Gradients,
                _: &mut Checkpointer,
            ) {
                let [x_node, weight_node] = ops.parents;
                let (product, x, weight) = ops.state;
                let dy = grads.consume::<Flex>(&ops.node).to_contiguous();
                if let Some(node) = x_node {
                    let mut dx = vec![0.0; floats(&x).len()];
                    let index = &product.index;
                    product::input_gradient(
                        product.shape,
                        floats(&dy),
                        floats(&weight),
                        index,
                        &mut dx,
                    );
                    grads.register::<Flex>(node.id, tensor(dx, x.shape()));
                }
                if let Some(node) = weight_node {
                    let mut dw = vec![0.0; floats(&weight).len()];
                    product::weight_gradient(product.shape, floats(&x), floats(&dy), &mut dw);
                    grads.register::<Flex>(node.id, tensor(dw, weight.shape()));
                }
            }
        }

        let nodes = [x.node(), weight.node()];
        let product = Product::new(x.primitive(), &real);
        let x = x.into_primitive().to_contiguous();
        let weight = weight.into_primitive().to_contiguous();
        let y = product.forward(&x, &weight);
        match WiredProduct.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((product, x, weight), y),
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

        impl Backward<Flex, 4> for FusedNodes {
            type State = ([FlexTensor; 4], f32);

            fn backward(
                self,
                ops: Ops<Self::State, 4>,
                grads: &mut Gradients,
                _: &mut Checkpointer,
            ) {
                let ([x, gamma, beta, kernel], epsilon) = ops.state;
                let dy = grads.consume::<Flex>(&ops.node).to_contiguous();
                let parameters = NodeParameters {
                    gamma: floats(&gamma),
                    beta: floats(&beta),
                    kernel: floats(&kernel),
                    epsilon,
                };
                let mut dx = vec![0.0; floats(&x).len()];
                let found = node::backward(
                    node_shape(&x),
                    floats(&x),
                    &parameters,
                    floats(&dy),
                    &mut dx,
                );
                let gradients = [
                    tensor(dx, x.shape()),
                    tensor(found.gamma, gamma.shape()),
                    tensor(found.beta, beta.shape()),
                    tensor(found.kernel, kernel.shape()),
                ];
                for (node, gradient) in ops.parents.into_iter().zip(gradients) {
                    if let Some(node) = node {
                        grads.register::<Flex>(node.id, gradient);
                    }
                }
            }
        }

        let nodes = [x.node(), gamma.node(), beta.node(), kernel.node()];
        let [x, gamma, beta, kernel] =
            [x, gamma, beta, kernel].map(|tensor| tensor.into_primitive().to_contiguous());
        let y = Flex::fused_nodes(
            x.clone(),
            gamma.clone(),
            beta.clone(),
            kernel.clone(),
            epsilon,
        );
        match FusedNodes.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(([x, gamma, beta, kernel], epsilon), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }
}

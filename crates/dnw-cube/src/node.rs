//! The node function, fused: instance norm, ReLU and a depthwise 3 x 3 convolution with one pixel of padding, forward and backward.
//!
//! Each workgroup computes one feature map, which is in shared memory with its padding, so that global memory is read and written once. The
//! forward pass reads the input and writes the output. The backward pass reads the input and the gradient of the output, recomputes the
//! intermediate values and writes the gradient of the input. The gradients of a node's parameters are summed over each feature map here and
//! over the images by a second kernel, in a fixed order.

use cubecl::prelude::*;

use crate::buffer::{Buffer, WORKGROUP_SIZE, workgroups};

mod kernels;

use kernels::{backward_kernel, forward_kernel, sum_images};

/// The sizes of the nodes' feature maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeShape {
    /// Images in the batch.
    pub images: usize,
    /// Nodes.
    pub nodes: usize,
    /// Height of a feature map.
    pub height: usize,
    /// Width of a feature map.
    pub width: usize,
}

/// Parameters of a node: nine filter taps, gamma, beta.
const PARAMETERS: usize = 11;

impl NodeShape {
    fn length(self) -> usize {
        self.images * self.nodes * self.height * self.width
    }

    /// Threads per feature map.
    fn threads(self) -> u32 {
        ((self.height * self.width).next_power_of_two() as u32).clamp(32, 128)
    }

    /// Elements of shared memory that the backward pass needs: two padded feature maps and the threads' sums.
    fn shared(self) -> usize {
        2 * (self.height + 2) * (self.width + 2) + PARAMETERS * self.threads() as usize
    }

    /// Whether a device has enough shared memory.
    pub fn fits(self, client: &Client) -> bool {
        let hardware = &client.properties().hardware;
        4 * self.shared() <= hardware.max_shared_memory_size
            && self.threads() <= hardware.max_units_per_cube
    }

    /// One workgroup per feature map, in two dimensions: nodes and images.
    fn workgroups(self) -> CubeCount {
        let (across, down) = (self.nodes as u32, self.images as u32);
        CubeCount::Static(across, down, 1)
    }
}

/// The parameters of the nodes.
#[derive(Clone, Debug)]
pub struct NodeParameters {
    /// Scale after the norm, `[nodes]`.
    pub gamma: Buffer,
    /// Shift after the norm, `[nodes]`.
    pub beta: Buffer,
    /// Kernel weights of the depthwise convolution, `[nodes, 3, 3]`.
    pub kernel: Buffer,
    /// Added to the variance.
    pub epsilon: f32,
}

impl NodeParameters {
    fn check(&self, nodes: usize) {
        assert_eq!(self.gamma.length(), nodes, "length of gamma");
        assert_eq!(self.beta.length(), nodes, "length of beta");
        assert_eq!(self.kernel.length(), 9 * nodes, "length of the kernels");
    }
}

/// The gradients of [`NodeParameters`].
#[derive(Clone, Debug)]
pub struct NodeGradients {
    /// Gradient of the scale, `[nodes]`.
    pub gamma: Buffer,
    /// Gradient of the shift, `[nodes]`.
    pub beta: Buffer,
    /// Gradient of the kernel weights, `[nodes, 3, 3]`.
    pub kernel: Buffer,
}

/// Computes the node function. `x`, `y`: `[images, nodes, height, width]`.
///
/// # Panics
/// If a length does not fit, or the shape does not [fit](NodeShape::fits) the device.
pub fn forward(
    client: &Client,
    shape: NodeShape,
    x: &Buffer,
    parameters: &NodeParameters,
    y: &Buffer,
) {
    assert!(shape.fits(client), "feature maps that fit in shared memory");
    assert_eq!(x.length(), shape.length(), "length of the input");
    assert_eq!(y.length(), shape.length(), "length of the output");
    parameters.check(shape.nodes);
    if y.length() == 0 {
        return;
    }
    // SAFETY: there is a workgroup per feature map, and pixels are checked against its size.
    unsafe {
        forward_kernel::launch_unchecked(
            client,
            shape.workgroups(),
            CubeDim::new_1d(shape.threads()),
            x.arg(1),
            parameters.gamma.arg(1),
            parameters.beta.arg(1),
            parameters.kernel.arg(1),
            y.arg(1),
            parameters.epsilon,
            shape.height as u32,
            shape.width as u32,
            shape.threads(),
        );
    }
}

/// The backward pass of [`forward`]: writes the gradient of `x` to `dx` and returns the gradients of the parameters.
///
/// # Shapes
/// `x`, `dy` and `dx`: `[images, nodes, height, width]`.
///
/// # Panics
/// As [`forward`].
pub fn backward(
    client: &Client,
    shape: NodeShape,
    x: &Buffer,
    parameters: &NodeParameters,
    dy: &Buffer,
    dx: &Buffer,
) -> NodeGradients {
    assert!(shape.fits(client), "feature maps that fit in shared memory");
    assert_eq!(x.length(), shape.length(), "length of the input");
    assert_eq!(dy.length(), shape.length(), "length of the gradient");
    assert_eq!(
        dx.length(),
        shape.length(),
        "length of the input's gradient"
    );
    parameters.check(shape.nodes);
    let maps = shape.images * shape.nodes;
    let sums = Buffer::uninitialised(client, maps * PARAMETERS);
    let gradients = NodeGradients {
        gamma: Buffer::uninitialised(client, shape.nodes),
        beta: Buffer::uninitialised(client, shape.nodes),
        kernel: Buffer::uninitialised(client, 9 * shape.nodes),
    };
    if dx.length() > 0 {
        // SAFETY: there is a workgroup per feature map, and pixels are checked against its size.
        unsafe {
            backward_kernel::launch_unchecked(
                client,
                shape.workgroups(),
                CubeDim::new_1d(shape.threads()),
                x.arg(1),
                parameters.gamma.arg(1),
                parameters.beta.arg(1),
                parameters.kernel.arg(1),
                dy.arg(1),
                dx.arg(1),
                sums.arg(1),
                parameters.epsilon,
                shape.height as u32,
                shape.width as u32,
                shape.threads(),
            );
        }
    }
    // SAFETY: threads beyond the last node's gradients return at once; `sums` has the same number per image.
    unsafe {
        sum_images::launch_unchecked(
            client,
            workgroups(shape.nodes * PARAMETERS),
            CubeDim::new_1d(WORKGROUP_SIZE),
            sums.arg(1),
            gradients.gamma.arg(1),
            gradients.beta.arg(1),
            gradients.kernel.arg(1),
            match dx.length() {
                0 => 0,
                _ => shape.images as u32,
            },
            shape.nodes as u32,
        );
    }
    gradients
}

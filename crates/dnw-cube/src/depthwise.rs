//! The node function of MobileNetV1 after its statistics: batch norm, ReLU and a depthwise 3 x 3 convolution with one pixel of padding.
//!
//! All feature maps of a node are adjacent. The forward pass normalises each input of a pixel as it reads it, so that the norm's output is not
//! written. Of the backward pass this is the part of the convolution; that of the norm is in [`norm`](crate::norm).

use cubecl::prelude::*;

use crate::buffer::{Buffer, WORKGROUP_SIZE, workgroups};
use crate::norm::{Affine, Statistics};
use crate::workgroup::sum_of_workgroup;

/// The sizes of the nodes' feature maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DepthwiseShape {
    /// Nodes.
    pub nodes: usize,
    /// Images in the batch.
    pub images: usize,
    /// Height and width of an input map.
    pub input: [usize; 2],
    /// The stride of the convolution.
    pub stride: usize,
}

impl DepthwiseShape {
    /// Height and width of an output map.
    pub fn output(self) -> [usize; 2] {
        self.input
            .map(|side| side.saturating_sub(1) / self.stride + 1)
    }

    fn maps(self) -> usize {
        self.nodes * self.images
    }

    fn inputs(self) -> usize {
        self.maps() * self.input[0] * self.input[1]
    }

    fn outputs(self) -> usize {
        let [height, width] = self.output();
        self.maps() * height * width
    }
}

/// Computes the node function from the statistics of `x`. The outputs are written to `y` from element `first` on.
///
/// # Shapes
/// `x`: `[nodes, images, height, width]`; `kernel`: `[nodes, 3, 3]`; the output: `[nodes, images, output height, output width]`.
///
/// # Panics
/// If a length does not fit.
#[allow(clippy::too_many_arguments)]
pub fn forward(
    client: &Client,
    shape: DepthwiseShape,
    x: &Buffer,
    statistics: &Statistics,
    affine: &Affine,
    kernel: &Buffer,
    y: &Buffer,
    first: usize,
) {
    assert_eq!(x.length(), shape.inputs(), "length of the input");
    assert_eq!(kernel.length(), 9 * shape.nodes, "length of the kernels");
    assert!(
        first + shape.outputs() <= y.length(),
        "length of the output"
    );
    if shape.outputs() == 0 {
        return;
    }
    let [height, width] = shape.output();
    // SAFETY: threads beyond the last pixel return at once, and neighbours are checked against the map.
    unsafe {
        convolve::launch_unchecked(
            client,
            workgroups(shape.outputs()),
            CubeDim::new_1d(WORKGROUP_SIZE),
            x.arg(1),
            statistics.mean.arg(1),
            statistics.variance.arg(1),
            affine.gamma.arg(1),
            affine.beta.arg(1),
            kernel.arg(1),
            y.arg(1),
            affine.epsilon,
            shape.input[0] as u32,
            shape.input[1] as u32,
            height as u32,
            width as u32,
            shape.stride as u32,
            shape.images as u32,
            shape.outputs() as u32,
            first as u32,
        );
    }
}

/// The gradient of the ReLU's output, and of the kernels.
///
/// # Shapes
/// `dy`: as the output of [`forward`], from element 0 on; the first result: as `x`; the second: `[nodes, 3, 3]`.
///
/// # Panics
/// If a length does not fit.
pub fn backward(
    client: &Client,
    shape: DepthwiseShape,
    x: &Buffer,
    statistics: &Statistics,
    affine: &Affine,
    kernel: &Buffer,
    dy: &Buffer,
) -> [Buffer; 2] {
    assert_eq!(x.length(), shape.inputs(), "length of the input");
    assert_eq!(dy.length(), shape.outputs(), "length of the gradient");
    assert_eq!(kernel.length(), 9 * shape.nodes, "length of the kernels");
    let through = Buffer::uninitialised(client, shape.inputs());
    let of_kernel = Buffer::uninitialised(client, 9 * shape.nodes);
    if shape.inputs() == 0 {
        return [through, of_kernel];
    }
    let [height, width] = shape.output();
    // SAFETY: as in `forward`; there is a workgroup per node.
    unsafe {
        convolve_back::launch_unchecked(
            client,
            workgroups(shape.inputs()),
            CubeDim::new_1d(WORKGROUP_SIZE),
            dy.arg(1),
            kernel.arg(1),
            through.arg(1),
            shape.input[0] as u32,
            shape.input[1] as u32,
            height as u32,
            width as u32,
            shape.stride as u32,
            shape.images as u32,
        );
        sum_taps::launch_unchecked(
            client,
            CubeCount::Static(shape.nodes as u32, 1, 1),
            CubeDim::new_1d(WORKGROUP_SIZE),
            x.arg(1),
            dy.arg(1),
            statistics.mean.arg(1),
            statistics.variance.arg(1),
            affine.gamma.arg(1),
            affine.beta.arg(1),
            of_kernel.arg(1),
            affine.epsilon,
            shape.input[0] as u32,
            shape.input[1] as u32,
            height as u32,
            width as u32,
            shape.stride as u32,
            shape.images as u32,
        );
    }
    [through, of_kernel]
}

#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
fn convolve(
    x: &[f32],
    mean: &[f32],
    variance: &[f32],
    gamma: &[f32],
    beta: &[f32],
    kernel: &[f32],
    y: &mut [f32],
    epsilon: f32,
    input_height: u32,
    input_width: u32,
    height: u32,
    width: u32,
    stride: u32,
    images: u32,
    outputs: u32,
    first: u32,
) {
    let place = ABSOLUTE_POS as u32;
    if place >= outputs {
        terminate!();
    }
    let pixels = height * width;
    let (map, pixel) = (place / pixels, place % pixels);
    let node = (map / images) as usize;
    let (row, column) = (pixel / width * stride, pixel % width * stride);
    let scale = gamma[node] / (variance[node] + epsilon).sqrt();
    let (middle, shift) = (mean[node], beta[node]);
    let mut sum = 0.0f32;
    #[unroll]
    for down in 0..3u32 {
        #[unroll]
        for across in 0..3u32 {
            // One too many, because of the padding.
            let (y, x_at) = (row + down, column + across);
            if y > 0 && y <= input_height && x_at > 0 && x_at <= input_width {
                let at = (map * input_height + y - 1) * input_width + x_at - 1;
                let normed = (x[at as usize] - middle) * scale + shift;
                let weight = kernel[node * 9 + (down * 3 + across) as usize];
                sum += weight * max(normed, 0.0f32);
            }
        }
    }
    y[(first + place) as usize] = sum;
}

/// The gradient of the convolution's input: each thread adds what its pixel gave to the outputs that it was read for.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
fn convolve_back(
    dy: &[f32],
    kernel: &[f32],
    through: &mut [f32],
    input_height: u32,
    input_width: u32,
    height: u32,
    width: u32,
    stride: u32,
    images: u32,
) {
    if ABSOLUTE_POS >= through.len() {
        terminate!();
    }
    let pixels = input_height * input_width;
    let place = ABSOLUTE_POS as u32;
    let (map, pixel) = (place / pixels, place % pixels);
    let node = (map / images) as usize;
    let (row, column) = (pixel / input_width, pixel % input_width);
    let mut sum = 0.0f32;
    #[unroll]
    for down in 0..3u32 {
        #[unroll]
        for across in 0..3u32 {
            // The output, times the stride, that reads this pixel by this tap.
            let (below, right) = (row + 1, column + 1);
            if below >= down && right >= across {
                let (y, x) = (below - down, right - across);
                if y % stride == 0 && x % stride == 0 {
                    let (y, x) = (y / stride, x / stride);
                    if y < height && x < width {
                        let weight = kernel[node * 9 + (down * 3 + across) as usize];
                        sum += weight * dy[((map * height + y) * width + x) as usize];
                    }
                }
            }
        }
    }
    through[ABSOLUTE_POS] = sum;
}

/// The gradients of a node's taps. One workgroup per node.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
fn sum_taps(
    x: &[f32],
    dy: &[f32],
    mean: &[f32],
    variance: &[f32],
    gamma: &[f32],
    beta: &[f32],
    of_kernel: &mut [f32],
    epsilon: f32,
    input_height: u32,
    input_width: u32,
    height: u32,
    width: u32,
    stride: u32,
    images: u32,
) {
    let mut shared = Shared::<[f32]>::new_slice(comptime!(WORKGROUP_SIZE as usize));
    let node = CUBE_POS_X;
    let scale = gamma[node as usize] / (variance[node as usize] + epsilon).sqrt();
    let (middle, shift) = (mean[node as usize], beta[node as usize]);
    let mut taps = Array::<f32>::new(9usize);
    #[unroll]
    for tap in 0..9usize {
        taps[tap] = 0.0f32;
    }
    let pixels = height * width;
    let mut position = UNIT_POS;
    while position < images * pixels {
        let (image, pixel) = (position / pixels, position % pixels);
        let map = node * images + image;
        let (row, column) = (pixel / width * stride, pixel % width * stride);
        let gradient = dy[(map * pixels + pixel) as usize];
        #[unroll]
        for down in 0..3u32 {
            #[unroll]
            for across in 0..3u32 {
                let (y, x_at) = (row + down, column + across);
                if y > 0 && y <= input_height && x_at > 0 && x_at <= input_width {
                    let at = (map * input_height + y - 1) * input_width + x_at - 1;
                    let normed = (x[at as usize] - middle) * scale + shift;
                    taps[comptime!((down * 3 + across) as usize)] += gradient * max(normed, 0.0f32);
                }
            }
        }
        position += comptime!(WORKGROUP_SIZE);
    }
    #[unroll]
    for tap in 0..9usize {
        let sum = sum_of_workgroup(taps[tap], &mut shared, comptime!(WORKGROUP_SIZE));
        if UNIT_POS == 0 {
            of_kernel[node as usize * 9 + tap] = sum;
        }
    }
}

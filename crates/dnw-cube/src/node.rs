//! The node function, fused: instance norm, ReLU and a depthwise 3 x 3 convolution with one pixel of padding, forward and backward.
//!
//! Each workgroup computes one feature map, which is in shared memory with its padding, so that global memory is read and written once. The
//! forward pass reads the input and writes the output. The backward pass reads the input and the gradient of the output, recomputes the
//! intermediate values and writes the gradient of the input. The gradients of a node's parameters are summed over each feature map here and
//! over the images by a second kernel, in a fixed order.

use cubecl::prelude::*;

use crate::buffer::{Buffer, UNITS, groups};

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

/// Length of a node's gradients: nine filter taps, gamma, beta.
const NUMBERS: usize = 11;

impl NodeShape {
    fn length(self) -> usize {
        self.images * self.nodes * self.height * self.width
    }

    /// Threads per feature map.
    fn units(self) -> u32 {
        ((self.height * self.width).next_power_of_two() as u32).clamp(32, 128)
    }

    /// Elements of shared memory that the backward pass needs: two padded feature maps and the threads' sums.
    fn shared(self) -> usize {
        2 * (self.height + 2) * (self.width + 2) + NUMBERS * self.units() as usize
    }

    /// Whether a device has enough shared memory.
    pub fn fits(self, client: &Client) -> bool {
        let hardware = &client.properties().hardware;
        4 * self.shared() <= hardware.max_shared_memory_size
            && self.units() <= hardware.max_units_per_cube
    }

    /// One workgroup per feature map, in two dimensions: nodes and images.
    fn groups(self) -> CubeCount {
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
    assert!(shape.fits(client), "maps in the memory that units share");
    assert_eq!(x.length(), shape.length(), "length of the input");
    assert_eq!(y.length(), shape.length(), "length of the result");
    parameters.check(shape.nodes);
    if y.length() == 0 {
        return;
    }
    // SAFETY: there is a workgroup per feature map, and pixels are checked against its size.
    unsafe {
        forward_kernel::launch_unchecked(
            client,
            shape.groups(),
            CubeDim::new_1d(shape.units()),
            x.arg(1),
            parameters.gamma.arg(1),
            parameters.beta.arg(1),
            parameters.kernel.arg(1),
            y.arg(1),
            parameters.epsilon,
            shape.height as u32,
            shape.width as u32,
            shape.units(),
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
    assert!(shape.fits(client), "maps in the memory that units share");
    assert_eq!(x.length(), shape.length(), "length of the input");
    assert_eq!(dy.length(), shape.length(), "length of the gradient");
    assert_eq!(
        dx.length(),
        shape.length(),
        "length of the input's gradient"
    );
    parameters.check(shape.nodes);
    let maps = shape.images * shape.nodes;
    let sums = Buffer::uninitialised(client, maps * NUMBERS);
    let found = NodeGradients {
        gamma: Buffer::uninitialised(client, shape.nodes),
        beta: Buffer::uninitialised(client, shape.nodes),
        kernel: Buffer::uninitialised(client, 9 * shape.nodes),
    };
    if dx.length() > 0 {
        // SAFETY: there is a workgroup per feature map, and pixels are checked against its size.
        unsafe {
            backward_kernel::launch_unchecked(
                client,
                shape.groups(),
                CubeDim::new_1d(shape.units()),
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
                shape.units(),
            );
        }
    }
    // SAFETY: threads beyond the last node's gradients return at once; `sums` has the same number per image.
    unsafe {
        sum_images::launch_unchecked(
            client,
            groups(shape.nodes * NUMBERS),
            CubeDim::new_1d(UNITS),
            sums.arg(1),
            found.gamma.arg(1),
            found.beta.arg(1),
            found.kernel.arg(1),
            match dx.length() {
                0 => 0,
                _ => shape.images as u32,
            },
            shape.nodes as u32,
        );
    }
    found
}

/// The sum of the threads' values, in a fixed order: the upper half is added to the lower half repeatedly.
#[cube]
fn sum_of_units(value: f32, shared: &mut [f32], #[comptime] units: u32) -> f32 {
    shared[UNIT_POS as usize] = value;
    sync_cube();
    let mut half = comptime!(units / 2).runtime();
    while half > 0 {
        if UNIT_POS < half {
            let other = shared[(UNIT_POS + half) as usize];
            shared[UNIT_POS as usize] += other;
        }
        sync_cube();
        half /= 2;
    }
    let sum = shared[0];
    sync_cube();
    sum
}

/// A feature map's mean, and `1 / sqrt(variance + epsilon)`.
#[cube]
fn moments(
    x: &[f32],
    first: u32,
    epsilon: f32,
    shared: &mut [f32],
    #[comptime] pixels: u32,
    #[comptime] units: u32,
) -> (f32, f32) {
    let mut sum = 0.0f32;
    let mut pixel = UNIT_POS;
    while pixel < pixels {
        sum += x[(first + pixel) as usize];
        pixel += units;
    }
    let mean = sum_of_units(sum, shared, units) / f32::cast_from(pixels);
    let mut squares = 0.0f32;
    let mut pixel = UNIT_POS;
    while pixel < pixels {
        let centred = x[(first + pixel) as usize] - mean;
        squares += centred * centred;
        pixel += units;
    }
    let variance = sum_of_units(squares, shared, units) / f32::cast_from(pixels);
    (mean, 1.0f32 / (variance + epsilon).sqrt())
}

/// Fills a padded feature map with zeros.
#[cube]
fn clear(map: &mut [f32], #[comptime] length: u32, #[comptime] units: u32) {
    let mut place = UNIT_POS;
    while place < length {
        map[place as usize] = 0.0f32;
        place += units;
    }
}

#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
fn forward_kernel(
    x: &[f32],
    gamma: &[f32],
    beta: &[f32],
    kernel: &[f32],
    y: &mut [f32],
    epsilon: f32,
    #[comptime] height: u32,
    #[comptime] width: u32,
    #[comptime] units: u32,
) {
    let pixels = comptime!(height * width);
    let pitch = comptime!(width + 2);
    let padded = comptime!((height + 2) * (width + 2));
    let node = CUBE_POS_X;
    let first = (CUBE_POS_Y * CUBE_COUNT_X + node) * pixels;
    let mut shared = Shared::<[f32]>::new_slice(units as usize);
    let mut map = Shared::<[f32]>::new_slice(padded as usize);
    clear(&mut map, padded, units);
    let (mean, scale) = moments(x, first, epsilon, &mut shared, pixels, units);
    let (by, shift) = (gamma[node as usize], beta[node as usize]);
    let mut pixel = UNIT_POS;
    while pixel < pixels {
        let normed = (x[(first + pixel) as usize] - mean) * scale * by + shift;
        let place = (pixel / width + 1) * pitch + pixel % width + 1;
        map[place as usize] = max(normed, 0.0f32);
        pixel += units;
    }
    sync_cube();
    let mut pixel = UNIT_POS;
    while pixel < pixels {
        let place = pixel / width * pitch + pixel % width;
        let mut sum = 0.0f32;
        #[unroll]
        for row in 0..3u32 {
            #[unroll]
            for column in 0..3u32 {
                let weight = kernel[(node * 9 + row * 3 + column) as usize];
                sum += weight * map[(place + row * pitch + column) as usize];
            }
        }
        y[(first + pixel) as usize] = sum;
        pixel += units;
    }
}

/// The gradient of the ReLU's output at a pixel: `dy` convolved with the flipped kernel.
#[cube]
fn back(dy: &[f32], kernel: &[f32], node: u32, pixel: u32, #[comptime] width: u32) -> f32 {
    let pitch = comptime!(width + 2);
    let place = pixel / width * pitch + pixel % width;
    let mut sum = 0.0f32;
    #[unroll]
    for row in 0..3u32 {
        #[unroll]
        for column in 0..3u32 {
            let weight = kernel[(node * 9 + row * 3 + column) as usize];
            sum += weight * dy[(place + (2 - row) * pitch + (2 - column)) as usize];
        }
    }
    sum
}

#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
fn backward_kernel(
    x: &[f32],
    gamma: &[f32],
    beta: &[f32],
    kernel: &[f32],
    dy: &[f32],
    dx: &mut [f32],
    sums: &mut [f32],
    epsilon: f32,
    #[comptime] height: u32,
    #[comptime] width: u32,
    #[comptime] units: u32,
) {
    let pixels = comptime!(height * width);
    let pitch = comptime!(width + 2);
    let padded = comptime!((height + 2) * (width + 2));
    let node = CUBE_POS_X;
    let map = CUBE_POS_Y * CUBE_COUNT_X + node;
    let first = map * pixels;
    // The sums of the threads, eleven each; the norm uses the first row before.
    let mut shared = Shared::<[f32]>::new_slice(comptime!((11 * units) as usize));
    let mut activations = Shared::<[f32]>::new_slice(padded as usize);
    let mut given = Shared::<[f32]>::new_slice(padded as usize);
    clear(&mut activations, padded, units);
    clear(&mut given, padded, units);
    let (mean, scale) = moments(x, first, epsilon, &mut shared, pixels, units);
    let (by, shift) = (gamma[node as usize], beta[node as usize]);
    let mut pixel = UNIT_POS;
    while pixel < pixels {
        let normed = (x[(first + pixel) as usize] - mean) * scale * by + shift;
        let place = (pixel / width + 1) * pitch + pixel % width + 1;
        activations[place as usize] = max(normed, 0.0f32);
        given[place as usize] = dy[(first + pixel) as usize];
        pixel += units;
    }
    sync_cube();

    let mut of_gamma = 0.0f32;
    let mut of_beta = 0.0f32;
    let mut of_kernel = Array::<f32>::new(9usize);
    #[unroll]
    for tap in 0..9usize {
        of_kernel[tap] = 0.0f32;
    }
    let mut pixel = UNIT_POS;
    while pixel < pixels {
        let place = pixel / width * pitch + pixel % width;
        let gradient = given[(place + pitch + 1) as usize];
        #[unroll]
        for row in 0..3u32 {
            #[unroll]
            for column in 0..3u32 {
                of_kernel[comptime!((row * 3 + column) as usize)] +=
                    gradient * activations[(place + row * pitch + column) as usize];
            }
        }
        if activations[(place + pitch + 1) as usize] > 0.0f32 {
            let through = back(&given, kernel, node, pixel, width);
            of_gamma += through * (x[(first + pixel) as usize] - mean) * scale;
            of_beta += through;
        }
        pixel += units;
    }
    #[unroll]
    for tap in 0..9usize {
        shared[tap * units as usize + UNIT_POS as usize] = of_kernel[tap];
    }
    shared[9 * units as usize + UNIT_POS as usize] = of_gamma;
    shared[10 * units as usize + UNIT_POS as usize] = of_beta;
    sync_cube();
    let mut half = comptime!(units / 2).runtime();
    while half > 0 {
        if UNIT_POS < half {
            #[unroll]
            for number in 0..11usize {
                let line = number * units as usize;
                let other = shared[line + (UNIT_POS + half) as usize];
                shared[line + UNIT_POS as usize] += other;
            }
        }
        sync_cube();
        half /= 2;
    }
    if UNIT_POS < 11 {
        sums[(map * 11 + UNIT_POS) as usize] = shared[(UNIT_POS * units) as usize];
    }

    let of_gamma = shared[9 * units as usize] / f32::cast_from(pixels);
    let of_beta = shared[10 * units as usize] / f32::cast_from(pixels);
    let mut pixel = UNIT_POS;
    while pixel < pixels {
        let place = (pixel / width + 1) * pitch + pixel % width + 1;
        let mut through = 0.0f32;
        if activations[place as usize] > 0.0f32 {
            through = back(&given, kernel, node, pixel, width);
        }
        let centred = (x[(first + pixel) as usize] - mean) * scale;
        dx[(first + pixel) as usize] = by * scale * (through - of_beta - centred * of_gamma);
        pixel += units;
    }
}

#[cube(launch_unchecked)]
fn sum_images(
    sums: &[f32],
    gamma: &mut [f32],
    beta: &mut [f32],
    kernel: &mut [f32],
    images: u32,
    nodes: u32,
) {
    let unit = ABSOLUTE_POS as u32;
    if unit >= nodes * 11 {
        terminate!();
    }
    let (node, number) = (unit / 11, unit % 11);
    let mut sum = 0.0f32;
    for image in 0..images {
        sum += sums[(image * nodes * 11 + unit) as usize];
    }
    if number < 9 {
        kernel[(node * 9 + number) as usize] = sum;
    } else if number == 9 {
        gamma[node as usize] = sum;
    } else {
        beta[node as usize] = sum;
    }
}

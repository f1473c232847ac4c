//! The compute kernels of the node function.

use cubecl::prelude::*;

use crate::workgroup::sum_of_workgroup;

/// A feature map's mean, and `1 / sqrt(variance + epsilon)`.
#[cube]
fn normalisation(
    x: &[f32],
    first: u32,
    epsilon: f32,
    shared: &mut [f32],
    #[comptime] pixels: u32,
    #[comptime] threads: u32,
) -> (f32, f32) {
    let mut sum = 0.0f32;
    let mut pixel = UNIT_POS;
    while pixel < pixels {
        sum += x[(first + pixel) as usize];
        pixel += threads;
    }
    let mean = sum_of_workgroup(sum, shared, threads) / f32::cast_from(pixels);
    let mut squares = 0.0f32;
    let mut pixel = UNIT_POS;
    while pixel < pixels {
        let centred = x[(first + pixel) as usize] - mean;
        squares += centred * centred;
        pixel += threads;
    }
    let variance = sum_of_workgroup(squares, shared, threads) / f32::cast_from(pixels);
    (mean, 1.0f32 / (variance + epsilon).sqrt())
}

/// Fills a padded feature map with zeros.
#[cube]
fn clear(map: &mut [f32], #[comptime] length: u32, #[comptime] threads: u32) {
    let mut place = UNIT_POS;
    while place < length {
        map[place as usize] = 0.0f32;
        place += threads;
    }
}

#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
pub(super) fn forward_kernel(
    x: &[f32],
    gamma: &[f32],
    beta: &[f32],
    kernel: &[f32],
    y: &mut [f32],
    epsilon: f32,
    #[comptime] height: u32,
    #[comptime] width: u32,
    #[comptime] threads: u32,
) {
    let pixels = comptime!(height * width);
    let pitch = comptime!(width + 2);
    let padded = comptime!((height + 2) * (width + 2));
    let node = CUBE_POS_X;
    let first = (CUBE_POS_Y * CUBE_COUNT_X + node) * pixels;
    let mut shared = Shared::<[f32]>::new_slice(threads as usize);
    let mut map = Shared::<[f32]>::new_slice(padded as usize);
    clear(&mut map, padded, threads);
    let (mean, scale) = normalisation(x, first, epsilon, &mut shared, pixels, threads);
    let (by, shift) = (gamma[node as usize], beta[node as usize]);
    let mut pixel = UNIT_POS;
    while pixel < pixels {
        let normed = (x[(first + pixel) as usize] - mean) * scale * by + shift;
        let place = (pixel / width + 1) * pitch + pixel % width + 1;
        map[place as usize] = max(normed, 0.0f32);
        pixel += threads;
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
        pixel += threads;
    }
}

/// The gradient of the ReLU's output at a pixel: `dy` convolved with the flipped kernel.
#[cube]
fn relu_gradient(dy: &[f32], kernel: &[f32], node: u32, pixel: u32, #[comptime] width: u32) -> f32 {
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
pub(super) fn backward_kernel(
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
    #[comptime] threads: u32,
) {
    let pixels = comptime!(height * width);
    let pitch = comptime!(width + 2);
    let padded = comptime!((height + 2) * (width + 2));
    let node = CUBE_POS_X;
    let map = CUBE_POS_Y * CUBE_COUNT_X + node;
    let first = map * pixels;
    // The sums of the threads, eleven each; the norm uses the first row before.
    let mut shared = Shared::<[f32]>::new_slice(comptime!((11 * threads) as usize));
    let mut activations = Shared::<[f32]>::new_slice(padded as usize);
    let mut dy_map = Shared::<[f32]>::new_slice(padded as usize);
    clear(&mut activations, padded, threads);
    clear(&mut dy_map, padded, threads);
    let (mean, scale) = normalisation(x, first, epsilon, &mut shared, pixels, threads);
    let (by, shift) = (gamma[node as usize], beta[node as usize]);
    let mut pixel = UNIT_POS;
    while pixel < pixels {
        let normed = (x[(first + pixel) as usize] - mean) * scale * by + shift;
        let place = (pixel / width + 1) * pitch + pixel % width + 1;
        activations[place as usize] = max(normed, 0.0f32);
        dy_map[place as usize] = dy[(first + pixel) as usize];
        pixel += threads;
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
        let gradient = dy_map[(place + pitch + 1) as usize];
        #[unroll]
        for row in 0..3u32 {
            #[unroll]
            for column in 0..3u32 {
                of_kernel[comptime!((row * 3 + column) as usize)] +=
                    gradient * activations[(place + row * pitch + column) as usize];
            }
        }
        if activations[(place + pitch + 1) as usize] > 0.0f32 {
            let through = relu_gradient(&dy_map, kernel, node, pixel, width);
            of_gamma += through * (x[(first + pixel) as usize] - mean) * scale;
            of_beta += through;
        }
        pixel += threads;
    }
    #[unroll]
    for tap in 0..9usize {
        shared[tap * threads as usize + UNIT_POS as usize] = of_kernel[tap];
    }
    shared[9 * threads as usize + UNIT_POS as usize] = of_gamma;
    shared[10 * threads as usize + UNIT_POS as usize] = of_beta;
    sync_cube();
    let mut half = comptime!(threads / 2).runtime();
    while half > 0 {
        if UNIT_POS < half {
            #[unroll]
            for parameter in 0..11usize {
                let row = parameter * threads as usize;
                let other = shared[row + (UNIT_POS + half) as usize];
                shared[row + UNIT_POS as usize] += other;
            }
        }
        sync_cube();
        half /= 2;
    }
    if UNIT_POS < 11 {
        sums[(map * 11 + UNIT_POS) as usize] = shared[(UNIT_POS * threads) as usize];
    }

    let of_gamma = shared[9 * threads as usize] / f32::cast_from(pixels);
    let of_beta = shared[10 * threads as usize] / f32::cast_from(pixels);
    let mut pixel = UNIT_POS;
    while pixel < pixels {
        let place = (pixel / width + 1) * pitch + pixel % width + 1;
        let mut through = 0.0f32;
        if activations[place as usize] > 0.0f32 {
            through = relu_gradient(&dy_map, kernel, node, pixel, width);
        }
        let centred = (x[(first + pixel) as usize] - mean) * scale;
        dx[(first + pixel) as usize] = by * scale * (through - of_beta - centred * of_gamma);
        pixel += threads;
    }
}

#[cube(launch_unchecked)]
pub(super) fn sum_images(
    sums: &[f32],
    gamma: &mut [f32],
    beta: &mut [f32],
    kernel: &mut [f32],
    images: u32,
    nodes: u32,
) {
    let thread = ABSOLUTE_POS as u32;
    if thread >= nodes * 11 {
        terminate!();
    }
    let (node, parameter) = (thread / 11, thread % 11);
    let mut sum = 0.0f32;
    for image in 0..images {
        sum += sums[(image * nodes * 11 + thread) as usize];
    }
    if parameter < 9 {
        kernel[(node * 9 + parameter) as usize] = sum;
    } else if parameter == 9 {
        gamma[node as usize] = sum;
    } else {
        beta[node as usize] = sum;
    }
}

//! What graphs of levels are made of: parts of a product, the node function of MobileNetV1, rearranging copies.

use dnw_cube::bits::MaskBits;
use dnw_cube::depthwise::{self, DepthwiseShape};
use dnw_cube::norm::{Affine, Statistics};
use dnw_cube::product::{Part, Strides, gather_part};
use dnw_cube::{Buffer, layout};

use super::{STORE, client, close, floats, normal, read};

#[test]
fn a_part_of_a_product_sums_only_its_columns() {
    let (client, mut random) = (client(), fastrand::Rng::with_seed(8));
    for _ in 0..24 {
        let [rows, columns] = [random.usize(1..60), random.usize(1..90)];
        let length = random.usize(1..70);
        let [a, b] = [random.usize(0..rows), random.usize(0..rows)];
        let [c, d] = [random.usize(0..columns), random.usize(0..columns)];
        let part = Part {
            rows: a.min(b)..a.max(b) + 1,
            columns: c.min(d)..c.max(d) + 1,
            first: random.usize(0..3),
            length,
        };
        let mask: Vec<u32> = (0..rows * columns)
            .map(|_| u32::from(random.f32() < 0.4))
            .collect();
        let weight = normal(&mut random, rows * columns);
        let x = normal(&mut random, (part.first + part.columns.len()) * length);
        let mut expected = vec![0.0; part.rows.len() * length];
        for (place, y) in expected.iter_mut().enumerate() {
            let (row, pixel) = (part.rows.start + place / length, place % length);
            for (from, column) in part.columns.clone().enumerate() {
                let edge = row * columns + column;
                if mask[edge] != 0 {
                    *y += weight[edge] * x[(part.first + from) * length + pixel];
                }
            }
        }
        let on_device = Buffer::from_slice(&client, &mask);
        let bits = MaskBits::of_targets(&client, &on_device, [rows, columns], STORE);
        let found = Buffer::uninitialised(&client, expected.len());
        let strides = Strides {
            row: columns,
            column: 1,
        };
        let (x, weight) = (floats(&client, &x), floats(&client, &weight));
        gather_part(&client, &x, &weight, strides, &bits, &part, &found);
        close("y", &read(&client, &found), &expected);
    }
}

/// The node function by loops, and the gradients of its ReLU's output and of its kernels.
fn by_loops(
    shape: DepthwiseShape,
    activations: &[f32],
    kernel: &[f32],
    dy: &[f32],
) -> [Vec<f32>; 3] {
    let ([height, width], [rows, columns]) = (shape.input, shape.output());
    let mut y = vec![0.0; shape.nodes * shape.images * rows * columns];
    let mut through = vec![0.0; activations.len()];
    let mut of_kernel = vec![0.0; 9 * shape.nodes];
    for (place, y) in y.iter_mut().enumerate() {
        let (map, pixel) = (place / (rows * columns), place % (rows * columns));
        let (row, column) = (
            pixel / columns * shape.stride,
            pixel % columns * shape.stride,
        );
        for tap in 0..9 {
            let (down, across) = (row + tap / 3, column + tap % 3);
            if (1..=height).contains(&down) && (1..=width).contains(&across) {
                let at = (map * height + down - 1) * width + across - 1;
                let weight = 9 * (map / shape.images) + tap;
                *y += kernel[weight] * activations[at];
                through[at] += kernel[weight] * dy[place];
                of_kernel[weight] += activations[at] * dy[place];
            }
        }
    }
    [y, through, of_kernel]
}

#[test]
fn node_functions_of_batches_equal_loops() {
    let (client, mut random) = (client(), fastrand::Rng::with_seed(9));
    for _ in 0..24 {
        let shape = DepthwiseShape {
            nodes: random.usize(1..6),
            images: random.usize(1..4),
            input: [random.usize(1..9), random.usize(1..9)],
            stride: random.usize(1..3),
        };
        let [height, width] = shape.input;
        let per_node = shape.images * height * width;
        let x = normal(&mut random, shape.nodes * per_node);
        let kernel = normal(&mut random, 9 * shape.nodes);
        let [mean, gamma, beta] = [(); 3].map(|()| normal(&mut random, shape.nodes));
        let variance: Vec<f32> = (0..shape.nodes).map(|_| 0.5 + random.f32()).collect();
        let activations: Vec<f32> = x
            .iter()
            .enumerate()
            .map(|(place, x)| {
                let node = place / per_node;
                let scale = gamma[node] / (variance[node] + 1e-3).sqrt();
                ((x - mean[node]) * scale + beta[node]).max(0.0)
            })
            .collect();
        let [rows, columns] = shape.output();
        let dy = normal(&mut random, shape.nodes * shape.images * rows * columns);
        let [y, through, of_kernel] = by_loops(shape, &activations, &kernel, &dy);

        let statistics = Statistics {
            mean: floats(&client, &mean),
            variance: floats(&client, &variance),
        };
        let affine = Affine {
            gamma: floats(&client, &gamma),
            beta: floats(&client, &beta),
            epsilon: 1e-3,
            rectified: true,
        };
        let (x, kernel) = (floats(&client, &x), floats(&client, &kernel));
        let (found, first) = (floats(&client, &vec![7.0; y.len() + 3]), 3);
        depthwise::forward(
            &client,
            shape,
            &x,
            &statistics,
            &affine,
            &kernel,
            &found,
            first,
        );
        let found = read(&client, &found);
        assert_eq!(found[..3], [7.0; 3]);
        close("y", &found[3..], &y);
        let dy = floats(&client, &dy);
        let [found, taps] =
            depthwise::backward(&client, shape, &x, &statistics, &affine, &kernel, &dy);
        close("gradient of the ReLU", &read(&client, &found), &through);
        close("gradient of the kernels", &read(&client, &taps), &of_kernel);
    }
}

#[test]
fn copies_rearrange_and_widen() {
    let client = client();
    let x: Vec<f32> = (0..12).map(|n| n as f32).collect();
    let y = floats(&client, &[-1.0; 14]);
    layout::transpose(&client, &floats(&client, &x), [3, 2], &y, 2);
    let expected = [
        -1.0, -1.0, 0.0, 1.0, 4.0, 5.0, 8.0, 9.0, 2.0, 3.0, 6.0, 7.0, 10.0, 11.0,
    ];
    assert_eq!(read(&client, &y), expected);
    let wide = floats(&client, &[-1.0; 12]);
    layout::widen(&client, &floats(&client, &x[..4]), 2, &wide, 3, 1);
    let expected = [
        -1.0, -1.0, -1.0, 0.0, 1.0, 0.0, 2.0, 3.0, 0.0, -1.0, -1.0, -1.0,
    ];
    assert_eq!(read(&client, &wide), expected);
}

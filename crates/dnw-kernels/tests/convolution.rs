//! Tests of the wired convolution against a loop of its definition in f64.

use dnw_kernels::EdgeIndex;
use dnw_kernels::convolution::{self, ConvolutionShape};
use proptest::prelude::*;

/// Pseudorandom values in -1..1, determined by `seed`.
fn values(seed: u64, n: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..n).map(next).collect()
}

fn close(found: &[f32], expected: &[f64], what: &str) -> Result<(), TestCaseError> {
    for (i, (a, b)) in found.iter().zip(expected).enumerate() {
        let near = (f64::from(*a) - b).abs() <= 2e-4 + 2e-4 * b.abs();
        prop_assert!(near, "{what}, entry {i}: {a} is not {b}");
    }
    Ok(())
}

prop_compose! {
    fn shapes()(
        images in 0usize..4,
        of_group in 1usize..5,
        out_of_group in 1usize..5,
        groups in 1usize..3,
        maps in [1usize..10, 1usize..10],
        kernel in [1usize..5, 1usize..5],
        stride in [1usize..4, 1usize..4],
        padding in [0usize..3, 0usize..3],
        dilation in [1usize..3, 1usize..3],
    ) -> ConvolutionShape {
        ConvolutionShape {
            images, sources: of_group * groups, targets: out_of_group * groups, maps, kernel, stride, padding, dilation, groups,
        }
    }
}

prop_compose! {
    /// Shapes with more channels, because work is split into tasks by channels, and 1 x 1 kernels.
    fn wide_shapes()(
        sources in 1usize..80,
        targets in 1usize..150,
        maps in [1usize..12, 1usize..12],
        side in prop_oneof![Just(1usize), Just(3)],
        stride in 1usize..3,
    ) -> ConvolutionShape {
        ConvolutionShape {
            images: 2, sources, targets, maps, kernel: [side; 2], stride: [stride; 2], padding: [side / 2; 2], dilation: [1, 1], groups: 1,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn the_wired_convolution_and_its_gradients_equal_their_definitions(
        shape in prop_oneof![3 => shapes(), 1 => wide_shapes()],
        density in prop_oneof![5 => 0.0f32..1.0, 1 => Just(1.0)], seed in any::<u64>(),
    ) {
        equals_its_definition(shape, density, seed)?;
    }
}

fn equals_its_definition(
    shape: ConvolutionShape,
    density: f32,
    seed: u64,
) -> Result<(), TestCaseError> {
    let Some([height, width]) = shape.output() else {
        return Ok(());
    };
    let columns = shape.sources_of_group() * shape.taps();
    let mask: Vec<bool> = values(seed ^ 1, shape.targets * columns)
        .iter()
        .map(|v| (v + 1.0) / 2.0 < density)
        .collect();
    let index = EdgeIndex::from_mask(shape.targets, columns, mask.iter().copied());
    let pixels = shape.maps[0] * shape.maps[1];
    let x = values(seed ^ 2, shape.images * shape.sources * pixels);
    let w = values(seed ^ 3, shape.targets * columns);
    let dy = values(seed ^ 4, shape.images * shape.targets * height * width);
    let (mut y, mut dx, mut dw) = (vec![7.0; dy.len()], vec![7.0; x.len()], vec![7.0; w.len()]);
    let edges = index.weights(&w);
    let pass = convolution::forward(&shape, &x, &edges, &index, &mut y);
    convolution::backward(
        &shape,
        &pass,
        &edges,
        &index,
        &dy,
        [Some(&mut dx), Some(&mut dw)],
    );

    let (mut y0, mut dx0, mut dw0) = (vec![0.0; y.len()], vec![0.0; x.len()], vec![0.0; w.len()]);
    for n in 0..shape.images {
        for t in 0..shape.targets {
            let first = t / shape.targets_of_group() * shape.sources_of_group();
            for e in 0..columns {
                let (s, tap) = (first + e / shape.taps(), e % shape.taps());
                let tap = [tap / shape.kernel[1], tap % shape.kernel[1]];
                let real = if mask[t * columns + e] {
                    f64::from(w[t * columns + e])
                } else {
                    0.0
                };
                for o in 0..height * width {
                    let at = [o / width, o % width];
                    let place = [0, 1].map(|i| {
                        (at[i] * shape.stride[i] + tap[i] * shape.dilation[i])
                            .checked_sub(shape.padding[i])
                    });
                    let [Some(r), Some(c)] = place else { continue };
                    if r >= shape.maps[0] || c >= shape.maps[1] {
                        continue;
                    }
                    let i = (n * shape.sources + s) * pixels + r * shape.maps[1] + c;
                    let o = (n * shape.targets + t) * height * width + o;
                    y0[o] += real * f64::from(x[i]);
                    dx0[i] += real * f64::from(dy[o]);
                    dw0[t * columns + e] += f64::from(dy[o]) * f64::from(x[i]);
                }
            }
        }
    }
    close(&y, &y0, "forward")?;
    close(&dx, &dx0, "input")?;
    close(&dw, &dw0, "weight")?;
    Ok(())
}

#[test]
fn convolutions_of_a_residual_network_equal_their_definitions() {
    let shape = |sources, targets, side, kernel: usize, stride| ConvolutionShape {
        images: 3,
        sources,
        targets,
        maps: [side; 2],
        kernel: [kernel; 2],
        stride: [stride; 2],
        padding: [kernel / 2; 2],
        dilation: [1, 1],
        groups: 1,
    };
    let shapes = [
        shape(3, 64, 64, 7, 2),
        shape(64, 64, 16, 3, 1),
        shape(64, 256, 16, 1, 1),
        shape(128, 96, 16, 3, 2),
        shape(300, 200, 8, 1, 2),
        shape(256, 256, 4, 3, 1),
        shape(512, 512, 2, 3, 1),
    ];
    for shape in shapes {
        equals_its_definition(shape, 0.1, 7).unwrap_or_else(|error| panic!("{shape:?}: {error}"));
    }
}

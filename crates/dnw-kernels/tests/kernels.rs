//! Tests of every kernel against a loop of its definition in f64, and against finite differences.

use dnw_kernels::EdgeIndex;
use dnw_kernels::node::{self, NodeParameters, NodeShape};
use dnw_kernels::product::{self, Layout, ProductShape};
use proptest::prelude::*;

/// Pseudorandom values in -1..1, determined by `seed`.
fn values(seed: u64, n: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..n)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        })
        .collect()
}

fn close(a: &[f32], b: &[f64]) -> Result<(), TestCaseError> {
    prop_assert_eq!(a.len(), b.len());
    for (i, (a, b)) in a.iter().zip(b).enumerate() {
        prop_assert!(
            (f64::from(*a) - b).abs() <= 2e-4 + 2e-4 * b.abs(),
            "entry {i}: {a} is not {b}"
        );
    }
    Ok(())
}

fn node_definition(shape: NodeShape, x: &[f32], p: &NodeParameters<'_>) -> Vec<f64> {
    let (h, w) = (shape.height as isize, shape.width as isize);
    let [output_height, output_width] = shape.output();
    let mut y = Vec::new();
    for (i, map) in x.chunks(shape.pixels()).enumerate() {
        let v = i % shape.nodes;
        let mean = map.iter().map(|&x| f64::from(x)).sum::<f64>() / map.len() as f64;
        let var = map
            .iter()
            .map(|&x| (f64::from(x) - mean).powi(2))
            .sum::<f64>()
            / map.len() as f64;
        let active = |yy: isize, xx: isize| -> f64 {
            if yy < 0 || xx < 0 || yy >= h || xx >= w {
                return 0.0;
            }
            let n = (f64::from(map[(yy * w + xx) as usize]) - mean)
                / (var + f64::from(p.epsilon)).sqrt();
            (f64::from(p.gamma[v]) * n + f64::from(p.beta[v])).max(0.0)
        };
        for yy in 0..output_height {
            for xx in 0..output_width {
                let [yy, xx] = [yy, xx].map(|at| (at * shape.stride) as isize);
                let taps = (0..9).map(|t| {
                    f64::from(p.kernel[9 * v + t as usize]) * active(yy + t / 3 - 1, xx + t % 3 - 1)
                });
                y.push(taps.sum());
            }
        }
    }
    y
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_wired_product_and_its_gradients_equal_their_definitions(
        images in 0usize..20, targets in 1usize..9, sources in 1usize..9, pixels in 1usize..90,
        layout in prop_oneof![Just(Layout::TargetsFirst), Just(Layout::SourcesFirst)],
        density in prop_oneof![5 => 0.0f32..1.0, 1 => Just(1.0)], seed in any::<u64>(),
    ) {
        let shape = ProductShape { images, targets, sources, pixels, layout };
        let mask: Vec<bool> = values(seed ^ 1, targets * sources).iter().map(|v| (v + 1.0) / 2.0 < density).collect();
        let entry = |target: usize, source: usize| match layout {
            Layout::TargetsFirst => target * sources + source,
            Layout::SourcesFirst => source * targets + target,
        };
        let [rows, columns] = match layout {
            Layout::TargetsFirst => [targets, sources],
            Layout::SourcesFirst => [sources, targets],
        };
        let index = EdgeIndex::from_mask(rows, columns, mask.iter().copied());
        let x = values(seed ^ 2, images * sources * pixels);
        let w = values(seed ^ 3, targets * sources);
        let dy = values(seed ^ 4, images * targets * pixels);
        let (mut y, mut dx, mut dw) = (vec![7.0; dy.len()], vec![7.0; x.len()], vec![7.0; w.len()]);
        let edges = index.weights(&w);
        product::forward(shape, &x, &edges, &index, &mut y);
        product::input_gradient(shape, &dy, &edges, &index, &mut dx);
        product::weight_gradient(shape, &x, &dy, &mut dw);

        let (mut y0, mut dx0, mut dw0) = (vec![0.0; y.len()], vec![0.0; x.len()], vec![0.0; w.len()]);
        for n in 0..images {
            for t in 0..targets {
                for s in 0..sources {
                    for p in 0..pixels {
                        let (e, i, o) = (entry(t, s), (n * sources + s) * pixels + p, (n * targets + t) * pixels + p);
                        let real = if mask[e] { f64::from(w[e]) } else { 0.0 };
                        y0[o] += real * f64::from(x[i]);
                        dx0[i] += real * f64::from(dy[o]);
                        dw0[e] += f64::from(dy[o]) * f64::from(x[i]);
                    }
                }
            }
        }
        close(&y, &y0)?;
        close(&dx, &dx0)?;
        close(&dw, &dw0)?;
    }

    #[test]
    fn the_node_function_equals_its_definition_and_its_gradients_the_finite_differences(
        images in 1usize..4, nodes in 1usize..4, height in 1usize..9, width in 1usize..19, stride in 1usize..4, seed in any::<u64>(),
    ) {
        let shape = NodeShape { images, nodes, height, width, stride };
        let n = images * nodes * shape.pixels();
        let outputs = images * nodes * shape.output_pixels();
        let (x, dy) = (values(seed, n), values(seed ^ 1, outputs));
        let (gamma, beta, kernel) = (values(seed ^ 2, nodes), values(seed ^ 3, nodes), values(seed ^ 4, 9 * nodes));
        let p = NodeParameters { gamma: &gamma, beta: &beta, kernel: &kernel, epsilon: 0.1 };
        let (mut y, mut dx) = (vec![7.0; outputs], vec![7.0; n]);
        node::forward(shape, &x, &p, &mut y);
        close(&y, &node_definition(shape, &x, &p))?;

        let gradients = node::backward(shape, &x, &p, &dy, &mut dx);
        // The differences with the step and twice the step must agree, and so must the forward and the backward difference. If they do not, a
        // ReLU has its kink in between.
        let difference = |change: &dyn Fn(f32) -> Vec<f64>| {
            let slope = |low: f32, high: f32| {
                let (up, down) = (change(high), change(low));
                let rise: f64 = up.iter().zip(&down).zip(&dy).map(|((u, d), g)| (u - d) * f64::from(*g)).sum();
                rise / f64::from(high - low)
            };
            let h = 1.0 / 1024.0;
            let (fine, coarse) = (slope(-h, h), slope(-2.0 * h, 2.0 * h));
            let has_kink = (slope(0.0, h) - slope(-h, 0.0)).abs() > 5e-3 * (1.0 + fine.abs());
            let is_linear = (fine - coarse).abs() < 1e-3 * (1.0 + fine.abs());
            (is_linear && !has_kink).then_some(fine)
        };
        let agree = |found: f32, expected: Option<f64>, what: &str| {
            if let Some(e) = expected {
                prop_assert!((f64::from(found) - e).abs() < 5e-3 * (1.0 + e.abs()), "{what}: {found} is not {e}");
            }
            Ok(())
        };
        let i = (seed % n as u64) as usize;
        agree(dx[i], difference(&|h| { let mut c = x.clone(); c[i] += h; node_definition(shape, &c, &p) }), "input")?;
        let v = (seed % nodes as u64) as usize;
        agree(gradients.gamma[v], difference(&|h| { let mut c = gamma.clone(); c[v] += h; node_definition(shape, &x, &NodeParameters { gamma: &c, ..p }) }), "gamma")?;
        agree(gradients.beta[v], difference(&|h| { let mut c = beta.clone(); c[v] += h; node_definition(shape, &x, &NodeParameters { beta: &c, ..p }) }), "beta")?;
        let k = 9 * v + (seed % 9) as usize;
        agree(gradients.kernel[k], difference(&|h| { let mut c = kernel.clone(); c[k] += h; node_definition(shape, &x, &NodeParameters { kernel: &c, ..p }) }), "kernel")?;
    }
}

fn on_threads(threads: usize, work: impl FnOnce() + Send) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
    pool.build().unwrap().install(work);
}

#[test]
fn gradients_have_the_same_bits_on_any_number_of_threads() {
    let shape = ProductShape {
        images: 37,
        targets: 6,
        sources: 5,
        pixels: 49,
        layout: Layout::TargetsFirst,
    };
    let (x, dy) = (values(1, 37 * 5 * 49), values(2, 37 * 6 * 49));
    let run = |threads| {
        let mut dw = vec![0.0; 30];
        on_threads(threads, || {
            product::weight_gradient(shape, &x, &dy, &mut dw)
        });
        dw.iter().map(|v| v.to_bits()).collect::<Vec<_>>()
    };
    assert_eq!(run(1), run(4));
}

#[test]
fn the_gradient_of_a_large_weight_equals_its_definition_on_any_number_of_threads() {
    let shape = ProductShape {
        images: 3,
        targets: 307,
        sources: 229,
        pixels: 5,
        layout: Layout::TargetsFirst,
    };
    let (x, dy) = (values(5, 3 * 229 * 5), values(6, 3 * 307 * 5));
    let run = |threads| {
        let mut dw = vec![7.0; 307 * 229];
        on_threads(threads, || {
            product::weight_gradient(shape, &x, &dy, &mut dw)
        });
        dw
    };
    let found = run(1);
    let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&found), bits(&run(3)));
    for target in 0..307 {
        for source in 0..229 {
            let terms = (0..3 * 5).map(|i| {
                let (n, p) = (i / 5, i % 5);
                f64::from(dy[(n * 307 + target) * 5 + p]) * f64::from(x[(n * 229 + source) * 5 + p])
            });
            let (sum, found) = (terms.sum::<f64>(), f64::from(found[target * 229 + source]));
            assert!(
                (found - sum).abs() < 1e-4,
                "{target}, {source}: {found} is not {sum}"
            );
        }
    }
}

#[test]
fn a_nan_parameter_propagates_to_the_output() {
    let shape = NodeShape {
        images: 1,
        nodes: 1,
        height: 3,
        width: 3,
        stride: 1,
    };
    let (x, kernel) = (values(1, 9), values(2, 9));
    let p = NodeParameters {
        gamma: &[f32::NAN],
        beta: &[0.0],
        kernel: &kernel,
        epsilon: 1e-5,
    };
    let mut y = vec![0.0; 9];
    node::forward(shape, &x, &p, &mut y);
    assert!(y.iter().all(|y| y.is_nan()));
}

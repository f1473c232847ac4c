//! Each kernel beside what one would use without it: `cargo bench -p dnw-benches`.
//!
//! Wired products stand beside the dense ones of the `gemm` crate on the same shapes, over densities; selection beside the sort
//! that the published program makes; the fused node function beside Burn's own layers.

use std::hint::black_box;
use std::time::Duration;

use burn::nn::InstanceNormConfig;
use burn::nn::PaddingConfig2d;
use burn::nn::conv::Conv2dConfig;
use burn::tensor::{Device, Distribution, Tensor, activation};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use dnw_benches::numbers;
use dnw_benches::products::{Bench, Case, Growing, Operation, SHAPES};
use dnw_benches::selection::choose;
use dnw_kernels::node::{self, NodeParameters, NodeShape};
use dnw_kernels::product::ProductShape;

/// Densities at which a product stands beside the dense one.
const DENSITIES: [f64; 6] = [0.01, 0.05, 0.1, 0.2, 0.5, 1.0];

/// Every product that needs the edges, over densities, and the one that does not.
fn products(criterion: &mut Criterion) {
    for shape in [SHAPES[0], SHAPES[1]] {
        for (operation, name) in [
            (Operation::Forward, "forward"),
            (Operation::InputGradient, "input gradient"),
            (Operation::WeightGradient, "weight gradient"),
        ] {
            let ProductShape {
                images,
                targets,
                sources,
                pixels,
                ..
            } = shape;
            let title = format!("{name}, {sources} to {targets}, {pixels} pixels, batch {images}");
            let mut group = criterion.benchmark_group(title);
            let case = |density| Case::new(operation, Growing::Density, shape, density);
            let mut dense = Bench::new(case(1.0));
            group.bench_function("gemm", |bench| bench.iter(|| dense.gemm()));
            if operation == Operation::WeightGradient {
                // Every hallucinated edge learns, whatever the density.
                group.bench_function("ours", |bench| bench.iter(|| dense.ours()));
            } else {
                for density in DENSITIES {
                    let mut wired = Bench::new(case(density));
                    let id = BenchmarkId::new("ours", density);
                    group.bench_function(id, |bench| bench.iter(|| wired.ours()));
                }
            }
            group.finish();
        }
    }
}

fn selection(criterion: &mut Criterion) {
    let (n, k) = (640_000, 32_000);
    let weights = numbers(3, n);
    let sizes: Vec<f32> = weights.iter().map(|weight| weight.abs()).collect();
    let mut real = vec![0; n.div_ceil(64)];
    let mut group = criterion.benchmark_group("the 32,000 largest of 640,000");
    group.bench_function("stable sort", |bench| {
        bench.iter(|| {
            let mut order: Vec<usize> = (0..n).collect();
            order.sort_by(|&a, &b| sizes[a].total_cmp(&sizes[b]));
            black_box(order[n - k])
        });
    });
    group.bench_function("ours", |bench| {
        bench.iter(|| choose(&weights, k, &mut real));
    });
    group.finish();
}

fn node_function(criterion: &mut Criterion) {
    let shape = NodeShape {
        images: 64,
        nodes: 192,
        height: 8,
        width: 8,
        step: 1,
    };
    let n = shape.images * shape.nodes * shape.pixels();
    let (x, kernel) = (numbers(4, n), numbers(5, 9 * shape.nodes));
    let (gamma, beta) = (vec![1.0; shape.nodes], vec![0.0; shape.nodes]);
    let parameters = NodeParameters {
        gamma: &gamma,
        beta: &beta,
        kernel: &kernel,
        epsilon: 1e-5,
    };
    let (mut y, mut dx) = (vec![0.0; n], vec![0.0; n]);
    let device = Device::flex();
    let norm = InstanceNormConfig::new(192).init(&device);
    let conv = Conv2dConfig::new([192, 192], [3, 3])
        .with_groups(192)
        .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
        .with_bias(false)
        .init(&device);
    let tensor = Tensor::<4>::random([64, 192, 8, 8], Distribution::Default, &device);
    let mut group =
        criterion.benchmark_group("norm, ReLU, depthwise 3 x 3, 192 channels, 8 x 8, batch 64");
    group.bench_function("Burn's layers, forward", |bench| {
        bench.iter(|| {
            conv.forward(activation::relu(norm.forward(tensor.clone())))
                .into_data()
        });
    });
    group.bench_function("fused, forward", |bench| {
        bench.iter(|| node::forward(shape, &x, &parameters, black_box(&mut y)));
    });
    group.bench_function("fused, backward", |bench| {
        bench.iter(|| node::backward(shape, &x, &parameters, &x, black_box(&mut dx)));
    });
    group.finish();
}

/// Less than Criterion takes by itself, so that all of it takes about a minute.
fn quick() -> Criterion {
    Criterion::default()
        .sample_size(15)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
}

criterion_group! {
    name = benches;
    config = quick();
    targets = products, selection, node_function
}
criterion_main!(benches);

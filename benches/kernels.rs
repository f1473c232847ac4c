//! Each kernel beside what one would use without it: `cargo bench -p dnw-benches`.
//!
//! The wired product stands beside the dense product of the `gemm` crate on the same shapes, selection beside the sort
//! that the published program makes, the fused node function beside Burn's own layers.

use std::hint::black_box;

use burn::nn::InstanceNormConfig;
use burn::nn::PaddingConfig2d;
use burn::nn::conv::Conv2dConfig;
use burn::tensor::{Device, Distribution, Tensor, activation};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use dnw_benches::{all, edges, numbers};
use dnw_core::select_top_edges;
use dnw_kernels::node::{self, NodeParameters, NodeShape};
use dnw_kernels::product::{self, ProductShape};

fn wired_product(criterion: &mut Criterion) {
    let shape = ProductShape {
        images: 64,
        targets: 576,
        sources: 192,
        pixels: 64,
    };
    let ProductShape {
        images,
        targets,
        sources,
        pixels,
    } = shape;
    let (x, w) = (
        numbers(1, images * sources * pixels),
        numbers(2, targets * sources),
    );
    let mut y = vec![0.0; images * targets * pixels];
    let mut group = criterion.benchmark_group("product 192 -> 576, 8 x 8, batch 64");
    group.bench_function("dense (gemm)", |bench| {
        bench.iter(|| {
            for (x, y) in x
                .chunks_exact(sources * pixels)
                .zip(y.chunks_exact_mut(targets * pixels))
            {
                let (p, s) = (pixels as isize, sources as isize);
                // SAFETY: the three slices hold matrices of exactly these sizes and strides.
                unsafe {
                    gemm::gemm(
                        targets,
                        pixels,
                        sources,
                        y.as_mut_ptr(),
                        1,
                        p,
                        false,
                        w.as_ptr(),
                        1,
                        s,
                        x.as_ptr(),
                        1,
                        p,
                        0.0,
                        1.0,
                        false,
                        false,
                        false,
                        gemm::Parallelism::Rayon(0),
                    );
                }
            }
            black_box(&mut y);
        });
    });
    for density in [0.01, 0.05, 0.1, 0.2] {
        let index = edges(targets, sources, density);
        group.bench_with_input(
            BenchmarkId::new("wired", density),
            &index,
            |bench, index| {
                bench.iter(|| product::forward(shape, &x, &w, index, black_box(&mut y)));
            },
        );
    }
    group.finish();
}

fn selection(criterion: &mut Criterion) {
    let (n, k) = (640_000, 32_000);
    let scores: Vec<f32> = numbers(3, n).into_iter().map(f32::abs).collect();
    let candidates = all(n);
    let mut group = criterion.benchmark_group("the 32,000 largest of 640,000");
    group.bench_function("stable sort", |bench| {
        bench.iter(|| {
            let mut order: Vec<usize> = (0..n).collect();
            order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
            black_box(order[n - k])
        });
    });
    group.bench_function("select_top_edges", |bench| {
        bench.iter(|| select_top_edges("w", &scores, &candidates, k));
    });
    group.finish();
}

fn node_function(criterion: &mut Criterion) {
    let shape = NodeShape {
        images: 64,
        nodes: 192,
        height: 8,
        width: 8,
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

criterion_group!(benches, wired_product, selection, node_function);
criterion_main!(benches);

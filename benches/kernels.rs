//! Criterion benchmarks of the kernels against alternatives: `cargo bench -p dnw-benches`.
//!
//! Wired products are compared with dense products of the `gemm` crate, by density; convolutions, norms and the fused node function with
//! Burn's layers; selection with the sort of the published program; the SGD step alone with an SGD step and a selection.

use std::hint::black_box;
use std::time::Duration;

use burn::nn::BatchNormConfig;
use burn::nn::InstanceNormConfig;
use burn::nn::PaddingConfig2d;
use burn::nn::conv::Conv2dConfig;
use burn::tensor::{Device, Distribution, Tensor, activation};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use dnw_benches::products::{Bench, Case, Growing, Operation, SHAPES};
use dnw_benches::selection::select;
use dnw_benches::{edges, random_values};
use dnw_kernels::convolution::{self, ConvolutionShape};
use dnw_kernels::node::{self, NodeParameters, NodeShape};
use dnw_kernels::norm::{self, NormParameters, NormShape};
use dnw_kernels::product::ProductShape;
use dnw_kernels::selection::{Survey, SurveyRange, changes, select_top_k};
use dnw_kernels::sgd::{self, SgdStep};

/// The measured densities.
const DENSITIES: [f64; 6] = [0.01, 0.05, 0.1, 0.2, 0.5, 1.0];

/// The products over real edges at several densities, and the weight gradient, which is dense.
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
                // Hallucinated edges learn too, so the density does not matter.
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

/// 3 x 3 convolutions and their gradients, compared with Burn's dense convolution.
fn convolutions(criterion: &mut Criterion) {
    let device = Device::flex();
    for stride in [1, 2] {
        let shape = ConvolutionShape {
            images: 8,
            sources: 128,
            targets: 128,
            maps: [16, 16],
            kernel: [3, 3],
            stride: [stride; 2],
            padding: [1, 1],
            dilation: [1, 1],
            groups: 1,
        };
        let output = shape.output().expect("the kernel fits");
        let columns = shape.sources * shape.taps();
        let x = random_values(6, 8 * 128 * 256);
        let w = random_values(7, shape.targets * columns);
        let dy = random_values(8, 8 * 128 * output[0] * output[1]);
        let (mut y, mut dx, mut dw) = (vec![0.0; dy.len()], vec![0.0; x.len()], vec![0.0; w.len()]);
        let title = format!("3 x 3, stride {stride}, 128 to 128 channels, 16 x 16, batch 8");
        let mut group = criterion.benchmark_group(title);
        let layer = Conv2dConfig::new([128, 128], [3, 3])
            .with_stride([stride; 2])
            .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
            .with_bias(false)
            .init(&device);
        let tensor = Tensor::<4>::random([8, 128, 16, 16], Distribution::Default, &device);
        group.bench_function("Burn's, forward", |bench| {
            bench.iter(|| layer.forward(tensor.clone()).into_data());
        });
        for density in DENSITIES {
            let index = edges(shape.targets, columns, density);
            let weights = index.weights(&w);
            group.bench_function(BenchmarkId::new("forward", density), |bench| {
                bench.iter(|| convolution::forward(&shape, &x, &weights, &index, &mut y));
            });
            let pass = convolution::forward(&shape, &x, &weights, &index, &mut y);
            group.bench_function(BenchmarkId::new("both gradients", density), |bench| {
                bench.iter(|| {
                    let gradients = [Some(&mut dx[..]), Some(&mut dw[..])];
                    convolution::backward(&shape, &pass, &weights, &index, &dy, gradients);
                });
            });
        }
        group.finish();
    }
}

/// Batch norm with ReLU, compared with Burn's layers.
fn batch_norm(criterion: &mut Criterion) {
    let shape = NormShape {
        images: 8,
        channels: 256,
        pixels: 256,
    };
    let x = random_values(9, 8 * 256 * 256);
    let (gamma, beta) = (vec![1.0; 256], vec![0.0; 256]);
    let parameters = NormParameters {
        gamma: &gamma,
        beta: &beta,
        epsilon: 1e-5,
        rectified: true,
    };
    let mut y = vec![0.0; x.len()];
    let device = Device::flex();
    let layer = BatchNormConfig::new(256).init(&device);
    let tensor = Tensor::<4>::random([8, 256, 16, 16], Distribution::Default, &device);
    let mut group = criterion.benchmark_group("batch norm, ReLU, 256 channels, 16 x 16, batch 8");
    group.bench_function("Burn's layers, forward by running statistics", |bench| {
        bench.iter(|| activation::relu(layer.forward(tensor.clone())).into_data());
    });
    group.bench_function("forward by the batch's", |bench| {
        bench.iter(|| norm::forward(shape, &x, &parameters, black_box(&mut y)));
    });
    group.finish();
}

/// An SGD step of a million weights followed by the selection of 5 %: by a histogram, by a separate survey, and by a survey within the
/// step.
fn sgd_step(criterion: &mut Criterion) {
    let (n, k) = (1_000_000, 50_000);
    let sgd = SgdStep {
        rate: 1e-6,
        momentum: 0.9,
        decay: Some(1e-4),
    };
    let (mut weights, gradient, mut velocity) = (
        random_values(3, n),
        random_values(4, n),
        random_values(5, n),
    );
    let mut words = vec![0; n.div_ceil(64)];
    let kept = select_top_k(&weights, None, k, &mut words).expect("no NaN");
    let is_real = |entry: usize| words[entry / 64] >> (entry % 64) & 1;
    let before: Vec<u8> = (0..n).map(|entry| is_real(entry) as u8).collect();
    let range = SurveyRange::around(kept.threshold, None, &before).expect("a usable guess");
    let mut group = criterion.benchmark_group("an update of a million weights, and the choice");
    group.bench_function("the update alone", |bench| {
        bench.iter(|| sgd::step(sgd, &mut weights, &gradient, &mut velocity));
    });
    group.bench_function("then by histogram", |bench| {
        bench.iter(|| {
            sgd::step(sgd, &mut weights, &gradient, &mut velocity);
            changes(&weights, None, k, None, &before)
        });
    });
    group.bench_function("then by a survey", |bench| {
        bench.iter(|| {
            sgd::step(sgd, &mut weights, &gradient, &mut velocity);
            let survey = Survey::of(&weights, &range);
            changes(&weights, None, k, Some(survey), &before)
        });
    });
    group.bench_function("in one sweep", |bench| {
        bench.iter(|| {
            let (w, v) = (&mut weights, &mut velocity);
            let survey = sgd::step_and_survey(sgd, w, &gradient, v, &range);
            changes(&weights, None, k, Some(survey), &before)
        });
    });
    group.finish();
}

fn selection(criterion: &mut Criterion) {
    let (n, k) = (640_000, 32_000);
    let weights = random_values(3, n);
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
        bench.iter(|| select(&weights, k, &mut real));
    });
    group.finish();
}

fn node_function(criterion: &mut Criterion) {
    let shape = NodeShape {
        images: 64,
        nodes: 192,
        height: 8,
        width: 8,
        stride: 1,
    };
    let n = shape.images * shape.nodes * shape.pixels();
    let (x, kernel) = (random_values(4, n), random_values(5, 9 * shape.nodes));
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

/// Shorter measurements than Criterion's default, about two minutes in total.
fn short() -> Criterion {
    Criterion::default()
        .sample_size(15)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
}

criterion_group! {
    name = benches;
    config = short();
    targets = products, convolutions, batch_norm, node_function, selection, sgd_step
}
criterion_main!(benches);

//! A graph of levels on a GPU, where batch norms normalise the nodes and the outputs are a level of their own.
//!
//! As on a CPU, all pixels of a node in the whole batch are one row, and the activations of all nodes share one buffer, so that levels are not
//! concatenated. The gradient of the weight is one dense product per level by Burn, which uses the matrix units.

use std::ops::Range;

use burn::backend::TensorMetadata;
use burn::backend::ops::FloatTensorOps;
use burn::tensor::{Shape, Slice};
use burn_cubecl::CubeBackend;
use burn_cubecl::tensor::CubeTensor;
use dnw_cube::bits::MaskBits;
use dnw_cube::depthwise::{self, DepthwiseShape};
use dnw_cube::norm::{self, Affine, NormShape, Statistics};
use dnw_cube::product::{Part, Strides, gather_part};
use dnw_cube::{Buffer, layout};
use dnw_kernels::levels::LevelsShape;

use super::super::batch_norm::FoundStatistics;
use super::super::gpu::{buffer, empty, save_bits, saved_bits, storage, tensor};

/// A graph: its sizes, and what its norms add to variances.
#[derive(Clone, Copy)]
pub(super) struct Graph<'a> {
    pub(super) shape: &'a LevelsShape,
    pub(super) epsilon: f32,
}

/// Sizes of the graph.
struct Sizes {
    images: usize,
    inputs: usize,
    /// Nodes with a node function.
    functions: usize,
    outputs: usize,
    /// Numbers of a node after the input level.
    row: usize,
}

impl Sizes {
    fn of(shape: &LevelsShape) -> Self {
        let [height, width] = shape.maps();
        Self {
            images: shape.images,
            inputs: shape.levels[0],
            functions: shape.levels.iter().sum(),
            outputs: shape.output_nodes(),
            row: shape.images * height * width,
        }
    }

    /// Rows of the weight: all nodes but the inputs, then the outputs.
    fn targets(&self) -> usize {
        self.functions - self.inputs + self.outputs
    }
}

/// A level: its nodes and what its node function needs.
struct Level {
    nodes: Range<usize>,
    norm: NormShape,
    convolution: DepthwiseShape,
    affine: Affine,
    kernel: Buffer,
}

impl Graph<'_> {
    fn level(self, level: usize, [gamma, beta, kernel]: [&CubeTensor; 3]) -> Level {
        let shape = self.shape;
        let start = shape.levels[..level].iter().sum();
        let nodes = start..start + shape.levels[level];
        let (input, stride) = match level {
            0 => (shape.entering, shape.stride),
            _ => (shape.maps(), 1),
        };
        let of_level = |all: &CubeTensor| buffer(&rows_of(all, nodes.clone()));
        Level {
            norm: NormShape {
                channels: nodes.len(),
                images: shape.images,
                pixels: input[0] * input[1],
                channels_first: true,
            },
            convolution: DepthwiseShape {
                nodes: nodes.len(),
                images: shape.images,
                input,
                stride,
            },
            affine: Affine {
                gamma: of_level(gamma),
                beta: of_level(beta),
                epsilon: self.epsilon,
                rectified: true,
            },
            kernel: of_level(kernel),
            nodes,
        }
    }
}

/// Some rows of the first dimension.
fn rows_of(all: &CubeTensor, rows: Range<usize>) -> CubeTensor {
    let shape = all.shape();
    let mut ranges: Vec<Slice> = shape.iter().map(|&size| Slice::from(0..size)).collect();
    ranges[0] = Slice::from(rows);
    CubeBackend::float_slice(all.clone(), &ranges)
}

/// The output, the statistics of each level, and what the backward pass needs: the input as rows, the activations of all nodes, and for each
/// level mean and variance, and after the input level the sums over edges.
pub(super) fn forward(
    graph: Graph<'_>,
    [x, weight, gamma, beta, kernel]: &[CubeTensor; 5],
    real: &CubeTensor,
) -> (CubeTensor, Vec<FoundStatistics>, Vec<CubeTensor>) {
    let (client, sizes) = (&x.client, Sizes::of(graph.shape));
    let Sizes {
        images,
        inputs,
        functions,
        outputs,
        row,
    } = sizes;
    let (targets, weights) = (sizes.targets(), buffer(weight));
    let mask = MaskBits::of_targets(client, &buffer(real), [targets, functions], storage(real));
    let strides = Strides {
        row: functions,
        column: 1,
    };
    let (saved_input, input) = empty(x, Shape::from([x.shape().num_elements()]));
    layout::transpose(client, &buffer(x), [images, inputs], &input, 0);
    let (saved_activations, activations) = empty(x, Shape::from([functions, row]));
    let sum = |rows: Range<usize>, columns: usize, sums: &Buffer| {
        let part = Part {
            rows,
            columns: 0..columns,
            first: 0,
            length: row,
        };
        gather_part(client, &activations, &weights, strides, &mask, &part, sums);
    };
    let (mut saved, mut statistics) = (vec![saved_input, saved_activations], Vec::new());
    for number in 0..graph.shape.levels.len() {
        let level = graph.level(number, [gamma, beta, kernel]);
        let nodes = level.nodes.clone();
        let sums = match number {
            0 => input.clone(),
            _ => {
                let (saved_sums, sums) = empty(x, Shape::from([nodes.len(), row]));
                sum(nodes.start - inputs..nodes.end - inputs, nodes.start, &sums);
                saved.push(saved_sums);
                sums
            }
        };
        let found = norm::statistics(client, level.norm, &sums);
        depthwise::forward(
            client,
            level.convolution,
            &sums,
            &found,
            &level.affine,
            &level.kernel,
            &activations,
            nodes.start * row,
        );
        let found = [&found.mean, &found.variance];
        let found = found.map(|of| tensor(x, Shape::from([nodes.len()]), of));
        saved.extend(found.clone());
        statistics.push(FoundStatistics::Gpu(found));
    }
    let sums = Buffer::uninitialised(client, outputs * row);
    sum(functions - inputs..targets, functions, &sums);
    let [height, width] = graph.shape.maps();
    let (y, output) = empty(x, Shape::from([images, outputs, height, width]));
    layout::transpose(client, &sums, [outputs, images], &output, 0);
    saved.push(save_bits(x, &mask));
    (y, statistics, saved)
}

/// The gradients of all inputs, from what [`forward`] saved.
pub(super) fn backward(
    graph: Graph<'_>,
    [x, weight, gamma, beta, kernel]: &[CubeTensor; 5],
    saved: &[CubeTensor],
    dy: &CubeTensor,
) -> [CubeTensor; 5] {
    let (client, sizes) = (&x.client, Sizes::of(graph.shape));
    let Sizes {
        images,
        inputs,
        functions,
        outputs,
        row,
    } = sizes;
    let (targets, weights) = (sizes.targets(), buffer(weight));
    let mask = saved_bits(saved, [targets, functions]).by_source(client, 1);
    let strides = Strides {
        row: 1,
        column: functions,
    };
    // The gradients of the sums over edges, of the outputs first.
    let (all_gradients, gradients) = empty(x, Shape::from([targets, row]));
    let first = (functions - inputs) * row;
    layout::transpose(client, &buffer(dy), [images, outputs], &gradients, first);
    let of_input = Buffer::uninitialised(client, x.shape().num_elements());
    let mut of_levels = Vec::new();
    for number in (0..graph.shape.levels.len()).rev() {
        let level = graph.level(number, [gamma, beta, kernel]);
        let nodes = level.nodes.clone();
        let part = Part {
            rows: nodes.clone(),
            columns: nodes.end - inputs..targets,
            first: nodes.end - inputs,
            length: row,
        };
        let of_activations = Buffer::uninitialised(client, nodes.len() * row);
        gather_part(
            client,
            &gradients,
            &weights,
            strides,
            &mask,
            &part,
            &of_activations,
        );
        // The input level saved its mean and variance, every later level its sums before these.
        let at = match number {
            0 => 2,
            number => 1 + 3 * number,
        };
        let (sums, at, target, first) = match number {
            0 => (buffer(&saved[0]), at, &of_input, 0),
            _ => {
                let first = (nodes.start - inputs) * row;
                (buffer(&saved[at]), at + 1, &gradients, first)
            }
        };
        let statistics = Statistics {
            mean: buffer(&saved[at]),
            variance: buffer(&saved[at + 1]),
        };
        let Level { norm, affine, .. } = &level;
        let [of_relu, of_kernel] = depthwise::backward(
            client,
            level.convolution,
            &sums,
            &statistics,
            affine,
            &level.kernel,
            &of_activations,
        );
        let [of_gamma, of_beta] = norm::backward(
            client,
            *norm,
            &sums,
            &statistics,
            affine,
            &of_relu,
            target,
            first,
        );
        let of = |found: &Buffer, each: usize| tensor(x, Shape::from([nodes.len() * each]), found);
        of_levels.push([of(&of_gamma, 1), of(&of_beta, 1), of(&of_kernel, 9)]);
    }
    of_levels.reverse();
    let joined = |place: usize, like: &CubeTensor| {
        let parts = of_levels.iter().map(|level| level[place].clone());
        let joined = CubeBackend::float_cat(parts.collect(), 0);
        CubeBackend::float_reshape(joined, like.shape())
    };
    let (dx, output) = empty(x, x.shape());
    layout::transpose(client, &of_input, [inputs, images], &output, 0);
    [
        dx,
        weight_gradient(graph, weight, &saved[1], &all_gradients),
        joined(0, gamma),
        joined(1, beta),
        joined(2, kernel),
    ]
}

/// The gradient of every possible edge, level by level of its targets; zero for edges that are not possible.
fn weight_gradient(
    graph: Graph<'_>,
    weight: &CubeTensor,
    activations: &CubeTensor,
    gradients: &CubeTensor,
) -> CubeTensor {
    let Sizes {
        inputs,
        functions,
        outputs,
        ..
    } = Sizes::of(graph.shape);
    let (of_weight, output) = empty(weight, weight.shape());
    let mut start = inputs;
    let later = graph.shape.levels[1..].iter().copied();
    for nodes in later.chain([outputs]) {
        let rows = start - inputs..start - inputs + nodes;
        let sources = CubeBackend::float_swap_dims(rows_of(activations, 0..start), 0, 1);
        let product = CubeBackend::float_matmul(rows_of(gradients, rows.clone()), sources);
        let product = burn_cubecl::kernel::into_contiguous(product);
        let (client, narrow) = (&weight.client, buffer(&product));
        layout::widen(client, &narrow, nodes, &output, functions, rows.start);
        start += nodes;
    }
    of_weight
}

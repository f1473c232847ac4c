//! The forward and backward pass of a static graph.
//!
//! `I_v = sum over real edges (u, v) of w_uv Z_u`, `Z_v = f_v(I_v)`, level by level (Wortsman et al. 2019, section 2). The
//! activations of all nodes share one buffer, so that nothing is copied or concatenated between levels. The backward pass keeps the
//! gradients of the targets' sums in another buffer. The gradient of every possible edge is one dense product per level, written in place.

use std::ops::Range;

use crate::EdgeIndex;
use crate::dense::{self, OutputLayout, Rows};
use crate::layout::transpose;
use crate::node::{self, GRADIENTS, NodeGradients, NodeParameters, NodeShape, Norm};
use crate::pool::Buffer;
use crate::wired::WeightedEdges;

/// Which nodes of a graph are its outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outputs {
    /// This many nodes in a level of their own, which have no node function. All nodes except the inputs are targets.
    OwnLevel(usize),
    /// The last this many nodes of the last level. The whole last level, after its node function, is added to their input once more. All
    /// nodes are targets.
    InLastLevel(usize),
}

/// The sizes of a graph and its batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LevelsShape {
    /// Images in the batch.
    pub images: usize,
    /// Height and width of the input feature maps.
    pub entering: [usize; 2],
    /// The stride of the input level's convolution. The feature maps of all later levels have the size of its output.
    pub stride: usize,
    /// Nodes of each level with a node function, the inputs first.
    pub levels: Vec<usize>,
    /// Which nodes are the outputs.
    pub outputs: Outputs,
}

/// The norm of a graph's nodes.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum GraphNorm<'a> {
    /// Instance norm: each feature map has its own statistics.
    Instance,
    /// Batch norm: a node has one mean and variance over the batch.
    Batch,
    /// Batch norm with running statistics, as in evaluation: `[nodes with a node function]` each.
    Running {
        /// The running means.
        mean: &'a [f32],
        /// The running variances.
        variance: &'a [f32],
    },
}

impl<'a> GraphNorm<'a> {
    fn of(self, nodes: Range<usize>) -> Norm<'a> {
        match self {
            Self::Instance => Norm::Instance,
            Self::Batch => Norm::Batch,
            Self::Running { mean, variance } => Norm::Running { mean, variance }.of(nodes),
        }
    }
}

/// What the forward pass saves for the backward pass.
#[derive(Debug)]
pub struct LevelsPass {
    /// The input, channel-major.
    input: Buffer,
    /// The sums over edges of the nodes after the inputs.
    gathered: Buffer,
    /// The activations of all nodes with a node function.
    activations: Buffer,
    /// The statistics of each level's norms.
    statistics: Vec<Buffer>,
}

impl LevelsPass {
    /// Mean and biased variance over the batch of each node's input to its norm, `[nodes with a node function]` each. Only
    /// [`GraphNorm::Batch`] has them.
    pub fn batch_statistics(&self) -> [Vec<f32>; 2] {
        let pairs = || {
            self.statistics
                .iter()
                .flat_map(|level| level.chunks_exact(2))
        };
        [
            pairs().map(|pair| pair[0]).collect(),
            pairs().map(|pair| pair[1]).collect(),
        ]
    }
}

impl LevelsShape {
    fn input(&self) -> NodeShape {
        NodeShape {
            images: self.images,
            nodes: self.levels[0],
            height: self.entering[0],
            width: self.entering[1],
            stride: self.stride,
        }
    }

    fn level_shape(&self, level: usize) -> NodeShape {
        let [height, width] = self.maps();
        match level {
            0 => self.input(),
            _ => NodeShape {
                images: self.images,
                nodes: self.levels[level],
                height,
                width,
                stride: 1,
            },
        }
    }

    /// Height and width of the feature maps after the input level.
    pub fn maps(&self) -> [usize; 2] {
        self.input().output()
    }

    /// Pixels of a channel in the whole batch.
    fn row(&self) -> usize {
        let [height, width] = self.maps();
        self.images * height * width
    }

    /// How many nodes have a node function.
    fn function_nodes(&self) -> usize {
        self.levels.iter().sum()
    }

    fn level(&self, level: usize) -> Range<usize> {
        let start = self.levels[..level].iter().sum();
        start..start + self.levels[level]
    }

    /// How many nodes are outputs.
    pub fn output_nodes(&self) -> usize {
        match self.outputs {
            Outputs::OwnLevel(n) | Outputs::InLastLevel(n) => n,
        }
    }

    /// The target of the weight's first row.
    fn first_target(&self) -> usize {
        match self.outputs {
            Outputs::OwnLevel(_) => self.levels[0],
            Outputs::InLastLevel(_) => 0,
        }
    }

    /// The weight's rows of these targets.
    fn rows_of(&self, nodes: Range<usize>) -> Range<usize> {
        nodes.start - self.first_target()..nodes.end - self.first_target()
    }

    /// The weight's rows and the sources of the product into the outputs.
    fn output_product(&self) -> [Range<usize>; 2] {
        let functions = self.function_nodes();
        match self.outputs {
            Outputs::OwnLevel(n) => [self.rows_of(functions..functions + n), 0..functions],
            Outputs::InLastLevel(n) => [
                self.rows_of(functions - n..functions),
                self.level(self.levels.len() - 1),
            ],
        }
    }

    fn targets(&self) -> usize {
        match self.outputs {
            Outputs::OwnLevel(n) => self.function_nodes() - self.levels[0] + n,
            Outputs::InLastLevel(_) => self.function_nodes(),
        }
    }

    fn check(&self, x: &[f32], y: &[f32], edges: WeightedEdges<'_>) {
        assert!(
            !self.levels.is_empty() && self.stride > 0,
            "a graph without inputs"
        );
        let [height, width] = self.entering;
        assert_eq!(
            x.len(),
            self.images * self.levels[0] * height * width,
            "length of x"
        );
        assert_eq!(y.len(), self.output_nodes() * self.row(), "length of y");
        let index = edges.index;
        assert_eq!(
            [index.targets(), index.sources()],
            [self.targets(), self.function_nodes()],
            "edges of another graph"
        );
    }
}

/// The forward pass. Real edges from a level to itself or to an earlier level are ignored.
///
/// # Shapes
/// `x`: `[images, inputs, input height, input width]`; `y`: `[images, outputs, height, width]`; `weights`: the weights of the real edges
/// ([`EdgeIndex::weights`]).
///
/// # Panics
/// If a length does not fit `shape`.
pub fn forward(
    shape: &LevelsShape,
    x: &[f32],
    weights: &[f32],
    index: &EdgeIndex,
    nodes: &NodeParameters<'_>,
    norm: GraphNorm<'_>,
    y: &mut [f32],
) -> LevelsPass {
    let edges = WeightedEdges::new(index, weights);
    shape.check(x, y, edges);
    let (row, inputs, functions) = (shape.row(), shape.levels[0], shape.function_nodes());
    let mut pass = LevelsPass {
        input: Buffer::uninitialised(x.len()),
        gathered: Buffer::uninitialised((functions - inputs) * row),
        activations: Buffer::uninitialised(functions * row),
        statistics: Vec::new(),
    };
    transpose(
        x,
        [shape.images, inputs],
        x.len() / (shape.images * inputs).max(1),
        &mut pass.input,
    );
    for level in 0..shape.levels.len() {
        let own = shape.level(level);
        let (before, activations) = pass.activations.split_at_mut(own.start * row);
        let gathered = match level {
            0 => &pass.input[..],
            _ => {
                let gathered =
                    &mut pass.gathered[(own.start - inputs) * row..(own.end - inputs) * row];
                edges.into_targets(
                    shape.rows_of(own.clone()),
                    0..own.start,
                    before,
                    row,
                    gathered,
                    false,
                );
                gathered
            }
        };
        let statistics = node::forward_rows(
            shape.level_shape(level),
            norm.of(own.clone()),
            gathered,
            &nodes.of(own.clone()),
            &mut activations[..own.len() * row],
        );
        pass.statistics.push(statistics);
    }
    let mut outputs = Buffer::uninitialised(y.len());
    let outputs_in_last_level = matches!(shape.outputs, Outputs::InLastLevel(_));
    if outputs_in_last_level {
        let gathered = if shape.levels.len() == 1 {
            &pass.input
        } else {
            &pass.gathered
        };
        outputs.copy_from_slice(&gathered[gathered.len() - y.len()..]);
    }
    let [rows, sources] = shape.output_product();
    let from = &pass.activations[sources.start * row..sources.end * row];
    edges.into_targets(
        rows,
        sources,
        from,
        row,
        &mut outputs,
        outputs_in_last_level,
    );
    let n = shape.output_nodes();
    transpose(&outputs, [n, shape.images], row / shape.images.max(1), y);
    pass
}

/// The backward pass: writes the gradient of `x` to `dx`, **adds** the gradient of every possible edge to `dw`, and returns the gradients of
/// the nodes' parameters. WeightedEdges from a level to itself or to an earlier level have no gradient.
///
/// # Shapes
/// `dy`: `[images, outputs, height, width]`; `dx`: `[images, inputs, input height, input width]`; `dw`: `[targets, sources]`.
///
/// # Panics
/// If a length does not fit `shape`.
#[allow(clippy::too_many_arguments)]
pub fn backward(
    shape: &LevelsShape,
    pass: &LevelsPass,
    weights: &[f32],
    index: &EdgeIndex,
    nodes: &NodeParameters<'_>,
    norm: GraphNorm<'_>,
    dy: &[f32],
    dx: &mut [f32],
    dw: &mut [f32],
) -> NodeGradients {
    let edges = WeightedEdges::new(index, weights);
    shape.check(dx, dy, edges);
    assert_eq!(dw.len(), index.targets() * index.sources(), "length of dw");
    let (row, inputs, functions) = (shape.row(), shape.levels[0], shape.function_nodes());
    let (n, last) = (shape.output_nodes(), shape.levels.len() - 1);
    // Gradients of the sums over edges: of the nodes after the inputs, then of the outputs.
    let mut d_gathered = Buffer::uninitialised((functions - inputs + n) * row);
    let (_, d_outputs) = d_gathered.split_at_mut((functions - inputs) * row);
    transpose(dy, [shape.images, n], row / shape.images.max(1), d_outputs);
    let mut d_input = Buffer::uninitialised(dx.len());
    let mut gradients = vec![0.0; GRADIENTS * functions];
    let outputs_in_last_level = matches!(shape.outputs, Outputs::InLastLevel(_));
    for level in (0..=last).rev() {
        let own = shape.level(level);
        let mut d_activations = Buffer::uninitialised(own.len() * row);
        let (earlier, later) = d_gathered.split_at_mut((own.end - inputs) * row);
        let targets = match (outputs_in_last_level, level == last) {
            // The last level is added to the outputs only; the other levels are not added to them a second time.
            (true, true) => shape.output_product()[0].clone(),
            (true, false) => shape.rows_of(own.end..functions),
            (false, _) => shape.rows_of(own.end..functions + n),
        };
        edges.into_sources(own.clone(), targets, later, row, &mut d_activations, false);
        let here = match level {
            0 => &mut d_input[..],
            _ => &mut earlier[(own.start - inputs) * row..],
        };
        let input = match level {
            0 => &pass.input[..],
            _ => &pass.gathered[(own.start - inputs) * row..(own.end - inputs) * row],
        };
        node::backward_rows(
            shape.level_shape(level),
            norm.of(own.clone()),
            input,
            &pass.statistics[level],
            &nodes.of(own.clone()),
            &d_activations,
            here,
            &mut gradients[GRADIENTS * own.start..GRADIENTS * own.end],
        );
        if outputs_in_last_level && level == last {
            let from = here.len() - n * row;
            for (d, d_output) in here[from..].iter_mut().zip(later.iter()) {
                *d += d_output;
            }
        }
    }
    weight_gradient(shape, pass, &d_gathered, dw);
    transpose(
        &d_input,
        [inputs, shape.images],
        dx.len() / (shape.images * inputs).max(1),
        dx,
    );
    NodeGradients::of(&gradients)
}

fn weight_gradient(shape: &LevelsShape, pass: &LevelsPass, d_gathered: &[f32], dw: &mut [f32]) {
    let (row, inputs, sources) = (shape.row(), shape.levels[0], shape.function_nodes());
    let mut add = |rows: Range<usize>, from: Range<usize>, d_gathered: &[f32]| {
        let layout = OutputLayout {
            start: rows.start * sources + from.start,
            row: sources,
            column: 1,
        };
        let activations = &pass.activations[from.start * row..from.end * row];
        dense::outer(
            Rows::new(d_gathered, rows.len(), row),
            Rows::new(activations, from.len(), row),
            row,
            dw,
            layout,
            true,
        );
    };
    for level in 1..shape.levels.len() {
        let own = shape.level(level);
        let d_gathered = &d_gathered[(own.start - inputs) * row..(own.end - inputs) * row];
        add(shape.rows_of(own.clone()), 0..own.start, d_gathered);
    }
    let [rows, from] = shape.output_product();
    add(rows, from, &d_gathered[(sources - inputs) * row..]);
}

//! A static graph, forward and backward, in one pass each.
//!
//! `I_v = sum over real edges (u, v) of w_uv Z_u`, `Z_v = f_v(I_v)`, level by level (Wortsman et al. 2019, section 2). All nodes of
//! the graph share one block of rows, so that nothing is copied or joined between levels; going back, the gradients of what targets
//! gathered lie in another, and the gradient of each possible edge is one dense product per level, written where it belongs.

use std::ops::Range;

use crate::EdgeIndex;
use crate::dense::{self, Place, Rows};
use crate::layout::transpose;
use crate::node::{self, GRADIENTS, NodeGradients, NodeParameters, NodeShape, Norm};
use crate::pool::Buffer;
use crate::wired::Edges;

/// Which nodes are the outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outputs {
    /// So many nodes of a level of their own, which have no node function; targets are all nodes but the inputs.
    OwnLevel(usize),
    /// The last so many of the last level, which the whole level feeds again after its forward pass; all nodes are targets.
    InLastLevel(usize),
}

/// The sizes of a graph at work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LevelsShape {
    /// Images in the batch.
    pub images: usize,
    /// Height and width of the maps that come in.
    pub entering: [usize; 2],
    /// The stride of the input level's convolution; all later maps are as large as its output.
    pub stride: usize,
    /// Nodes of each level with a node function, the inputs first.
    pub levels: Vec<usize>,
    /// Which nodes are the outputs.
    pub outputs: Outputs,
}

/// How the norms of a graph are computed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum GraphNorm<'a> {
    /// Each map of each image by its own statistics.
    Instance,
    /// All maps of a node by the statistics of the batch.
    Batch,
    /// By running statistics, `[nodes with a node function]` each.
    Running {
        /// The means.
        mean: &'a [f32],
        /// The variances.
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

/// What a pass leaves for its way back.
#[derive(Debug)]
pub struct LevelsPass {
    /// What came in, by channel.
    entered: Buffer,
    /// What the nodes behind the inputs gathered.
    gathered: Buffer,
    /// What nodes gave.
    activations: Buffer,
    /// The statistics of each level's norms.
    statistics: Vec<Buffer>,
}

impl LevelsPass {
    /// Mean and biased variance of what each node with a function gathered in the whole batch, where the norm is that of the batch:
    /// `[nodes]` each.
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

    /// Height and width of the maps behind the input level.
    pub fn maps(&self) -> [usize; 2] {
        self.input().output()
    }

    /// A channel's pixels in all images.
    fn row(&self) -> usize {
        let [height, width] = self.maps();
        self.images * height * width
    }

    fn firing(&self) -> usize {
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

    /// The node that the weight's first row leads to.
    fn first_target(&self) -> usize {
        match self.outputs {
            Outputs::OwnLevel(_) => self.levels[0],
            Outputs::InLastLevel(_) => 0,
        }
    }

    /// The weight's rows that lead to these nodes.
    fn rows_of(&self, nodes: Range<usize>) -> Range<usize> {
        nodes.start - self.first_target()..nodes.end - self.first_target()
    }

    /// Rows and sources of the products into the outputs.
    fn product_of_outputs(&self) -> [Range<usize>; 2] {
        let firing = self.firing();
        match self.outputs {
            Outputs::OwnLevel(n) => [self.rows_of(firing..firing + n), 0..firing],
            Outputs::InLastLevel(n) => [
                self.rows_of(firing - n..firing),
                self.level(self.levels.len() - 1),
            ],
        }
    }

    fn targets(&self) -> usize {
        match self.outputs {
            Outputs::OwnLevel(n) => self.firing() - self.levels[0] + n,
            Outputs::InLastLevel(_) => self.firing(),
        }
    }

    fn check(&self, x: &[f32], y: &[f32], edges: Edges<'_>) {
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
            [self.targets(), self.firing()],
            "edges of another graph"
        );
    }
}

/// Writes `y [images, outputs, height, width]` from `x [images, inputs, entering height, entering width]`. Real edges that lead from a
/// level to itself or an earlier one are not followed.
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
    let edges = Edges::new(index, weights);
    shape.check(x, y, edges);
    let (row, inputs, firing) = (shape.row(), shape.levels[0], shape.firing());
    let mut pass = LevelsPass {
        entered: Buffer::uninitialised(x.len()),
        gathered: Buffer::uninitialised((firing - inputs) * row),
        activations: Buffer::uninitialised(firing * row),
        statistics: Vec::new(),
    };
    transpose(
        x,
        [shape.images, inputs],
        x.len() / (shape.images * inputs).max(1),
        &mut pass.entered,
    );
    for level in 0..shape.levels.len() {
        let own = shape.level(level);
        let (before, activations) = pass.activations.split_at_mut(own.start * row);
        let gathered = match level {
            0 => &pass.entered[..],
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
    let feeds_again = matches!(shape.outputs, Outputs::InLastLevel(_));
    if feeds_again {
        let held = if shape.levels.len() == 1 {
            &pass.entered
        } else {
            &pass.gathered
        };
        outputs.copy_from_slice(&held[held.len() - y.len()..]);
    }
    let [rows, sources] = shape.product_of_outputs();
    let from = &pass.activations[sources.start * row..sources.end * row];
    edges.into_targets(rows, sources, from, row, &mut outputs, feeds_again);
    let n = shape.output_nodes();
    transpose(&outputs, [n, shape.images], row / shape.images.max(1), y);
    pass
}

/// Writes the gradient to `x`, **adds** that of every possible edge to `dw`, and returns those of the nodes' numbers. Edges that lead
/// from a level to itself or an earlier one have none.
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
    let edges = Edges::new(index, weights);
    shape.check(dx, dy, edges);
    assert_eq!(dw.len(), index.targets() * index.sources(), "length of dw");
    let (row, inputs, firing) = (shape.row(), shape.levels[0], shape.firing());
    let (n, last) = (shape.output_nodes(), shape.levels.len() - 1);
    // Gradients of what was gathered: by the nodes behind the inputs, then by the outputs.
    let mut pulls = Buffer::uninitialised((firing - inputs + n) * row);
    let (_, d_outputs) = pulls.split_at_mut((firing - inputs) * row);
    transpose(dy, [shape.images, n], row / shape.images.max(1), d_outputs);
    let mut d_entered = Buffer::uninitialised(dx.len());
    let mut gradients = vec![0.0; GRADIENTS * firing];
    let feeds_again = matches!(shape.outputs, Outputs::InLastLevel(_));
    for level in (0..=last).rev() {
        let own = shape.level(level);
        let mut d_activations = Buffer::uninitialised(own.len() * row);
        let (earlier, later) = pulls.split_at_mut((own.end - inputs) * row);
        let targets = match (feeds_again, level == last) {
            // The last level feeds the outputs alone; the others do not feed them again.
            (true, true) => shape.product_of_outputs()[0].clone(),
            (true, false) => shape.rows_of(own.end..firing),
            (false, _) => shape.rows_of(own.end..firing + n),
        };
        edges.into_sources(own.clone(), targets, later, row, &mut d_activations, false);
        let here = match level {
            0 => &mut d_entered[..],
            _ => &mut earlier[(own.start - inputs) * row..],
        };
        let entered = match level {
            0 => &pass.entered[..],
            _ => &pass.gathered[(own.start - inputs) * row..(own.end - inputs) * row],
        };
        node::backward_rows(
            shape.level_shape(level),
            norm.of(own.clone()),
            entered,
            &pass.statistics[level],
            &nodes.of(own.clone()),
            &d_activations,
            here,
            &mut gradients[GRADIENTS * own.start..GRADIENTS * own.end],
        );
        if feeds_again && level == last {
            let from = here.len() - n * row;
            for (d, again) in here[from..].iter_mut().zip(later.iter()) {
                *d += again;
            }
        }
    }
    weight_gradient(shape, pass, &pulls, dw);
    transpose(
        &d_entered,
        [inputs, shape.images],
        dx.len() / (shape.images * inputs).max(1),
        dx,
    );
    NodeGradients::of(&gradients)
}

fn weight_gradient(shape: &LevelsShape, pass: &LevelsPass, pulls: &[f32], dw: &mut [f32]) {
    let (row, inputs, sources) = (shape.row(), shape.levels[0], shape.firing());
    let mut add = |rows: Range<usize>, from: Range<usize>, pulls: &[f32]| {
        let place = Place {
            start: rows.start * sources + from.start,
            row: sources,
            column: 1,
        };
        let activations = &pass.activations[from.start * row..from.end * row];
        dense::outer(
            Rows::new(pulls, rows.len(), row),
            Rows::new(activations, from.len(), row),
            row,
            dw,
            place,
            true,
        );
    };
    for level in 1..shape.levels.len() {
        let own = shape.level(level);
        let pulls = &pulls[(own.start - inputs) * row..(own.end - inputs) * row];
        add(shape.rows_of(own.clone()), 0..own.start, pulls);
    }
    let [rows, from] = shape.product_of_outputs();
    add(rows, from, &pulls[(sources - inputs) * row..]);
}

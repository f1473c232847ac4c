//! The forward and backward pass of a cyclic graph, all nodes of which are updated together for a number of steps.
//!
//! `Z = K * relu(state)`, `state = norm(W Z)`: the published tiny classifier in discrete time. Its continuous version takes one such step
//! as the time derivative. Nodes after the inputs begin at zero, and only the outputs of the last state are needed: what is known to be
//! zero or unused is not computed.

use std::ops::Range;

use crate::EdgeIndex;
use crate::dense::{self, OutputLayout, Rows};
use crate::layout::transpose;
use crate::node::{self, GRADIENTS, NodeGradients, NodeParameters, NodeShape, Norm};
use crate::pool::Buffer;
use crate::wired::WeightedEdges;

/// The sizes of a cyclic graph and its batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepsShape {
    /// Images in the batch.
    pub images: usize,
    /// Nodes.
    pub nodes: usize,
    /// Height of a feature map.
    pub height: usize,
    /// Width of a feature map.
    pub width: usize,
    /// How many nodes, the first ones, are inputs. The state of all other nodes begins at zero.
    pub inputs: usize,
    /// The nodes whose last state is the output.
    pub outputs: Range<usize>,
    /// How many steps to compute, at least one.
    pub steps: usize,
}

/// What the forward pass saves for the backward pass.
#[derive(Debug)]
pub struct StepsPass {
    /// The input, channel-major.
    input: Buffer,
    /// The sums over edges in each step; in the last step those of the outputs only.
    gathered: Vec<Buffer>,
    /// The activations that these sums are over, in each step.
    activations: Vec<Buffer>,
    /// The statistics of each step's norms.
    statistics: Vec<Buffer>,
}

impl StepsShape {
    fn of(&self, nodes: usize) -> NodeShape {
        NodeShape {
            images: self.images,
            nodes,
            height: self.height,
            width: self.width,
            stride: 1,
        }
    }

    fn pixels(&self) -> usize {
        self.height * self.width
    }

    fn row(&self) -> usize {
        self.images * self.pixels()
    }

    /// Nodes with a nonzero activation in a step.
    fn sources(&self, step: usize) -> Range<usize> {
        0..if step == 0 { self.inputs } else { self.nodes }
    }

    /// Nodes whose state is needed after a step.
    fn targets(&self, step: usize) -> Range<usize> {
        if step + 1 == self.steps {
            self.outputs.clone()
        } else {
            0..self.nodes
        }
    }

    fn check(&self, x: &[f32], y: &[f32], index: &EdgeIndex) {
        assert!(self.steps > 0, "a graph without steps");
        assert!(
            self.inputs <= self.nodes && self.outputs.end <= self.nodes,
            "inputs or outputs outside the nodes"
        );
        assert_eq!(x.len(), self.inputs * self.row(), "length of x");
        assert_eq!(y.len(), self.outputs.len() * self.row(), "length of y");
        assert_eq!(
            [index.targets(), index.sources()],
            [self.nodes; 2],
            "edges of another graph"
        );
    }
}

/// The forward pass.
///
/// # Shapes
/// `x`: `[images, inputs, height, width]`; `y`: `[images, outputs, height, width]`; `weights`: the weights of the real edges
/// ([`EdgeIndex::weights`]).
///
/// # Panics
/// If a length does not fit `shape`.
pub fn forward(
    shape: &StepsShape,
    x: &[f32],
    weights: &[f32],
    index: &EdgeIndex,
    nodes: &NodeParameters<'_>,
    y: &mut [f32],
) -> StepsPass {
    let edges = WeightedEdges::new(index, weights);
    shape.check(x, y, index);
    let row = shape.row();
    let mut pass = StepsPass {
        input: Buffer::uninitialised(x.len()),
        gathered: Vec::new(),
        activations: Vec::new(),
        statistics: Vec::new(),
    };
    transpose(
        x,
        [shape.images, shape.inputs],
        shape.pixels(),
        &mut pass.input,
    );
    for step in 0..shape.steps {
        let (sources, targets) = (shape.sources(step), shape.targets(step));
        let mut activations = Buffer::uninitialised(sources.len() * row);
        let (norm, state) = match step {
            0 => (Norm::None, &pass.input),
            _ => (Norm::Instance, &pass.gathered[step - 1]),
        };
        let statistics = node::forward_rows(
            shape.of(sources.len()),
            norm,
            state,
            &nodes.of(sources.clone()),
            &mut activations,
        );
        let mut gathered = Buffer::uninitialised(targets.len() * row);
        edges.into_targets(targets, sources, &activations, row, &mut gathered, false);
        pass.gathered.push(gathered);
        pass.activations.push(activations);
        pass.statistics.push(statistics);
    }
    let mut state = Buffer::uninitialised(y.len());
    let outputs = nodes.of(shape.outputs.clone());
    let last = &pass.gathered[shape.steps - 1];
    let statistics = node::normalise(
        shape.of(shape.outputs.len()),
        Norm::Instance,
        last,
        &outputs,
        &mut state,
    );
    pass.statistics.push(statistics);
    transpose(
        &state,
        [shape.outputs.len(), shape.images],
        shape.pixels(),
        y,
    );
    pass
}

/// The backward pass: writes the gradient of `x` to `dx`, **adds** the gradient of every possible edge to `dw`, and returns the gradients of
/// the nodes' parameters.
///
/// # Shapes
/// `dy`: `[images, outputs, height, width]`; `dx`: `[images, inputs, height, width]`; `dw`: `[nodes, nodes]`.
///
/// # Panics
/// If a length does not fit `shape`.
#[allow(clippy::too_many_arguments)]
pub fn backward(
    shape: &StepsShape,
    pass: &StepsPass,
    weights: &[f32],
    index: &EdgeIndex,
    nodes: &NodeParameters<'_>,
    dy: &[f32],
    dx: &mut [f32],
    dw: &mut [f32],
) -> NodeGradients {
    let edges = WeightedEdges::new(index, weights);
    shape.check(dx, dy, index);
    assert_eq!(dw.len(), index.targets() * index.sources(), "length of dw");
    let row = shape.row();
    let mut gradients = vec![0.0; GRADIENTS * shape.nodes];
    let of = |nodes: &Range<usize>| GRADIENTS * nodes.start..GRADIENTS * nodes.end;

    let mut d_state = Buffer::uninitialised(dy.len());
    transpose(
        dy,
        [shape.images, shape.outputs.len()],
        shape.pixels(),
        &mut d_state,
    );
    let mut d_gathered = Buffer::uninitialised(dy.len());
    node::denormalise(
        shape.of(shape.outputs.len()),
        &pass.gathered[shape.steps - 1],
        &pass.statistics[shape.steps],
        &nodes.of(shape.outputs.clone()),
        &d_state,
        &mut d_gathered,
        &mut gradients[of(&shape.outputs)],
    );
    drop(d_state);
    for step in (0..shape.steps).rev() {
        let (sources, targets) = (shape.sources(step), shape.targets(step));
        let layout = OutputLayout {
            start: targets.start * shape.nodes,
            row: shape.nodes,
            column: 1,
        };
        let (a, b) = (
            Rows::new(&d_gathered, targets.len(), row),
            Rows::new(&pass.activations[step], sources.len(), row),
        );
        dense::outer(a, b, row, dw, layout, true);
        let mut d_activations = Buffer::uninitialised(sources.len() * row);
        edges.into_sources(
            sources.clone(),
            targets,
            &d_gathered,
            row,
            &mut d_activations,
            false,
        );
        let (norm, state) = match step {
            0 => (Norm::None, &pass.input),
            _ => (Norm::Instance, &pass.gathered[step - 1]),
        };
        let mut d_input = Buffer::uninitialised(sources.len() * row);
        node::backward_rows(
            shape.of(sources.len()),
            norm,
            state,
            &pass.statistics[step],
            &nodes.of(sources.clone()),
            &d_activations,
            &mut d_input,
            &mut gradients[of(&sources)],
        );
        d_gathered = d_input;
    }
    transpose(
        &d_gathered,
        [shape.inputs, shape.images],
        shape.pixels(),
        dx,
    );
    NodeGradients::of(&gradients)
}

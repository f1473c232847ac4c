//! Passes over the graph.

mod added;
mod gates;

use std::collections::BTreeSet;

use crate::cost;
use crate::graph::{Conv, Graph, Op, Then};
pub(crate) use added::merge_sums;
pub(crate) use gates::{fuse_gates, remove_identities};

/// Which optimisations are made. All but `strips` are by default; each can be switched off, to find out what it is worth or whether it is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Passes {
    /// Removes dead nodes and folds constants.
    pub prune: bool,
    /// Folds norms into the layers before them.
    pub fold_norms: bool,
    /// Makes a sum of convolutions one convolution, and fuses other sums and ReLUs into the layers before them.
    pub fuse: bool,
    /// Lets a depthwise convolution follow a sparse one strip by strip, while its input is in the cache. Not by default: where it was measured,
    /// with 1 MiB of level 2 cache, it gained nothing (docs/inference.md).
    pub strips: bool,
    /// Lets several targets of a layer share the rows that they read, where that costs less.
    pub blocks: bool,
    /// Computes targets of a layer that read the same rows one after another, while the rows are in the cache.
    pub order: bool,
    /// Uses memory again.
    pub reuse_memory: bool,
}

impl Default for Passes {
    fn default() -> Self {
        Self {
            prune: true,
            fold_norms: true,
            fuse: true,
            strips: false,
            blocks: true,
            order: true,
            reuse_memory: true,
        }
    }
}

impl Passes {
    /// None of them.
    pub fn none() -> Self {
        Self {
            prune: false,
            fold_norms: false,
            fuse: false,
            strips: false,
            blocks: false,
            order: false,
            reuse_memory: false,
        }
    }
}

impl Passes {
    /// Each pass with its name.
    pub fn by_name(&mut self) -> [(&'static str, &mut bool); 7] {
        [
            ("prune", &mut self.prune),
            ("fold-norms", &mut self.fold_norms),
            ("fuse", &mut self.fuse),
            ("strips", &mut self.strips),
            ("blocks", &mut self.blocks),
            ("order", &mut self.order),
            ("reuse-memory", &mut self.reuse_memory),
        ]
    }
}

/// Folds scales and shifts into the layer before, if nobody else reads that layer's output.
///
/// `scale * (W x + b) + shift` is `(scale W) x + (scale b + shift)`.
pub(crate) fn fold_norms(graph: &mut Graph) {
    for at in 0..graph.nodes.len() {
        let readers = graph.readers();
        let node = &graph.nodes[at];
        let (
            Op::Norm {
                scale,
                shift,
                epsilon: None,
            },
            &[input],
        ) = (&node.op, &node.inputs[..])
        else {
            continue;
        };
        let (scale, shift, relu) = (scale.clone(), shift.clone(), node.relu);
        if readers[input] > 1
            || graph.nodes[input].relu
            || !scale_residual(graph, input, &scale, &readers)
        {
            continue;
        }
        let before = &mut graph.nodes[input];
        let bias = match &mut before.op {
            Op::Conv(conv) => {
                for (edges, scale) in conv.edges.iter_mut().zip(&scale) {
                    edges.iter_mut().for_each(|edge| edge.weight *= scale);
                }
                &mut conv.bias
            }
            Op::Depthwise { weights, bias, .. } => {
                let taps = weights.len() / bias.len().max(1);
                for (weights, scale) in weights.chunks_mut(taps.max(1)).zip(&scale) {
                    weights.iter_mut().for_each(|weight| *weight *= scale);
                }
                bias
            }
            Op::Norm {
                scale: inner,
                shift: bias,
                ..
            } => {
                inner
                    .iter_mut()
                    .zip(&scale)
                    .for_each(|(inner, scale)| *inner *= scale);
                bias
            }
            _ => continue,
        };
        for ((bias, scale), shift) in bias.iter_mut().zip(&scale).zip(&shift) {
            *bias = *bias * scale + shift;
        }
        before.relu = relu;
        graph.replace(at, input);
    }
}

/// Scales what is added to a convolution's output, if it is a constant of its own. False if something else is added.
fn scale_residual(graph: &mut Graph, conv: usize, scale: &[f64], readers: &[usize]) -> bool {
    let (Op::Conv(_), Some(&residual)) = (&graph.nodes[conv].op, graph.nodes[conv].inputs.get(1))
    else {
        return true;
    };
    let [channels, height, width] = graph.nodes[residual].shape;
    debug_assert_eq!(channels, scale.len());
    match &mut graph.nodes[residual].op {
        Op::Constant(values) if readers[residual] == 1 => {
            for (map, scale) in values.chunks_mut(height * width).zip(scale) {
                map.iter_mut().for_each(|value| *value *= scale);
            }
            true
        }
        _ => false,
    }
}

/// Fuses constants that are added to a convolution, so that the norm behind them can be folded.
pub(crate) fn fuse_constants(graph: &mut Graph) {
    for at in 0..graph.nodes.len() {
        let readers = graph.readers();
        let Op::Sum(coefficients) = &graph.nodes[at].op else {
            continue;
        };
        if let ([1.0, 1.0], &[conv, constant]) = (&coefficients[..], &graph.nodes[at].inputs[..])
            && matches!(graph.nodes[constant].op, Op::Constant(_))
            && can_add(graph, conv, &readers)
        {
            fuse_sum(graph, at, conv, constant);
        }
    }
}

/// Whether something can be added to this node's output: a convolution that nobody else reads.
fn can_add(graph: &Graph, conv: usize, readers: &[usize]) -> bool {
    is_conv(graph, conv) && !graph.nodes[conv].relu && readers[conv] == 1
}

/// Lets a convolution compute the constant channels that are concatenated with its output, as targets without edges, and gives its targets the
/// order that is selected. Its output then needs no copy where a sum reads it.
pub(crate) fn fuse_constant_channels(graph: &mut Graph) {
    for at in 0..graph.nodes.len() {
        let readers = graph.readers();
        let inputs = graph.nodes[at].inputs.clone();
        let is_own = |conv: usize| readers[conv] == 1 && is_conv(graph, conv);
        match (&graph.nodes[at].op, &inputs[..]) {
            (Op::Concat, &[conv, constant]) if is_own(conv) && !graph.nodes[conv].relu => {
                let Some(values) = uniform(graph, constant) else {
                    continue;
                };
                take_over(graph, at, conv, |conv| {
                    conv.edges
                        .resize(conv.edges.len() + values.len(), Vec::new());
                    conv.bias.extend(values);
                });
                if readers[constant] == 1 {
                    graph.nodes[constant].op = Op::Removed;
                }
            }
            (Op::Select(channels), &[conv]) if is_own(conv) => {
                let channels = channels.clone();
                take_over(graph, at, conv, |conv| {
                    let edges = channels.iter().map(|&channel| conv.edges[channel].clone());
                    conv.edges = edges.collect();
                    conv.bias = channels.iter().map(|&channel| conv.bias[channel]).collect();
                });
            }
            _ => {}
        }
    }
}

/// Whether a node is a convolution to whose output nothing is done yet.
fn is_conv(graph: &Graph, node: usize) -> bool {
    let node = &graph.nodes[node];
    matches!(&node.op, Op::Conv(conv) if conv.then.is_none()) && node.inputs.len() == 1
}

/// Node `at` becomes the convolution, after a change.
fn take_over(graph: &mut Graph, at: usize, conv: usize, change: impl FnOnce(&mut Conv)) {
    let mut op = std::mem::replace(&mut graph.nodes[conv].op, Op::Removed);
    if let Op::Conv(conv) = &mut op {
        change(conv);
    }
    graph.nodes[at].inputs = std::mem::take(&mut graph.nodes[conv].inputs);
    graph.nodes[at].relu |= graph.nodes[conv].relu;
    graph.nodes[at].op = op;
}

/// The value of each map of a constant, if all its pixels have it.
fn uniform(graph: &Graph, constant: usize) -> Option<Vec<f64>> {
    let node = &graph.nodes[constant];
    let Op::Constant(values) = &node.op else {
        return None;
    };
    let maps = values.chunks(node.shape[1] * node.shape[2]);
    let value = |map: &[f64]| map.iter().all(|x| *x == map[0]).then_some(map[0]);
    maps.map(value)
        .collect::<Option<Vec<f64>>>()
        .filter(|_| !node.relu)
}

/// Fuses sums with one convolution's output into that convolution, and ReLUs into the layer before.
pub(crate) fn fuse(graph: &mut Graph) {
    for at in 0..graph.nodes.len() {
        let readers = graph.readers();
        let Op::Sum(coefficients) = &graph.nodes[at].op else {
            continue;
        };
        let inputs = graph.nodes[at].inputs.clone();
        match (&coefficients[..], &inputs[..]) {
            ([1.0], &[input]) => fuse_relu(graph, at, input, &readers),
            ([1.0, 1.0], &[a, b]) if a != b => {
                let fits = |conv: usize| can_add(graph, conv, &readers);
                // The later one, so that its inputs need not stay in memory longer than now.
                let (first, last) = (a.min(b), a.max(b));
                let Some(conv) = [last, first].into_iter().find(|&input| fits(input)) else {
                    continue;
                };
                let other = if conv == a { b } else { a };
                fuse_sum(graph, at, conv, other);
            }
            _ => {}
        }
    }
}

fn fuse_relu(graph: &mut Graph, at: usize, input: usize, readers: &[usize]) {
    let relu = graph.nodes[at].relu;
    let before = &mut graph.nodes[input];
    let computes = matches!(
        before.op,
        Op::Conv(_) | Op::Depthwise { .. } | Op::Norm { .. } | Op::Sum(_)
    );
    if !relu || (computes && readers[input] == 1) {
        before.relu |= relu;
        graph.replace(at, input);
    }
}

/// The sum becomes the convolution, with the other term as its second input; a term that is the same for each pixel goes into the bias.
fn fuse_sum(graph: &mut Graph, at: usize, conv: usize, other: usize) {
    let constant = uniform(graph, other);
    let is_constant = constant.is_some();
    take_over(graph, at, conv, |conv| {
        let biases = conv.bias.iter_mut().zip(constant.into_iter().flatten());
        biases.for_each(|(bias, value)| *bias += value);
    });
    if !is_constant {
        graph.nodes[at].inputs.push(other);
    }
}

/// Lets a depthwise convolution follow the sparse convolution before it strip by strip, where the rows of a strip fit in the cache.
pub(crate) fn fuse_depthwise(graph: &mut Graph) {
    for at in 0..graph.nodes.len() {
        let readers = graph.readers();
        let Op::Depthwise {
            weights,
            bias,
            window,
        } = &graph.nodes[at].op
        else {
            continue;
        };
        let input = graph.nodes[at].inputs[0];
        let before = &graph.nodes[input];
        let Op::Conv(conv) = &before.op else { continue };
        let alone = readers[input] == 1 && conv.then.is_none();
        let map = [before.shape[1], before.shape[2]];
        if !window.reads_lines()
            || !alone
            || map == [1, 1]
            || !pays_strip_by_strip(graph, input, conv, window.kernel[0])
        {
            continue;
        }
        let then = Then {
            weights: weights.clone(),
            bias: bias.clone(),
            window: *window,
            map,
            relu: before.relu,
        };
        let inputs = std::mem::take(&mut graph.nodes[input].inputs);
        let mut op = std::mem::replace(&mut graph.nodes[input].op, Op::Removed);
        if let Op::Conv(conv) = &mut op {
            conv.then = Some(then);
        }
        graph.nodes[at].op = op;
        graph.nodes[at].inputs = inputs;
    }
}

fn pays_strip_by_strip(graph: &Graph, node: usize, conv: &Conv, kernel: usize) -> bool {
    let [channels, height, width] = graph.nodes[node].shape;
    let edges = conv.edges.iter().flatten();
    let rows: BTreeSet<(usize, usize)> = edges.map(|edge| (edge.source, edge.tap)).collect();
    let edges: usize = conv.edges.iter().map(Vec::len).sum();
    let is_sparse = 2 * edges < rows.len() * channels;
    is_sparse && cost::prefers_strips([height, width], rows.len(), kernel)
}

//! Passes over the graph.

use crate::graph::{Graph, Op};

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
        let before = &mut graph.nodes[input];
        if readers[input] > 1 || before.relu {
            continue;
        }
        let (bias, scaled) = match &mut before.op {
            Op::Conv(conv) => {
                for (edges, scale) in conv.edges.iter_mut().zip(&scale) {
                    edges.iter_mut().for_each(|edge| edge.weight *= scale);
                }
                (&mut conv.bias, true)
            }
            Op::Depthwise { weights, bias, .. } => {
                let taps = weights.len() / bias.len().max(1);
                for (weights, scale) in weights.chunks_mut(taps.max(1)).zip(&scale) {
                    weights.iter_mut().for_each(|weight| *weight *= scale);
                }
                (bias, true)
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
                (bias, true)
            }
            _ => continue,
        };
        if scaled {
            for ((bias, scale), shift) in bias.iter_mut().zip(&scale).zip(&shift) {
                *bias = *bias * scale + shift;
            }
            before.relu = relu;
            graph.replace(at, input);
        }
    }
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
                let fits = |conv: usize| {
                    let node = &graph.nodes[conv];
                    let is_conv = matches!(node.op, Op::Conv(_)) && node.inputs.len() == 1;
                    is_conv && !node.relu && readers[conv] == 1
                };
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
    let mut op = std::mem::replace(&mut graph.nodes[conv].op, Op::Removed);
    let mut inputs = std::mem::take(&mut graph.nodes[conv].inputs);
    let pixels = graph.nodes[at].shape[1] * graph.nodes[at].shape[2];
    let constant = match &graph.nodes[other].op {
        Op::Constant(values) if !graph.nodes[other].relu => {
            let maps = values
                .chunks(pixels)
                .map(|map| map.iter().all(|x| *x == map[0]).then_some(map[0]));
            maps.collect::<Option<Vec<f64>>>()
        }
        _ => None,
    };
    match (&mut op, constant) {
        (Op::Conv(conv), Some(values)) => {
            conv.bias
                .iter_mut()
                .zip(values)
                .for_each(|(bias, value)| *bias += value);
        }
        _ => inputs.push(other),
    }
    graph.nodes[at].op = op;
    graph.nodes[at].inputs = inputs;
}

//! Sums of convolutions, which are one convolution.
//!
//! `A x + B y` is `[A B]` of the concatenation of `x` and `y`. A network that adds each level of a graph to what the next levels have got so far,
//! as the published MobileNetV1 of wired stages does, writes and reads the sums of all later levels at each level. As one convolution for each
//! level, every sum is written once. The same holds for a residual block whose shortcut is a convolution of the same window.

use crate::graph::{Conv, Graph, Op};

/// Makes each sum of two convolutions with the same window one convolution, if nobody else reads what is added.
pub(crate) fn merge_sums(graph: &mut Graph) {
    for at in 0..graph.nodes.len() {
        let (Op::Sum(coefficients), &[a, b]) = (&graph.nodes[at].op, &graph.nodes[at].inputs[..])
        else {
            continue;
        };
        let (first, last) = (a.min(b), a.max(b));
        if first == last || coefficients[..] != [1.0, 1.0] {
            continue;
        }
        let readers = graph.readers();
        let terms = [first, last].map(|node| Term::new(graph, at, node, &readers));
        let [Some(first), Some(last)] = terms else {
            continue;
        };
        if first.conv != last.conv && fit(graph, first.conv, last.conv) {
            merge(graph, at, first, last);
        }
    }
}

/// More selections and concatenations between a convolution and a sum are not followed: a file may have any number.
const MOST_VIEWS: usize = 32;

/// What is added: targets of one convolution, which nobody else reads, and constants.
struct Term {
    conv: usize,
    channels: Vec<Channel>,
    /// The nodes between the convolution and the sum: they select and concatenate channels.
    views: Vec<usize>,
    /// Who else reads the convolution: selections of other channels.
    others: Vec<usize>,
}

#[derive(Clone, Copy)]
enum Channel {
    /// A target of the convolution.
    Target(usize),
    /// The same number in each pixel.
    Constant(f64),
}

impl Term {
    /// A term of the sum `at`.
    fn new(graph: &Graph, at: usize, node: usize, readers: &[usize]) -> Option<Self> {
        let (mut conv, mut views) = (None, Vec::new());
        let channels = channels(graph, node, readers, &mut conv, &mut views)?;
        let conv = conv.filter(|&conv| graph.output != conv)?;
        let uses = uses(&channels, graph.nodes[conv].shape[0]);
        let is_other = |&reader: &usize| {
            let reads = graph.nodes[reader].inputs.contains(&conv);
            reads && reader != at && !views.contains(&reader)
        };
        let others: Vec<usize> = (0..graph.nodes.len()).filter(is_other).collect();
        let are_apart = others.iter().all(|&reader| match &graph.nodes[reader].op {
            Op::Select(channels) => channels.iter().all(|&channel| uses[channel] == 0),
            _ => false,
        });
        are_apart.then_some(Self {
            conv,
            channels,
            views,
            others,
        })
    }
}

/// How often each target of a convolution is one of these channels.
fn uses(channels: &[Channel], targets: usize) -> Vec<usize> {
    let mut uses = vec![0; targets];
    for channel in channels {
        if let Channel::Target(target) = channel {
            uses[*target] += 1;
        }
    }
    uses
}

/// The channels of a node, if they are constants and targets of one convolution, `conv`, and nobody else reads the nodes between: `views`.
fn channels(
    graph: &Graph,
    node: usize,
    readers: &[usize],
    conv: &mut Option<usize>,
    views: &mut Vec<usize>,
) -> Option<Vec<Channel>> {
    let own = &graph.nodes[node];
    if own.relu {
        return None;
    }
    if super::is_conv(graph, node) && conv.is_none_or(|conv| conv == node) {
        *conv = Some(node);
        return Some((0..own.shape[0]).map(Channel::Target).collect());
    }
    if let Some(values) = super::uniform(graph, node) {
        return Some(values.into_iter().map(Channel::Constant).collect());
    }
    let is_view = readers[node] == 1 && matches!(own.op, Op::Select(_) | Op::Concat);
    if !is_view || views.len() == MOST_VIEWS {
        return None;
    }
    views.push(node);
    let mut all = Vec::new();
    for &input in &own.inputs {
        all.extend(channels(graph, input, readers, conv, views)?);
    }
    Some(match &own.op {
        Op::Select(channels) => channels.iter().map(|&channel| all[channel]).collect(),
        _ => all,
    })
}

/// Whether two convolutions can be one, and should: both have few of their entries, or both have many, so that one kernel suits both.
fn fit(graph: &Graph, a: usize, b: usize) -> bool {
    let (Op::Conv(first), Op::Conv(last)) = (&graph.nodes[a].op, &graph.nodes[b].op) else {
        return false;
    };
    let [from, other] = [a, b].map(|node| graph.nodes[graph.nodes[node].inputs[0]].shape);
    let [_, height, width] = graph.nodes[a].shape;
    // A product with one vector reads sources that follow each other.
    let is_linear = height * width == 1;
    let is_dense = |conv: &Conv, sources: usize| {
        let [height, width] = conv.window.kernel;
        let edges: usize = conv.edges.iter().map(Vec::len).sum();
        2 * edges > sources * height * width * conv.edges.len()
    };
    first.window == last.window
        && from[1..] == other[1..]
        && !is_linear
        && is_dense(first, from[0]) == is_dense(last, other[0])
}

/// Node `at` becomes the convolution. The node of the last term becomes the concatenation that it reads.
fn merge(graph: &mut Graph, at: usize, first: Term, last: Term) {
    let [from, other] = [&first, &last].map(|term| graph.nodes[term.conv].inputs[0]);
    let [sources, more] = [from, other].map(|node| graph.nodes[node].shape[0]);
    let [a, b] = [first, last].map(|term| take(graph, &term));
    let edges = a.edges.into_iter().zip(b.edges).map(|(mut own, more)| {
        own.extend(more.into_iter().map(|mut edge| {
            edge.source += sources;
            edge
        }));
        own
    });
    let bias = a.bias.iter().zip(&b.bias).map(|(a, b)| a + b);
    let [_, height, width] = graph.nodes[from].shape;
    let both = graph.nodes[at].inputs.iter().max().copied();
    let both = both.expect("a sum has terms");
    let node = &mut graph.nodes[both];
    node.op = Op::Concat;
    node.inputs = vec![from, other];
    node.shape = [sources + more, height, width];
    let node = &mut graph.nodes[at];
    node.op = Op::Conv(Conv {
        edges: edges.collect(),
        bias: bias.collect(),
        window: a.window,
        then: None,
    });
    node.inputs = vec![both];
}

/// Takes the targets of a term out of their convolution, and removes what nobody reads any more.
fn take(graph: &mut Graph, term: &Term) -> Conv {
    let Op::Conv(conv) = &mut graph.nodes[term.conv].op else {
        unreachable!("a term is a convolution");
    };
    let window = conv.window;
    let mut uses = uses(&term.channels, conv.edges.len());
    let left: Vec<usize> = (0..uses.len()).filter(|&i| uses[i] == 0).collect();
    let mut some = |channels: &[Channel]| {
        let target = |channel: &Channel| match *channel {
            Channel::Target(i) => {
                // Moved if they are not needed again: the same edges may be added to once for each of many levels.
                uses[i] = uses[i].saturating_sub(1);
                let edges = match uses[i] {
                    0 => std::mem::take(&mut conv.edges[i]),
                    _ => conv.edges[i].clone(),
                };
                (edges, conv.bias[i])
            }
            Channel::Constant(value) => (Vec::new(), value),
        };
        let (edges, bias) = channels.iter().map(target).unzip();
        Conv {
            edges,
            bias,
            window,
            then: None,
        }
    };
    let taken = some(&term.channels);
    let targets: Vec<Channel> = left.iter().copied().map(Channel::Target).collect();
    let rest = some(&targets);
    for &view in &term.views {
        graph.nodes[view].op = Op::Removed;
        graph.nodes[view].inputs.clear();
    }
    if term.others.is_empty() {
        graph.nodes[term.conv].op = Op::Removed;
        graph.nodes[term.conv].inputs.clear();
        return taken;
    }
    graph.nodes[term.conv].op = Op::Conv(rest);
    graph.nodes[term.conv].shape[0] = left.len();
    for &reader in &term.others {
        let Op::Select(channels) = &mut graph.nodes[reader].op else {
            unreachable!("other readers are selections");
        };
        for channel in &mut *channels {
            *channel = left.partition_point(|left| left < channel);
        }
        if channels.iter().copied().eq(0..left.len()) && !graph.nodes[reader].relu {
            graph.replace(reader, term.conv);
        }
    }
    taken
}

//! Grouped convolutions, which a circuit has as one convolution for each group.

use dnw_runtime::plan::Window;

use crate::graph::{Conv, Edge, Graph, Op};

/// Makes the concatenation of convolutions of the same feature maps one convolution: an edge leads where it did, and there are none between
/// groups.
pub(crate) fn merge_groups(graph: &mut Graph) {
    for at in 0..graph.nodes.len() {
        let (Op::Concat, true) = (&graph.nodes[at].op, graph.nodes[at].inputs.len() > 1) else {
            continue;
        };
        let parts = graph.nodes[at].inputs.clone();
        let readers = graph.readers();
        let Some((base, window)) = common(graph, &parts, &readers) else {
            continue;
        };
        let (mut edges, mut bias) = (Vec::new(), Vec::new());
        for &part in &parts {
            let input = graph.nodes[part].inputs[0];
            // The source in the common feature maps.
            let channels = match &graph.nodes[input].op {
                Op::Select(channels) if input != base => Some(channels.clone()),
                _ => None,
            };
            if let Op::Conv(conv) = &mut graph.nodes[part].op {
                bias.append(&mut conv.bias);
                let own = std::mem::take(&mut conv.edges);
                edges.extend(own.into_iter().map(|own| match &channels {
                    Some(channels) => renamed(own, channels),
                    None => own,
                }));
            }
            graph.nodes[part].op = Op::Removed;
            graph.nodes[part].inputs.clear();
        }
        graph.nodes[at].op = Op::Conv(Conv {
            edges,
            bias,
            window,
            then: None,
        });
        graph.nodes[at].inputs = vec![base];
    }
}

/// The feature maps that all of these convolutions read, whole or some channels of them, and their window.
fn common(graph: &Graph, parts: &[usize], readers: &[usize]) -> Option<(usize, Window)> {
    let mut found = None;
    for (i, &part) in parts.iter().enumerate() {
        let node = &graph.nodes[part];
        let (Op::Conv(conv), &[input]) = (&node.op, &node.inputs[..]) else {
            return None;
        };
        // Read once, by this concatenation.
        if conv.then.is_some() || node.relu || readers[part] != 1 || parts[..i].contains(&part) {
            return None;
        }
        let base = match &graph.nodes[input].op {
            Op::Select(_) => graph.nodes[input].inputs[0],
            _ => input,
        };
        if *found.get_or_insert((base, conv.window)) != (base, conv.window) {
            return None;
        }
    }
    found
}

/// Edges from other numbers of the same sources, ascending. Edges that become one add up.
fn renamed(mut edges: Vec<Edge>, channels: &[usize]) -> Vec<Edge> {
    for edge in &mut edges {
        edge.source = channels[edge.source];
    }
    edges.sort_by_key(|edge| (edge.source, edge.tap));
    edges.dedup_by(|next, before| {
        let same = (next.source, next.tap) == (before.source, before.tap);
        if same {
            before.weight += next.weight;
        }
        same
    });
    edges
}

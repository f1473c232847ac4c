//! Concatenations and selections need no step: their readers read the channels where they lie.

use crate::graph::{Graph, Op};

/// For each node that only names channels of others, those channels.
pub(super) struct Views {
    channels: Vec<Option<Vec<(usize, usize)>>>,
}

impl Views {
    pub(super) fn new(graph: &Graph) -> Self {
        let mut views = Self {
            channels: Vec::new(),
        };
        for node in &graph.nodes {
            let own = match &node.op {
                Op::Concat if !node.relu => {
                    let parts = node.inputs.iter();
                    Some(parts.flat_map(|&input| views.of(graph, input)).collect())
                }
                Op::Select(channels) if !node.relu => {
                    let all = views.of(graph, node.inputs[0]);
                    Some(channels.iter().map(|&channel| all[channel]).collect())
                }
                _ => None,
            };
            views.channels.push(own);
        }
        views
    }

    /// The node and channel where each channel of a node lies.
    pub(super) fn of(&self, graph: &Graph, node: usize) -> Vec<(usize, usize)> {
        match &self.channels[node] {
            Some(channels) => channels.clone(),
            None => (0..graph.nodes[node].shape[0])
                .map(|channel| (node, channel))
                .collect(),
        }
    }

    pub(super) fn is_view(&self, node: usize) -> bool {
        self.channels[node].is_some()
    }

    /// For each node the last node that reads its memory, which lies behind the end for the output.
    pub(super) fn last_reads(&self, graph: &Graph) -> Vec<Option<usize>> {
        let end = graph.nodes.len();
        let mut last = vec![None; end];
        let outputs = std::iter::once((end, graph.output));
        let readers = graph
            .nodes
            .iter()
            .enumerate()
            .filter(|(at, _)| !self.is_view(*at));
        let reads =
            readers.flat_map(|(at, node)| node.inputs.iter().map(move |&input| (at, input)));
        for (at, input) in reads.chain(outputs) {
            for (base, _) in self.of(graph, input) {
                last[base] = last[base].max(Some(at));
            }
        }
        last
    }
}

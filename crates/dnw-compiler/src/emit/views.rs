//! Concatenations and selections need no step: their readers read the channels where they lie.

use dnw_runtime::plan::{self, CopyPixels, Maps, Piece};

use super::Emitter;
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

impl Emitter<'_> {
    /// A node's channels as maps that follow each other, copied if they lie apart.
    pub(super) fn contiguous(&mut self, node: usize) -> Maps {
        let shape = self.graph.nodes[node].shape;
        let channels = self.views.of(self.graph, node);
        let places: Vec<Maps> = channels
            .iter()
            .map(|&(base, channel)| self.channel(base, channel))
            .collect();
        let usual = Maps::new(places[0].at, shape);
        let follow = places
            .iter()
            .enumerate()
            .all(|(i, place)| place.at == usual.at + i * usual.stride);
        // The last vector of several maps of one pixel must lie in the memory of their node.
        let inside = usual.at + usual.len() <= {
            let base = self.maps[channels[0].0].unwrap_or_default();
            base.at + base.len()
        };
        if follow && inside && channels.iter().all(|&(base, _)| base == channels[0].0) {
            return usual;
        }
        let to = self.take(shape);
        self.temporary.push(to);
        let pieces = places.iter().enumerate().map(|(i, place)| Piece {
            from: place.at as u32,
            stride: 1,
            to: (to.at + i * to.stride) as u32,
            len: to.pixels() as u32,
        });
        let copy = CopyPixels {
            to,
            pieces: pieces.collect(),
        };
        let layer = self.graph.nodes[node].layer.clone();
        self.push(&layer, "channels that lie apart", plan::Op::Copy(copy));
        to
    }

    /// Where one channel of a node with memory lies.
    pub(super) fn channel(&self, base: usize, channel: usize) -> Maps {
        let maps = self.maps[base].expect("a node that is read was computed before");
        let [_, height, width] = maps.shape;
        Maps {
            at: maps.at + channel * maps.stride,
            shape: [1, height, width],
            stride: maps.stride,
        }
    }
}

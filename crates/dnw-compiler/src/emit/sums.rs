//! Convolutions as weighted sums of rows.

use std::collections::BTreeMap;

use dnw_runtime::plan::{self, BLOCK, Kernels, Maps, Pad, Padded, Sums};

use super::emitter::{Emitter, floats};
use crate::cost::prefers_blocks;
use crate::graph::{Conv, Edge, Node, Then};

impl Emitter<'_> {
    pub(super) fn sums(&mut self, node: &Node, conv: &Conv) -> Maps {
        let channels = self.views.of(self.graph, node.inputs[0]);
        let residual = node.inputs.get(1).map(|&input| self.starts(input));
        let taps = conv.window.kernel[0] * conv.window.kernel[1];
        let [_, height, width] = self.graph.nodes[node.inputs[0]].shape;
        let used: Vec<bool> = {
            let mut used = vec![false; channels.len()];
            conv.edges
                .iter()
                .flatten()
                .for_each(|edge| used[edge.source] = true);
            used
        };
        let window = conv.window;
        let is_pointwise =
            taps == 1 && window.stride == [1, 1] && window.padding == [0, 0] && height * width > 1;
        let (map, relu) = match &conv.then {
            Some(then) => (then.map, then.relu),
            None => ([node.shape[1], node.shape[2]], node.relu),
        };
        // Where each source starts, and each tap relative to it.
        let (starts, tap, line) = if is_pointwise {
            let starts = self.starts(node.inputs[0]);
            let starts = starts.iter().map(|&start| start as usize);
            (starts.collect::<Vec<usize>>(), vec![0], map[1])
        } else {
            let layout = Padded::new(window, [height, width]).expect("a circuit's window fits");
            let starts = self.pad(&node.layer, &channels, &used, layout);
            let tap =
                (0..taps).map(|tap| layout.tap(tap / window.kernel[1], tap % window.kernel[1]));
            (starts, tap.collect(), layout.line)
        };
        // Rows that some edge reads, numbered by source and tap.
        let mut numbers: BTreeMap<usize, u32> = BTreeMap::new();
        for edge in conv.edges.iter().flatten() {
            numbers.insert(edge.source * taps + edge.tap, 0);
        }
        let mut rows = Vec::with_capacity(numbers.len());
        for (&key, number) in &mut numbers {
            *number = rows.len() as u32;
            rows.push((starts[key / taps] + tap[key % taps]) as u32);
        }
        let to = self.take(node.shape);
        let blocked = Blocked::new(conv, self.passes.blocks, |edge| {
            numbers[&(edge.source * taps + edge.tap)]
        });
        let entries = node.shape[0] * channels.len() * taps;
        let reason = blocked.reason(entries);
        let places = blocked.channels.len();
        let sums = Sums {
            block: blocked.block,
            rows,
            starts: blocked.starts,
            terms: blocked.terms,
            weights: blocked.weights,
            bias: blocked.bias,
            map,
            line,
            channels: blocked.channels,
            to,
            residual: residual.unwrap_or_default(),
            relu,
            then: conv
                .then
                .as_ref()
                .map(|then| kernels(then, node.relu, places)),
        };
        self.push(&node.layer, reason, plan::Op::Sums(sums));
        to
    }

    /// Copies the sources that are used to padded rows; returns where each source's rows start.
    fn pad(
        &mut self,
        layer: &str,
        channels: &[(usize, usize)],
        used: &[bool],
        layout: Padded,
    ) -> Vec<usize> {
        let numbers = layout.rows_per_channel() * layout.row;
        let mut starts = vec![0; channels.len()];
        let mut at = 0;
        while at < channels.len() {
            let (base, channel) = channels[at];
            // Channels that follow each other are copied by one step.
            let mut len = 1;
            while channels.get(at + len) == Some(&(base, channel + len))
                && used[at + len] == used[at]
            {
                len += 1;
            }
            if used[at] {
                let first = self.channel(base, channel);
                let shape = [len, first.shape[1], first.shape[2]];
                let from = Maps { shape, ..first };
                let rows = self.take_rows(len * numbers);
                for (i, start) in starts[at..at + len].iter_mut().enumerate() {
                    *start = rows + i * numbers;
                }
                let pad = Pad {
                    from,
                    to: rows,
                    layout,
                };
                self.push(
                    layer,
                    "a kernel of several taps reads padded rows",
                    plan::Op::Pad(pad),
                );
            }
            at += len;
        }
        starts
    }

    /// Memory for rows until the node is done.
    fn take_rows(&mut self, numbers: usize) -> usize {
        let at = self.memory.take(numbers);
        self.temporary.push(Maps {
            at,
            shape: [1, 1, numbers],
            stride: numbers,
        });
        at
    }
}

/// The depthwise convolution that follows, with zeros for targets of a last block that are none.
fn kernels(then: &Then, relu: bool, places: usize) -> Kernels {
    let taps = then.window.kernel[0] * then.window.kernel[1];
    let mut kernels = Kernels {
        window: then.window,
        weights: floats(&then.weights),
        bias: floats(&then.bias),
        relu,
    };
    kernels.weights.resize(places * taps, 0.0);
    kernels.bias.resize(places, 0.0);
    kernels
}

/// Edges in the order of the kernel.
struct Blocked {
    block: usize,
    starts: Vec<u32>,
    terms: Vec<u32>,
    weights: Vec<f32>,
    bias: Vec<f32>,
    channels: Vec<u32>,
    edges: usize,
    shared: usize,
}

impl Blocked {
    /// `number` is the row that an edge reads.
    fn new(conv: &Conv, blocks: bool, number: impl Fn(&Edge) -> u32) -> Self {
        let edges = conv.edges.iter().map(Vec::len).sum();
        // The rows of four targets, with the weight of each.
        let quads: Vec<BTreeMap<u32, [f32; BLOCK]>> = conv
            .edges
            .chunks(BLOCK)
            .map(|targets| {
                let mut rows = BTreeMap::new();
                for (i, edges) in targets.iter().enumerate() {
                    for edge in edges {
                        rows.entry(number(edge)).or_insert([0.0; BLOCK])[i] = edge.weight as f32;
                    }
                }
                rows
            })
            .collect();
        let shared = quads.iter().map(BTreeMap::len).sum();
        let block = if blocks && prefers_blocks(edges, shared) {
            BLOCK
        } else {
            1
        };
        let targets = conv.edges.len();
        let places = targets.next_multiple_of(block);
        let mut blocked = Self {
            block,
            starts: vec![0],
            terms: Vec::new(),
            weights: Vec::new(),
            bias: conv
                .bias
                .iter()
                .map(|&x| x as f32)
                .chain(std::iter::repeat(0.0))
                .take(places)
                .collect(),
            channels: (0..places)
                .map(|i| if i < targets { i as u32 } else { u32::MAX })
                .collect(),
            edges,
            shared,
        };
        if block == 1 {
            for edges in &conv.edges {
                blocked.terms.extend(edges.iter().map(&number));
                blocked
                    .weights
                    .extend(edges.iter().map(|edge| edge.weight as f32));
                blocked.starts.push(blocked.terms.len() as u32);
            }
        } else {
            for rows in &quads {
                blocked.terms.extend(rows.keys());
                blocked.weights.extend(rows.values().flatten());
                blocked.starts.push(blocked.terms.len() as u32);
            }
        }
        blocked
    }

    fn reason(&self, entries: usize) -> String {
        let Self { edges, shared, .. } = self;
        let percent = 100.0 * *edges as f64 / entries.max(1) as f64;
        let way = if self.block == 1 {
            "edge by edge"
        } else {
            "four targets at once"
        };
        format!(
            "{edges} of {entries} entries are real ({percent:.1} %); four targets at once would read {shared} rows: {way}"
        )
    }
}

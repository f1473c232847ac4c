//! Convolutions as weighted sums of rows.

use std::collections::BTreeMap;

use dnw_runtime::plan::{self, BLOCK, Kernels, Maps, Pad, Padded, Sums};

use super::emitter::{Emitter, floats};
use crate::cost::prefers_blocks;
use crate::graph::{Conv, Edge, Node, Then};
use crate::order::near_like;

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
        // Residuals and outputs are read and written fastest one after the other.
        let order = self.passes.order && residual.is_none();
        let blocked = Blocked::new(conv, self.passes.blocks, order, |edge| {
            numbers[&(edge.source * taps + edge.tap)]
        });
        let entries = node.shape[0] * channels.len() * taps;
        let reason = blocked.reason(entries);
        let then = conv.then.as_ref();
        let then = then.map(|then| kernels(then, node.relu, &blocked.channels));
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
            then,
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

/// The depthwise convolution that follows, with zeros where a block has no target.
fn kernels(then: &Then, relu: bool, channels: &[u32]) -> Kernels {
    let taps = then.window.kernel[0] * then.window.kernel[1];
    let mut kernels = Kernels {
        window: then.window,
        weights: vec![0.0; channels.len() * taps],
        bias: biases(&then.bias, channels),
        relu,
    };
    let weights = floats(&then.weights);
    for (own, &channel) in kernels.weights.chunks_mut(taps).zip(channels) {
        if channel != u32::MAX {
            own.copy_from_slice(&weights[channel as usize * taps..][..taps]);
        }
    }
    kernels
}

/// The bias of each of these channels; zero for what is none.
fn biases(bias: &[f64], channels: &[u32]) -> Vec<f32> {
    let of = |&channel: &u32| bias.get(channel as usize).map_or(0.0, |&bias| bias as f32);
    channels.iter().map(of).collect()
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
    /// `number` is the row that an edge reads. `order` says whether single targets that read the same rows are computed one after another.
    fn new(conv: &Conv, blocks: bool, order: bool, number: impl Fn(&Edge) -> u32) -> Self {
        let edges = conv.edges.iter().map(Vec::len).sum();
        let quads = in_fours(conv, &number);
        // The rows of four targets, with the weight of each.
        let rows: Vec<BTreeMap<u32, [f32; BLOCK]>> = quads
            .iter()
            .map(|targets| {
                let mut rows = BTreeMap::new();
                for (i, &target) in targets.iter().enumerate() {
                    for edge in conv.edges.get(target as usize).into_iter().flatten() {
                        rows.entry(number(edge)).or_insert([0.0; BLOCK])[i] = edge.weight as f32;
                    }
                }
                rows
            })
            .collect();
        let shared = rows.iter().map(BTreeMap::len).sum();
        let is_blocked = blocks && prefers_blocks(edges, shared);
        let channels = if is_blocked {
            quads.into_flattened()
        } else if order {
            let rows = |edges: &Vec<Edge>| edges.iter().map(&number).collect();
            near_like(&conv.edges.iter().map(rows).collect::<Vec<Vec<u32>>>())
        } else {
            (0..conv.edges.len() as u32).collect()
        };
        let mut blocked = Self {
            block: if is_blocked { BLOCK } else { 1 },
            starts: vec![0],
            terms: Vec::new(),
            weights: Vec::new(),
            bias: biases(&conv.bias, &channels),
            channels,
            edges,
            shared,
        };
        if is_blocked {
            for rows in &rows {
                blocked.terms.extend(rows.keys());
                blocked.weights.extend(rows.values().flatten());
                blocked.starts.push(blocked.terms.len() as u32);
            }
        } else {
            for &target in &blocked.channels {
                let edges = &conv.edges[target as usize];
                blocked.terms.extend(edges.iter().map(&number));
                blocked
                    .weights
                    .extend(edges.iter().map(|edge| edge.weight as f32));
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

/// All targets in blocks: those that read the same rows together, the others as they follow each other. What fills a block up is `u32::MAX`.
///
/// A wiring that was trained in blocks of four has lost some targets since, because nothing reads them. Where the next target lies is therefore
/// no guide to its block.
fn in_fours(conv: &Conv, number: impl Fn(&Edge) -> u32) -> Vec<[u32; BLOCK]> {
    let mut alike: BTreeMap<Vec<u32>, Vec<u32>> = BTreeMap::new();
    for (target, edges) in conv.edges.iter().enumerate() {
        let mut rows: Vec<u32> = edges.iter().map(&number).collect();
        rows.sort_unstable();
        alike.entry(rows).or_default().push(target as u32);
    }
    let mut others = Vec::new();
    let mut quads = Vec::new();
    for targets in alike.values() {
        let (own, left) = targets.split_at(match targets.len() % BLOCK {
            1 => targets.len() - 1,
            _ => targets.len(),
        });
        quads.extend(own.chunks(BLOCK).map(quad));
        others.extend_from_slice(left);
    }
    others.sort_unstable();
    quads.extend(others.chunks(BLOCK).map(quad));
    // As targets follow each other, so do their outputs in memory.
    quads.sort_unstable();
    quads
}

fn quad(targets: &[u32]) -> [u32; BLOCK] {
    std::array::from_fn(|i| targets.get(i).copied().unwrap_or(u32::MAX))
}

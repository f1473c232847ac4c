//! What has been emitted so far, and where each output lies.

use dnw_runtime::plan::{self, Constant, CopyPixels, Maps, Piece, Step};

use super::views::Views;
use crate::graph::Graph;
use crate::memory::Memory;
use crate::passes::Passes;

pub(super) struct Emitter<'a> {
    pub(super) graph: &'a Graph,
    pub(super) passes: Passes,
    pub(super) views: Views,
    /// How many nodes read each node; the output counts as one more.
    pub(super) readers: Vec<usize>,
    pub(super) memory: Memory,
    /// Where each node's output lies, if it has memory of its own.
    pub(super) maps: Vec<Option<Maps>>,
    pub(super) steps: Vec<Step>,
    pub(super) constants: Vec<Constant>,
    /// Memory that is given back after the current node.
    pub(super) temporary: Vec<Maps>,
}

impl<'a> Emitter<'a> {
    pub(super) fn new(graph: &'a Graph, passes: Passes) -> Self {
        Self {
            graph,
            passes,
            views: Views::new(graph),
            readers: graph.readers(),
            memory: Memory::new(passes.reuse_memory),
            maps: vec![None; graph.nodes.len()],
            steps: Vec::new(),
            constants: Vec::new(),
            temporary: Vec::new(),
        }
    }

    /// Memory for maps of this shape.
    pub(super) fn take(&mut self, shape: [usize; 3]) -> Maps {
        let maps = Maps::new(0, shape);
        Maps {
            at: self.memory.take(maps.len()),
            ..maps
        }
    }

    pub(super) fn push(&mut self, layer: &str, reason: impl Into<String>, op: plan::Op) {
        self.steps.push(Step {
            layer: layer.to_owned(),
            reason: reason.into(),
            op,
        });
    }

    pub(super) fn shape(&self, node: usize) -> [usize; 3] {
        self.graph.nodes[node].shape
    }

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

    /// The vector in which all channels of a node lie, and which each is of its numbers. Nothing if they are of several nodes, or larger than a
    /// pixel.
    pub(super) fn vector(&self, node: usize) -> Option<(Maps, Vec<usize>)> {
        let channels = self.views.of(self.graph, node);
        let base = channels.first()?.0;
        let maps = self.maps[base]?;
        let own = channels.iter().map(|&(of, at)| (of == base).then_some(at));
        let own: Option<Vec<usize>> = own.collect();
        Some((maps, own?)).filter(|(maps, _)| maps.pixels() == 1)
    }

    /// Where each channel of a node starts.
    pub(super) fn starts(&self, node: usize) -> Vec<u32> {
        let channels = self.views.of(self.graph, node);
        let starts = channels
            .iter()
            .map(|&(base, channel)| self.channel(base, channel).at as u32);
        starts.collect()
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

/// Rounds to 32 bits.
pub(super) fn floats(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&x| x as f32).collect()
}

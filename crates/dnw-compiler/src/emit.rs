//! From the graph to a plan: kernels, order and memory.

mod emitter;
mod moved;
mod sums;
mod views;

use dnw_runtime::plan::{
    self, ActivateMaps, AddMaps, Constant, CopyPixels, Depthwise, Input, Linear, Maps,
    MultiplyMaps, NormMaps, PixelNorm, Plan, PoolMaps, ResampleMaps, SoftmaxMaps, UnfoldMaps,
};

use crate::cost::prefers_dense_matrix;
use crate::graph::{Conv, Graph, Node, Op};
use crate::passes::Passes;
use emitter::{Emitter, floats};
use moved::moved;

pub(crate) fn emit(graph: &Graph, input: Input, passes: Passes) -> Plan {
    Emitter::new(graph, passes).emit(input)
}

impl Emitter<'_> {
    fn emit(mut self, input: Input) -> Plan {
        let last_reads = self.views.last_reads(self.graph);
        let read = |node: usize| last_reads[node].is_some();
        // Constants stay for good, so they come first.
        for (at, node) in self.graph.nodes.iter().enumerate() {
            if let Op::Constant(values) = &node.op
                && read(at)
            {
                let maps = self.take(node.shape);
                self.maps[at] = Some(maps);
                let values = values
                    .iter()
                    .map(|&x| (if node.relu { x.max(0.0) } else { x }) as f32);
                self.constants.push(Constant {
                    maps,
                    values: values.collect(),
                });
            }
        }
        let mut image = None;
        for (at, node) in self.graph.nodes.iter().enumerate() {
            match node.op {
                Op::Constant(_) | Op::Removed => {}
                Op::Input => {
                    let maps = self.take(node.shape);
                    image = Some(maps);
                    self.maps[at] = Some(maps);
                }
                _ if self.views.is_view(at) || !read(at) => {}
                _ => self.node(at, node),
            }
            for maps in std::mem::take(&mut self.temporary) {
                self.memory.give(maps.at, maps.len());
            }
            for (other, &last) in last_reads.iter().enumerate() {
                let is_constant = matches!(self.graph.nodes[other].op, Op::Constant(_));
                if let Some(maps) = self.maps[other].filter(|_| !is_constant && last == Some(at)) {
                    self.memory.give(maps.at, maps.len());
                }
            }
        }
        let output = self.contiguous(self.graph.output);
        Plan {
            input,
            image: image.unwrap_or_default(),
            output,
            arena: self.memory.len(),
            constants: self.constants,
            steps: self.steps,
        }
    }

    fn node(&mut self, at: usize, node: &Node) {
        // Inputs first: what has to be copied needs memory of its own.
        let to = match &node.op {
            Op::Conv(conv) if is_linear(conv, self.shape(node.inputs[0])) => {
                self.linear(node, conv)
            }
            Op::Conv(conv) => self.sums(node, conv),
            Op::Activation(_) | Op::Product => self.in_place(node),
            _ => self.other(node),
        };
        self.maps[at] = Some(to);
    }

    /// Functions of single pixels, which write over their input if nobody else reads it.
    fn in_place(&mut self, node: &Node) -> Maps {
        let input = node.inputs[0];
        let from = self.contiguous(input);
        let by = node.inputs.get(1).map(|&by| self.contiguous(by));
        // A node with memory of its own that is no constant.
        let own = self.maps[input].filter(|maps| *maps == from && self.readers[input] == 1);
        let to = match (&self.graph.nodes[input].op, own) {
            (Op::Constant(_), _) | (_, None) => self.take(node.shape),
            (_, Some(maps)) => {
                self.maps[input] = None;
                maps
            }
        };
        let (reason, op) = match (&node.op, by) {
            (&Op::Activation(activation), _) => (
                "a function of each pixel",
                plan::Op::Activation(ActivateMaps {
                    from,
                    to,
                    activation,
                }),
            ),
            (_, by) => (
                "factors that depend on the image",
                plan::Op::Product(MultiplyMaps {
                    from,
                    by: by.unwrap_or_default(),
                    to,
                }),
            ),
        };
        self.push(&node.layer, reason, op);
        to
    }

    fn other(&mut self, node: &Node) -> Maps {
        let inputs: Vec<Maps> = node
            .inputs
            .iter()
            .map(|&input| self.contiguous(input))
            .collect();
        let to = self.take(node.shape);
        let from = inputs[0];
        let (reason, op) = match &node.op {
            Op::Depthwise {
                weights,
                bias,
                window,
            } => (
                "one kernel per channel",
                plan::Op::Depthwise(Depthwise {
                    from,
                    to,
                    window: *window,
                    weights: floats(weights),
                    bias: floats(bias),
                    relu: node.relu,
                }),
            ),
            Op::Norm {
                scale,
                shift,
                epsilon,
            } => (
                match epsilon {
                    Some(_) => "the statistics depend on the image",
                    None => "the layer before has other readers or is no convolution",
                },
                plan::Op::Norm(NormMaps {
                    from,
                    to,
                    epsilon: epsilon.map(|epsilon| epsilon as f32),
                    scale: floats(scale),
                    shift: floats(shift),
                    relu: node.relu,
                }),
            ),
            Op::Sum(coefficients) => (
                "no convolution to fuse it with",
                plan::Op::Add(AddMaps {
                    from: coefficients
                        .iter()
                        .map(|&a| a as f32)
                        .zip(inputs.iter().copied())
                        .collect(),
                    to,
                    relu: node.relu,
                }),
            ),
            &Op::Pool { pool, window } => (
                "",
                plan::Op::Pool(PoolMaps {
                    from,
                    to,
                    pool,
                    window,
                }),
            ),
            Op::Softmax => ("", plan::Op::Softmax(SoftmaxMaps { from, to })),
            Op::PixelNorm {
                scale,
                shift,
                epsilon,
            } => (
                "the statistics depend on the image",
                plan::Op::PixelNorm(PixelNorm {
                    from,
                    to,
                    epsilon: *epsilon as f32,
                    scale: floats(scale),
                    shift: floats(shift),
                }),
            ),
            Op::Resample { rows, columns } => (
                "",
                plan::Op::Resample(ResampleMaps {
                    from,
                    to,
                    rows: rows.clone(),
                    columns: columns.clone(),
                }),
            ),
            &Op::Unfold(side) => ("", plan::Op::Unfold(UnfoldMaps { from, to, side })),
            _ => (
                "pixels move",
                plan::Op::Copy(CopyPixels {
                    to,
                    pieces: moved(node, from, to),
                }),
            ),
        };
        self.push(&node.layer, reason, op);
        to
    }

    fn linear(&mut self, node: &Node, conv: &Conv) -> Maps {
        let edges = conv.edges.iter().map(Vec::len).sum::<usize>();
        let entries = self.shape(node.inputs[0])[0] * node.shape[0];
        let is_dense = prefers_dense_matrix(edges, entries);
        let (from, channels) = match self.vector(node.inputs[0]) {
            Some(vector) if !is_dense => vector,
            _ => {
                let from = self.contiguous(node.inputs[0]);
                (from, (0..from.shape[0]).collect())
            }
        };
        let residual = node.inputs.get(1).map(|&input| self.contiguous(input));
        let mut weights = Vec::new();
        let (mut starts, mut sources) = (vec![0], Vec::new());
        for row in &conv.edges {
            if is_dense {
                let first = weights.len();
                weights.resize(first + from.shape[0], 0.0f32);
                for edge in row {
                    weights[first + edge.source] = edge.weight as f32;
                }
            } else {
                weights.extend(row.iter().map(|edge| edge.weight as f32));
                sources.extend(row.iter().map(|edge| channels[edge.source] as u32));
                starts.push(sources.len() as u32);
            }
        }
        let to = self.take(node.shape);
        let linear = Linear {
            from,
            to,
            edges: (!is_dense).then_some(plan::Edges { starts, sources }),
            weights,
            bias: floats(&conv.bias),
            relu: node.relu && residual.is_none(),
        };
        let reason =
            format!("{edges} of {entries} entries are real; an edge costs as much as 4 entries");
        self.push(&node.layer, reason, plan::Op::Linear(linear));
        let Some(residual) = residual else { return to };
        self.temporary.push(to);
        let sum = self.take(node.shape);
        let add = AddMaps {
            from: vec![(1.0, to), (1.0, residual)],
            to: sum,
            relu: node.relu,
        };
        self.push(
            &node.layer,
            "a sum after a linear layer",
            plan::Op::Add(add),
        );
        sum
    }
}

/// Whether a convolution is a product with one vector.
fn is_linear(conv: &Conv, [_, height, width]: [usize; 3]) -> bool {
    [height, width] == [1, 1] && conv.window.kernel == [1, 1] && conv.window.padding == [0, 0]
}

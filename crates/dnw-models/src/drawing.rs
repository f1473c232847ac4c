//! The layout of a network as nodes and edges, for pictures.

use std::ops::Range;

use dnw_core::WiredTensor;
use dnw_core::graph::{GraphSpec, Liveness, liveness_along_edges};

/// The nodes in columns, and the nodes of the rows and columns of wired tensors.
#[derive(Clone, Debug, PartialEq)]
pub struct Drawing {
    /// The nodes.
    pub nodes: Vec<DrawnNode>,
    /// The input nodes.
    pub inputs: Range<usize>,
    /// The output nodes.
    pub outputs: Range<usize>,
    /// The wired tensors between them.
    pub tensors: Vec<DrawnTensor>,
}

/// A node of a drawing.
#[derive(Clone, Debug, PartialEq)]
pub struct DrawnNode {
    /// Its column in the drawing, from 0.
    pub level: usize,
    /// Its kernel, row-major; empty if it has none.
    pub kernel: Vec<f32>,
}

/// A wired tensor of a drawing.
#[derive(Clone, Debug, PartialEq)]
pub struct DrawnTensor {
    /// Its path in the model.
    pub name: String,
    /// The node of each target.
    pub targets: Range<usize>,
    /// The node of each source.
    pub sources: Range<usize>,
}

impl Drawing {
    /// The dead nodes with these wirings: those without a path of active edges from an input, or without one to an output.
    pub fn dead_nodes(&self, wired: &[WiredTensor]) -> usize {
        let edges: Vec<(usize, usize)> = self
            .tensors
            .iter()
            .filter_map(|drawn| {
                Some((
                    drawn,
                    wired.iter().find(|tensor| tensor.name == drawn.name)?,
                ))
            })
            .flat_map(|(drawn, tensor)| {
                let active: Vec<usize> = tensor.active().iter().collect();
                active.into_iter().map(|entry| {
                    let (target, source, _) = tensor.shape.edge(entry);
                    (drawn.sources.start + source, drawn.targets.start + target)
                })
            })
            .collect();
        let lives = liveness_along_edges(
            self.nodes.len(),
            self.inputs.clone(),
            self.outputs.clone(),
            &edges,
        );
        lives
            .iter()
            .filter(|life| **life != Liveness::Alive)
            .count()
    }

    /// The drawing of a static graph whose weight has the path `name`, with kernels of `area` values per node with a node function.
    pub(crate) fn of_graph(spec: &GraphSpec, name: &str, kernels: &[f32], area: usize) -> Self {
        let kernel = |node: usize| {
            kernels
                .get(area * node..area * (node + 1))
                .unwrap_or(&[])
                .to_vec()
        };
        Self {
            nodes: (0..spec.nodes())
                .map(|node| DrawnNode {
                    level: spec.level_of(node),
                    kernel: kernel(node),
                })
                .collect(),
            inputs: 0..spec.inputs(),
            outputs: spec.output_nodes(),
            tensors: vec![DrawnTensor {
                name: name.to_owned(),
                targets: spec.first_target()..spec.nodes(),
                sources: 0..spec.sources(),
            }],
        }
    }

    /// The drawing of a graph without levels: inputs, then the other nodes in columns of limited length, in no particular order, then
    /// outputs.
    pub(crate) fn of_cyclic_graph(
        nodes: usize,
        inputs: usize,
        outputs: usize,
        name: &str,
        kernels: &[f32],
        area: usize,
    ) -> Self {
        let (inner, column) = (nodes - inputs - outputs, inputs.max(outputs));
        let columns = inner.div_ceil(column);
        let level = |node: usize| match node.checked_sub(inputs) {
            None => 0,
            Some(place) if place < inner => 1 + place * columns / inner,
            Some(_) => 1 + columns,
        };
        Self {
            nodes: (0..nodes)
                .map(|node| DrawnNode {
                    level: level(node),
                    kernel: kernels[area * node..area * (node + 1)].to_vec(),
                })
                .collect(),
            inputs: 0..inputs,
            outputs: nodes - outputs..nodes,
            tensors: vec![DrawnTensor {
                name: name.to_owned(),
                targets: 0..nodes,
                sources: 0..nodes,
            }],
        }
    }

    /// The drawing of consecutive layers: `sizes` nodes per level, one tensor between neighbouring levels.
    pub(crate) fn of_layers(sizes: &[usize], names: &[&str]) -> Self {
        let starts: Vec<usize> = sizes
            .iter()
            .scan(0, |end, size| {
                *end += size;
                Some(*end - size)
            })
            .collect();
        let range = |level: usize| starts[level]..starts[level] + sizes[level];
        Self {
            nodes: (0..sizes.len())
                .flat_map(|level| {
                    range(level).map(move |_| DrawnNode {
                        level,
                        kernel: Vec::new(),
                    })
                })
                .collect(),
            inputs: range(0),
            outputs: range(sizes.len() - 1),
            tensors: names
                .iter()
                .enumerate()
                .map(|(i, name)| DrawnTensor {
                    name: (*name).to_owned(),
                    targets: range(i + 1),
                    sources: range(i),
                })
                .collect(),
        }
    }
}

//! How a network is drawn as nodes and edges.

use std::ops::Range;

use dnw_core::graph::GraphSpec;

/// Nodes in columns, and which node each row and column of a wired tensor is.
#[derive(Clone, Debug, PartialEq)]
pub struct Drawing {
    /// The nodes.
    pub nodes: Vec<DrawnNode>,
    /// The wired tensors between them.
    pub tensors: Vec<DrawnTensor>,
}

/// A node of a drawing.
#[derive(Clone, Debug, PartialEq)]
pub struct DrawnNode {
    /// Its column, from 0.
    pub level: usize,
    /// Its own kernel, row-major; empty when it has none.
    pub kernel: Vec<f32>,
}

/// A wired tensor of a drawing.
#[derive(Clone, Debug, PartialEq)]
pub struct DrawnTensor {
    /// Its path in the model.
    pub name: String,
    /// The node that each target is.
    pub targets: Range<usize>,
    /// The node that each source is.
    pub sources: Range<usize>,
}

impl Drawing {
    /// The drawing of a static graph whose weight lies at `name`, with the firing nodes' kernels of `area` numbers each.
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
            tensors: vec![DrawnTensor {
                name: name.to_owned(),
                targets: spec.first_target()..spec.nodes(),
                sources: 0..spec.sources(),
            }],
        }
    }

    /// The drawing of layers that follow each other: `sizes` nodes per level, one tensor between neighbours.
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

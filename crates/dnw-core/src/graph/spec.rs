//! The nodes and the possible edges of a static graph.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::error::GraphError;
use super::order::{levels_by_longest_path, reached_from_inputs};
use crate::Wiring;

/// Which nodes are the outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outputs {
    /// A level of their own after the last: this many nodes, which gather and have no node function.
    OwnLevel(usize),
    /// The last nodes of the last level, as in the published tiny classifier. They run with their level; the
    /// result is their input plus what they gather from their own level.
    InLastLevel(usize),
}

/// A graph of levels: its nodes and its possible edges. A value of this type is always valid.
///
/// Nodes are numbered level by level from 0. The first level is the input. The weight of the edges is a
/// matrix of targets by sources, see [`targets`](Self::targets) and [`sources`](Self::sources).
///
/// ```
/// use dnw_core::graph::{GraphSpec, Outputs};
///
/// let spec = GraphSpec::levels(vec![16, 20, 20], Outputs::OwnLevel(10))?;
/// assert_eq!(spec.legal().count(), 16 * 20 + 36 * 20 + 56 * 10);
/// # Ok::<(), dnw_core::graph::GraphError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GraphSpec {
    /// Nodes of each level with a node function.
    levels: Vec<usize>,
    outputs: Outputs,
    /// The legal edges, one bit per entry of the weight.
    legal: Wiring,
}

impl GraphSpec {
    /// Levels with these numbers of nodes, and edges from each level to every later one.
    ///
    /// # Errors
    /// [`GraphError`] if there are no inputs or outputs, a level is empty, or the outputs do not fit.
    pub fn levels(levels: Vec<usize>, outputs: Outputs) -> Result<Self, GraphError> {
        if levels.first().is_none_or(|&inputs| inputs == 0) {
            return Err(GraphError::NoInputs);
        }
        if let Some(level) = levels.iter().position(|&nodes| nodes == 0) {
            return Err(GraphError::EmptyLevel { level });
        }
        let last = levels.last().copied().unwrap_or(0);
        match outputs {
            Outputs::OwnLevel(0) | Outputs::InLastLevel(0) => return Err(GraphError::NoOutputs),
            Outputs::InLastLevel(n) if n > last => {
                return Err(GraphError::OutputsDoNotFit {
                    outputs: n,
                    nodes: last,
                });
            }
            _ => {}
        }
        let mut spec = Self {
            levels,
            outputs,
            legal: Wiring::empty(0),
        };
        spec.legal = spec.forward_edges();
        Ok(spec)
    }

    /// Any graph without cycles, from its edges `(source, target)`.
    ///
    /// The first `inputs` of the `nodes` are inputs, the last `outputs` are outputs. Each node is placed in
    /// the level after its latest source. The returned list maps each node to its number in the
    /// specification.
    ///
    /// # Errors
    /// [`GraphError`] if an edge leaves the graph, enters an input, leaves an output or closes a cycle; if an
    /// output cannot be reached; if there are no inputs or outputs.
    pub fn from_edges(
        nodes: usize,
        inputs: usize,
        outputs: usize,
        edges: &[(usize, usize)],
    ) -> Result<(Self, Vec<usize>), GraphError> {
        if inputs == 0 {
            return Err(GraphError::NoInputs);
        }
        if outputs == 0 {
            return Err(GraphError::NoOutputs);
        }
        if inputs + outputs > nodes {
            return Err(GraphError::OutputsDoNotFit {
                outputs,
                nodes: nodes - inputs.min(nodes),
            });
        }
        for &(source_node, target_node) in edges {
            if source_node >= nodes || target_node >= nodes {
                return Err(GraphError::NoSuchNode {
                    source_node,
                    target_node,
                    nodes,
                });
            }
            if target_node < inputs || source_node >= nodes - outputs {
                return Err(GraphError::WrongWay {
                    source_node,
                    target_node,
                });
            }
        }
        let level_of = levels_by_longest_path(nodes, inputs, edges)?;
        let reached = reached_from_inputs(nodes, inputs, edges, &level_of);
        if let Some(node) = (nodes - outputs..nodes).find(|&node| !reached[node]) {
            return Err(GraphError::Unreachable { node });
        }
        let function_nodes = nodes - outputs;
        let mut order: Vec<usize> = (0..function_nodes).collect();
        order.sort_by_key(|&node| level_of[node]);
        let mut number: Vec<usize> = (0..nodes).collect();
        for (place, &node) in order.iter().enumerate() {
            number[node] = place;
        }
        let deepest = order.iter().map(|&node| level_of[node]).max().unwrap_or(0);
        let levels = (0..=deepest)
            .map(|level| {
                order
                    .iter()
                    .filter(|&&node| level_of[node] == level)
                    .count()
            })
            .collect();
        let mut spec = Self::levels(levels, Outputs::OwnLevel(outputs))?;
        let entries = edges
            .iter()
            .map(|&(source, target)| (number[target] - inputs) * spec.sources() + number[source]);
        spec.legal = Wiring::from_entries(spec.legal.entries(), entries);
        Ok((spec, number))
    }

    /// Nodes of each level with a node function; the first is the input.
    pub fn function_levels(&self) -> &[usize] {
        &self.levels
    }

    /// Which nodes are the outputs.
    pub fn outputs(&self) -> Outputs {
        self.outputs
    }

    /// The number of input nodes.
    pub fn inputs(&self) -> usize {
        self.levels[0]
    }

    /// The number of nodes with a node function.
    pub fn function_nodes(&self) -> usize {
        self.levels.iter().sum()
    }

    /// The number of nodes.
    pub fn nodes(&self) -> usize {
        match self.outputs {
            Outputs::OwnLevel(n) => self.function_nodes() + n,
            Outputs::InLastLevel(_) => self.function_nodes(),
        }
    }

    /// The output nodes.
    pub fn output_nodes(&self) -> Range<usize> {
        match self.outputs {
            Outputs::OwnLevel(n) | Outputs::InLastLevel(n) => self.nodes() - n..self.nodes(),
        }
    }

    /// The nodes of a level with a node function.
    pub fn level(&self, level: usize) -> Range<usize> {
        let start = self.levels[..level].iter().sum();
        start..start + self.levels[level]
    }

    /// The level of a node; outputs in a level of their own are in the one after the last.
    pub fn level_of(&self, node: usize) -> usize {
        let mut end = 0;
        self.levels
            .iter()
            .position(|nodes| {
                end += nodes;
                node < end
            })
            .unwrap_or(self.levels.len())
    }

    /// Rows of the weight. With outputs in their own level, row 0 is the first node after the inputs, which
    /// have no incoming edges. In the published layout there is a row for every node.
    pub fn targets(&self) -> usize {
        self.nodes() - self.first_target()
    }

    /// Columns of the weight: the nodes with a node function.
    pub fn sources(&self) -> usize {
        self.function_nodes()
    }

    /// The node of row 0.
    pub fn first_target(&self) -> usize {
        match self.outputs {
            Outputs::OwnLevel(_) => self.inputs(),
            Outputs::InLastLevel(_) => 0,
        }
    }

    /// The legal edges, one bit per entry of the weight `[targets, sources]`.
    pub fn legal(&self) -> &Wiring {
        &self.legal
    }

    /// Every edge from a level to a later one, and from the last level to the outputs inside it. Which sources a target has
    /// depends on its level alone.
    fn forward_edges(&self) -> Wiring {
        let last = self.level(self.levels.len() - 1);
        let sources = 0..self.sources();
        let rows = (self.first_target()..self.nodes()).map(|target| {
            let level = self.level_of(target);
            let before = self.levels[..level].iter().sum::<usize>();
            let feeds_again = matches!(self.outputs, Outputs::InLastLevel(_))
                && self.output_nodes().contains(&target);
            (before, if feeds_again { last.clone() } else { 0..0 })
        });
        Wiring::from_mask(rows.flat_map(|(before, again)| {
            let sources = sources.clone();
            sources.map(move |source| source < before || again.contains(&source))
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_published_tiny_graph_has_58_6_percent_impossible_entries() {
        let spec =
            GraphSpec::levels(vec![32, 192, 192, 192, 192], Outputs::InLastLevel(100)).unwrap();
        assert_eq!((spec.targets(), spec.sources()), (800, 800));
        let impossible = 1.0 - spec.legal().count() as f64 / 640_000.0;
        assert!((impossible - 0.586).abs() < 5e-4, "{impossible}");
    }

    proptest! {
        /// Nodes are numbered by level, so a second conversion changes nothing.
        #[test]
        fn a_specification_is_its_edges(
            inputs in 1usize..5, hidden in 1usize..8, outputs in 1usize..4, drawn in proptest::collection::vec(any::<bool>(), 200),
        ) {
            let nodes = inputs + hidden + outputs;
            let pairs = (0..nodes).flat_map(|target| (0..target).map(move |source| (source, target)));
            let allowed = pairs.filter(|&(source, target)| target >= inputs && source < nodes - outputs);
            let mut edges: Vec<(usize, usize)> =
                allowed.zip(drawn).filter(|(_, drawn)| *drawn).map(|(edge, _)| edge).collect();
            // Every output has an edge from the first input.
            edges.extend((nodes - outputs..nodes).map(|output| (0, output)));
            let (first, numbers) = GraphSpec::from_edges(nodes, inputs, outputs, &edges).unwrap();
            let of = |spec: &GraphSpec| -> Vec<(usize, usize)> {
                let legal = spec.legal().iter_by_target(spec.sources());
                legal.map(|(target, source)| (source, target + spec.first_target())).collect()
            };
            let mut renumbered: Vec<(usize, usize)> = edges.iter().map(|&(s, t)| (numbers[s], numbers[t])).collect();
            let mut kept = of(&first);
            renumbered.sort_unstable();
            renumbered.dedup();
            kept.sort_unstable();
            prop_assert_eq!(renumbered, kept);
            let (second, numbers) = GraphSpec::from_edges(nodes, inputs, outputs, &of(&first)).unwrap();
            prop_assert_eq!(&second, &first);
            prop_assert!(numbers.iter().enumerate().all(|(node, number)| node == *number));
        }
    }

    #[test]
    fn levels_follow_from_edges() {
        // 0 and 1 are inputs, 4 is the output; 3 waits for 2.
        let edges = [(0, 3), (1, 2), (2, 3), (3, 4), (0, 4)];
        let (spec, number) = GraphSpec::from_edges(5, 2, 1, &edges).unwrap();
        assert_eq!(spec.function_levels(), [2, 1, 1]);
        assert_eq!(number, [0, 1, 2, 3, 4]);
        assert_eq!(spec.legal().count(), 5);
    }

    #[test]
    fn a_graph_that_cannot_run_is_refused_with_its_reason() {
        let refused = |nodes, inputs, outputs, edges: &[(usize, usize)]| {
            GraphSpec::from_edges(nodes, inputs, outputs, edges).unwrap_err()
        };
        assert_eq!(refused(3, 0, 1, &[]), GraphError::NoInputs);
        assert_eq!(refused(3, 1, 0, &[]), GraphError::NoOutputs);
        assert_eq!(
            refused(3, 1, 1, &[(0, 1)]),
            GraphError::Unreachable { node: 2 }
        );
        let cycle = refused(5, 1, 1, &[(0, 1), (1, 2), (2, 3), (3, 2), (3, 4)]);
        assert!(
            matches!(cycle, GraphError::Cycle { node: 2 | 3 }),
            "{cycle}"
        );
        assert!(matches!(
            refused(3, 1, 1, &[(0, 9)]),
            GraphError::NoSuchNode { target_node: 9, .. }
        ));
        assert!(matches!(
            refused(3, 1, 1, &[(2, 1)]),
            GraphError::WrongWay { .. }
        ));
        assert!(matches!(
            refused(3, 1, 1, &[(1, 0)]),
            GraphError::WrongWay { .. }
        ));
        assert_eq!(
            GraphSpec::levels(vec![], Outputs::OwnLevel(1)),
            Err(GraphError::NoInputs)
        );
        assert_eq!(
            GraphSpec::levels(vec![3, 0], Outputs::OwnLevel(1)),
            Err(GraphError::EmptyLevel { level: 1 })
        );
        assert_eq!(
            GraphSpec::levels(vec![3, 4], Outputs::InLastLevel(5)),
            Err(GraphError::OutputsDoNotFit {
                outputs: 5,
                nodes: 4
            })
        );
    }
}

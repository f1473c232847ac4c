//! Which nodes affect the output, and which are dead.

use std::ops::Range;

use super::GraphSpec;
use crate::Wiring;

/// Whether a node affects the output, and if not, why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Liveness {
    /// It lies on a path from an input to an output.
    Alive,
    /// No path of real edges leads from an input to it: its output is constant.
    NoInput,
    /// No path of real edges leads from it to an output: its output is never used.
    NoOutput,
}

/// The liveness of every node of a graph with this wiring.
///
/// Output nodes are alive if an input reaches them, input nodes if they reach an output.
///
/// # Panics
/// If the wiring is of another tensor.
pub fn node_liveness(spec: &GraphSpec, wiring: &Wiring) -> Vec<Liveness> {
    let real = wiring.intersection(spec.legal());
    let edges: Vec<(usize, usize)> = real
        .iter_by_target(spec.sources())
        .map(|(target, source)| (source, target + spec.first_target()))
        .collect();
    liveness_along_edges(spec.nodes(), 0..spec.inputs(), spec.output_nodes(), &edges)
}

/// The liveness of `nodes` nodes joined by `edges` (source, target).
///
/// # Panics
/// If an edge, an input or an output is outside the graph.
pub fn liveness_along_edges(
    nodes: usize,
    inputs: Range<usize>,
    outputs: Range<usize>,
    edges: &[(usize, usize)],
) -> Vec<Liveness> {
    let from_input = reached(nodes, inputs, edges.iter().copied());
    let to_output = reached(
        nodes,
        outputs,
        edges.iter().map(|&(source, target)| (target, source)),
    );
    from_input
        .into_iter()
        .zip(to_output)
        .map(|reached| match reached {
            (true, true) => Liveness::Alive,
            (false, _) => Liveness::NoInput,
            (true, false) => Liveness::NoOutput,
        })
        .collect()
}

/// Which nodes can be reached from the nodes `from` along directed edges.
fn reached(
    nodes: usize,
    from: Range<usize>,
    edges: impl Iterator<Item = (usize, usize)>,
) -> Vec<bool> {
    let mut next = vec![Vec::new(); nodes];
    for (source, target) in edges {
        next[source].push(target);
    }
    let mut reached = vec![false; nodes];
    let mut waiting: Vec<usize> = from.collect();
    while let Some(node) = waiting.pop() {
        if !std::mem::replace(&mut reached[node], true) {
            waiting.extend(&next[node]);
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Outputs;

    #[test]
    fn a_node_is_alive_only_on_a_path_from_an_input_to_an_output() {
        let spec = GraphSpec::levels(vec![2, 3], Outputs::OwnLevel(1)).unwrap();
        // Nodes 0, 1 | 2, 3, 4 | 5. Real: 0 -> 2 -> 5, 1 -> 3, 4 -> 5.
        let entry = |target: usize, source: usize| (target - 2) * spec.sources() + source;
        let real = [entry(2, 0), entry(5, 2), entry(3, 1), entry(5, 4)];
        let wiring = Wiring::from_entries(spec.legal().entries(), real);
        use Liveness::*;
        assert_eq!(
            node_liveness(&spec, &wiring),
            [Alive, NoOutput, Alive, NoOutput, NoInput, Alive]
        );
    }
}

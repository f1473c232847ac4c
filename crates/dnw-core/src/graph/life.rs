//! Which nodes do anything.

use super::GraphSpec;
use crate::Wiring;

/// Whether a node does anything, and if not, why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It lies on a path from an input to an output.
    Alive,
    /// No path of real edges leads from an input to it: what it gives is a constant.
    NothingComesIn,
    /// No path of real edges leads from it to an output: nobody asks what it gives.
    NothingGoesOut,
}

/// The life of every node of a graph with this wiring.
///
/// Output nodes are alive when something comes in, input nodes when something goes out.
///
/// # Panics
/// If the wiring is of another tensor.
pub fn life_of_nodes(spec: &GraphSpec, wiring: &Wiring) -> Vec<Life> {
    let nodes = spec.nodes();
    let real = wiring.intersection(spec.legal());
    let edges: Vec<(usize, usize)> = real
        .iter_by_target(spec.sources())
        .map(|(target, source)| (target + spec.first_target(), source))
        .collect();
    let mut from_input: Vec<bool> = (0..nodes).map(|node| node < spec.inputs()).collect();
    let mut to_output: Vec<bool> = (0..nodes)
        .map(|node| spec.output_nodes().contains(&node))
        .collect();
    // Rows ascend with the level of the target, so one pass each way settles every path. Outputs inside the last level
    // also hear from their own level, which has settled after the first pass.
    for pass in 0..2 {
        for &(target, source) in &edges {
            if pass == 1 || spec.level_of(source) < spec.level_of(target) {
                from_input[target] |= from_input[source];
            }
        }
    }
    for &(target, source) in edges.iter().rev() {
        to_output[source] |= to_output[target];
    }
    (0..nodes)
        .map(|node| match (from_input[node], to_output[node]) {
            (true, true) => Life::Alive,
            (false, _) => Life::NothingComesIn,
            (true, false) => Life::NothingGoesOut,
        })
        .collect()
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
        use Life::*;
        assert_eq!(
            life_of_nodes(&spec, &wiring),
            [
                Alive,
                NothingGoesOut,
                Alive,
                NothingGoesOut,
                NothingComesIn,
                Alive
            ]
        );
    }
}

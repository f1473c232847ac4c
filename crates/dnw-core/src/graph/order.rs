//! The order of the nodes of a graph that is given by its edges.

use super::error::GraphError;

/// The number of edges on the longest path into each node, found by removing nodes without incoming edges one
/// by one. Nodes without incoming edges that are no inputs are in the first level after the inputs.
pub(super) fn levels_by_longest_path(
    nodes: usize,
    inputs: usize,
    edges: &[(usize, usize)],
) -> Result<Vec<usize>, GraphError> {
    let mut waiting = vec![0usize; nodes];
    let mut out = vec![Vec::new(); nodes];
    for &(source, target) in edges {
        waiting[target] += 1;
        out[source].push(target);
    }
    let mut level: Vec<usize> = (0..nodes).map(|node| usize::from(node >= inputs)).collect();
    let mut ready: Vec<usize> = (0..nodes).filter(|&node| waiting[node] == 0).collect();
    let mut done = 0;
    while let Some(node) = ready.pop() {
        done += 1;
        for &target in &out[node] {
            level[target] = level[target].max(level[node] + 1);
            waiting[target] -= 1;
            if waiting[target] == 0 {
                ready.push(target);
            }
        }
    }
    match waiting.iter().position(|&waiting| waiting > 0) {
        Some(node) if done < nodes => Err(GraphError::Cycle {
            node: on_a_cycle(node, &waiting, edges),
        }),
        _ => Ok(level),
    }
}

/// Follows edges backwards from a node that could not be removed until one repeats, which is on a cycle.
fn on_a_cycle(mut node: usize, waiting: &[usize], edges: &[(usize, usize)]) -> usize {
    for _ in 0..waiting.len() {
        let before = edges
            .iter()
            .find(|&&(source, target)| target == node && waiting[source] > 0);
        node = before.map_or(node, |&(source, _)| source);
    }
    node
}

/// Which nodes an input reaches. `level_of`: the level of each node.
pub(super) fn reached_from_inputs(
    nodes: usize,
    inputs: usize,
    edges: &[(usize, usize)],
    level_of: &[usize],
) -> Vec<bool> {
    let mut reached: Vec<bool> = (0..nodes).map(|node| node < inputs).collect();
    let mut edges = edges.to_vec();
    edges.sort_by_key(|&(source, _)| level_of[source]);
    for (source, target) in edges {
        reached[target] |= reached[source];
    }
    reached
}

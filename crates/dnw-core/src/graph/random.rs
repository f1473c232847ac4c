//! Random graphs by the classic models, as acyclic edges (Xie, Kirillov, Girshick and He 2019, *Exploring
//! randomly wired neural networks for image recognition*, section 3.3).
//!
//! Each function draws an undirected graph and directs its edges from the lower node to the higher.
//! [`around`] adds inputs and outputs. The edges are either a fixed wiring or the candidates of a discovered
//! one.
//!
//! A recipe must always mean the same graph. No crate with all three models was found, and those with some
//! use generators whose output may change between versions.

use super::{GraphError, GraphSpec};
use crate::score::split_mix;

/// An edge from a node to a later one.
pub type Edge = (usize, usize);

/// Draws every edge with this probability, node by node (Erdős and Rényi 1959).
///
/// # Errors
/// [`GraphError::Random`] if the probability is not between 0 and 1.
pub fn erdos_renyi(nodes: usize, probability: f64, seed: u64) -> Result<Vec<Edge>, GraphError> {
    check_share("the probability of an edge", probability)?;
    let mut generator = Generator::new(seed);
    let pairs = (0..nodes).flat_map(|low| (low + 1..nodes).map(move |high| (low, high)));
    Ok(pairs.filter(|_| generator.share() < probability).collect())
}

/// Adds nodes one by one, each with `edges` edges to earlier nodes, drawn in proportion to their degree
/// (Albert and Barabási 2002). The first `edges` nodes start without edges.
///
/// # Errors
/// [`GraphError::Random`] if `edges` is zero, or not smaller than `nodes`.
pub fn barabasi_albert(nodes: usize, edges: usize, seed: u64) -> Result<Vec<Edge>, GraphError> {
    if edges == 0 || edges >= nodes {
        let what = "the number of edges per node";
        let expected = format!("at least 1 and fewer than the {nodes} nodes");
        return Err(GraphError::Random { what, expected });
    }
    let mut generator = Generator::new(seed);
    let mut drawn: Vec<Edge> = (0..edges).map(|earlier| (earlier, edges)).collect();
    // Every node once per edge.
    let mut ends: Vec<usize> = drawn.iter().flat_map(|&(low, high)| [low, high]).collect();
    for node in edges + 1..nodes {
        let mut earlier: Vec<usize> = Vec::new();
        while earlier.len() < edges {
            let candidate = ends[generator.below(ends.len())];
            if !earlier.contains(&candidate) {
                earlier.push(candidate);
            }
        }
        for &low in &earlier {
            drawn.push((low, node));
            ends.extend([low, node]);
        }
    }
    drawn.sort_unstable();
    Ok(drawn)
}

/// Draws a ring in which each node has `neighbours` neighbours, half on each side. Then, once around the ring
/// for each distance, every edge moves its far end to a random node with the probability `rewired` (Watts and
/// Strogatz 1998).
///
/// # Errors
/// [`GraphError::Random`] if `neighbours` is odd, zero or not smaller than `nodes`, or `rewired` is not
/// between 0 and 1.
pub fn watts_strogatz(
    nodes: usize,
    neighbours: usize,
    rewired: f64,
    seed: u64,
) -> Result<Vec<Edge>, GraphError> {
    check_share("the share of rewired edges", rewired)?;
    if neighbours == 0 || neighbours % 2 == 1 || neighbours >= nodes {
        let what = "the number of neighbours";
        let expected = format!("even, at least 2 and smaller than that of nodes, {nodes}");
        return Err(GraphError::Random { what, expected });
    }
    let mut generator = Generator::new(seed);
    let ring = (1..=neighbours / 2).flat_map(|far| (0..nodes).map(move |node| (node, far)));
    let ring: Vec<Edge> = ring
        .map(|(node, far)| (node, (node + far) % nodes))
        .collect();
    let mut drawn: std::collections::BTreeSet<Edge> =
        ring.iter().map(|&edge| directed(edge)).collect();
    for (node, end) in ring {
        if generator.share() >= rewired {
            continue;
        }
        let is_free = |other: usize| other != node && !drawn.contains(&directed((node, other)));
        // A node that is joined to all others keeps its edge.
        if !(0..nodes).any(is_free) {
            continue;
        }
        let other = loop {
            let other = generator.below(nodes);
            if is_free(other) {
                break other;
            }
        };
        drawn.remove(&directed((node, end)));
        drawn.insert(directed((node, other)));
    }
    Ok(drawn.into_iter().collect())
}

/// Adds inputs before and outputs after a graph: nodes without an incoming edge take every input, nodes
/// without an outgoing edge feed every output. The list maps each node to its number in the specification,
/// see [`GraphSpec::from_edges`].
///
/// # Errors
/// [`GraphError`] if there are no inputs, nodes or outputs, or an edge leaves the graph or closes a cycle.
pub fn around(
    inputs: usize,
    nodes: usize,
    outputs: usize,
    edges: &[Edge],
) -> Result<(GraphSpec, Vec<usize>), GraphError> {
    if nodes == 0 {
        return Err(GraphError::EmptyLevel { level: 1 });
    }
    let (mut enters, mut leaves) = (vec![false; nodes], vec![false; nodes]);
    let mut all = Vec::new();
    for &(source_node, target_node) in edges {
        if source_node >= nodes || target_node >= nodes {
            return Err(GraphError::NoSuchNode {
                source_node,
                target_node,
                nodes,
            });
        }
        (leaves[source_node], enters[target_node]) = (true, true);
        all.push((inputs + source_node, inputs + target_node));
    }
    for node in 0..nodes {
        if !enters[node] {
            all.extend((0..inputs).map(|input| (input, inputs + node)));
        }
        if !leaves[node] {
            let first = inputs + nodes;
            all.extend((first..first + outputs).map(|output| (inputs + node, output)));
        }
    }
    GraphSpec::from_edges(inputs + nodes + outputs, inputs, outputs, &all)
}

/// The edge from its lower node to its higher.
fn directed((a, b): Edge) -> Edge {
    (a.min(b), a.max(b))
}

fn check_share(what: &'static str, share: f64) -> Result<(), GraphError> {
    if (0.0..=1.0).contains(&share) {
        return Ok(());
    }
    let expected = format!("between 0 and 1, not {share}");
    Err(GraphError::Random { what, expected })
}

/// A random generator: SplitMix64 (Steele, Lea and Flood 2014).
struct Generator {
    state: u64,
}

impl Generator {
    fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    fn bits(&mut self) -> u64 {
        let bits = split_mix(self.state);
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        bits
    }

    /// Uniform in 0..1.
    fn share(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform in 0..n, up to n parts in 2^64.
    fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.bits()) * n as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_generator_is_splitmix64() {
        // The generator's first outputs for this seed, as its authors' program prints them.
        let mut generator = Generator::new(1_234_567);
        let bits = [generator.bits(), generator.bits(), generator.bits()];
        let expected = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
        ];
        assert_eq!(bits, expected);
    }

    fn are_upwards_and_different(edges: &[Edge], nodes: usize) -> bool {
        let is_upwards = edges.iter().all(|&(low, high)| low < high && high < nodes);
        is_upwards && edges.windows(2).all(|pair| pair[0] < pair[1])
    }

    proptest! {
        #[test]
        fn every_model_draws_the_edges_that_it_promises(
            nodes in 4usize..60, share in 0.0f64..=1.0, half in 1usize..6, seed: u64,
        ) {
            let few = half.min(nodes - 1);
            let drawn = barabasi_albert(nodes, few, seed).unwrap();
            prop_assert!(are_upwards_and_different(&drawn, nodes));
            prop_assert_eq!(drawn.len(), few * (nodes - few));
            let even = 2 * half.min((nodes - 1) / 2);
            let drawn = watts_strogatz(nodes, even, share, seed).unwrap();
            prop_assert!(are_upwards_and_different(&drawn, nodes));
            prop_assert_eq!(drawn.len(), nodes * even / 2);
            prop_assert_eq!(&drawn, &watts_strogatz(nodes, even, share, seed).unwrap());
            let drawn = erdos_renyi(nodes, share, seed).unwrap();
            prop_assert!(are_upwards_and_different(&drawn, nodes));
            let pairs = (nodes * (nodes - 1) / 2) as f64;
            let deviation = (pairs * share * (1.0 - share)).sqrt();
            prop_assert!((drawn.len() as f64 - pairs * share).abs() <= 6.0 * deviation + 1.0);
            let (spec, number) = around(3, nodes, 2, &drawn).unwrap();
            for &(low, high) in &drawn {
                let (source, target) = (number[3 + low], number[3 + high]);
                prop_assert!(spec.legal().contains((target - 3) * spec.sources() + source));
            }
        }
    }

    #[test]
    fn a_ring_without_rewiring_is_a_ring() {
        let ring = watts_strogatz(5, 2, 0.0, 7).unwrap();
        assert_eq!(ring, [(0, 1), (0, 4), (1, 2), (2, 3), (3, 4)]);
        // All five have all four others: nothing can move.
        assert_eq!(watts_strogatz(5, 4, 1.0, 7).unwrap().len(), 10);
    }

    #[test]
    fn early_nodes_have_more_edges_where_edges_attract_edges() {
        let edges = barabasi_albert(400, 2, 1).unwrap();
        let ends = |nodes: std::ops::Range<usize>| {
            let ends = edges.iter().flat_map(|&(low, high)| [low, high]);
            ends.filter(|end| nodes.contains(end)).count()
        };
        assert!(ends(0..40) > 3 * ends(360..400));
    }

    #[test]
    fn nodes_without_incoming_edges_take_every_input_and_those_without_outgoing_ones_feed_every_output()
     {
        // 0 -> 2 <- 1 and 3 alone.
        let (spec, _) = around(2, 4, 3, &[(0, 2), (1, 2)]).unwrap();
        assert_eq!(spec.function_levels(), [2, 3, 1]);
        // Into 0, 1 and 3 from two inputs each, two inside, out of 2 and 3 to three outputs each.
        assert_eq!(spec.legal().count(), 3 * 2 + 2 + 2 * 3);
    }

    #[test]
    fn parameters_out_of_range_are_refused() {
        for error in [
            erdos_renyi(4, 1.5, 0),
            erdos_renyi(4, f64::NAN, 0),
            barabasi_albert(4, 0, 0),
            barabasi_albert(4, 4, 0),
            watts_strogatz(4, 3, 0.5, 0),
            watts_strogatz(4, 4, 0.5, 0),
            watts_strogatz(4, 2, -0.1, 0),
        ] {
            assert!(matches!(error, Err(GraphError::Random { .. })), "{error:?}");
        }
        assert_eq!(
            around(1, 0, 1, &[]),
            Err(GraphError::EmptyLevel { level: 1 })
        );
        let outside = around(1, 2, 1, &[(0, 2)]);
        assert!(
            matches!(outside, Err(GraphError::NoSuchNode { .. })),
            "{outside:?}"
        );
    }
}

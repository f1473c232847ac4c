//! Errors of graphs.

/// Why a graph is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GraphError {
    /// The graph has no inputs.
    #[error("the graph has no input nodes: its first level must have at least one")]
    NoInputs,
    /// The graph has no outputs.
    #[error("the graph has no output nodes: add at least one")]
    NoOutputs,
    /// A level without nodes.
    #[error("level {level} has no nodes: remove it or add nodes")]
    EmptyLevel {
        /// The level, from 0.
        level: usize,
    },
    /// The last level has fewer nodes than outputs.
    #[error("{outputs} outputs do not fit in the last level of {nodes} nodes")]
    OutputsDoNotFit {
        /// Outputs asked for.
        outputs: usize,
        /// Nodes of the last level.
        nodes: usize,
    },
    /// An edge with an end outside the graph.
    #[error("edge {source_node} -> {target_node} leaves the graph of {nodes} nodes")]
    NoSuchNode {
        /// The source of the edge.
        source_node: usize,
        /// The target of the edge.
        target_node: usize,
        /// Nodes of the graph.
        nodes: usize,
    },
    /// An edge into an input or out of an output.
    #[error("edge {source_node} -> {target_node} enters an input node or leaves an output node")]
    WrongWay {
        /// The source of the edge.
        source_node: usize,
        /// The target of the edge.
        target_node: usize,
    },
    /// The edges form a cycle.
    #[error("the graph has a cycle through node {node}: a static graph must be free of them")]
    Cycle {
        /// A node on it.
        node: usize,
    },
    /// A parameter of a random graph is out of range.
    #[error("{what} must be {expected}")]
    Random {
        /// The parameter.
        what: &'static str,
        /// Its valid range.
        expected: String,
    },
    /// An output that no input reaches.
    #[error(
        "output node {node} cannot be reached from any input: add an edge into it or remove it"
    )]
    Unreachable {
        /// The output.
        node: usize,
    },
}

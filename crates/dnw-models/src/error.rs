//! Why a model cannot be made.

/// Why a model cannot be made.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The image's side does not divide by the fold.
    #[error(
        "images of {height} x {width} cannot be folded by {fold}: both sides must be multiples of it"
    )]
    Fold {
        /// The image's height.
        height: usize,
        /// The image's width.
        width: usize,
        /// The fold asked for.
        fold: usize,
    },
    /// More cells than pixels.
    #[error(
        "a grid of {grid} x {grid} cells does not fit maps of {side} pixels a side: use {side} or fewer, or a smaller fold"
    )]
    Grid {
        /// Cells per side.
        grid: usize,
        /// Pixels per side of a map.
        side: usize,
    },
    /// A size that must be positive is zero.
    #[error("`{field}` must be at least 1")]
    Zero {
        /// The field of the configuration.
        field: &'static str,
    },
    /// A layer would have no channels, or too many to count.
    #[error("a width of {width} leaves layers without channels: use 0.25, 0.5, 0.75 or 1")]
    Width {
        /// The width asked for.
        width: f64,
    },
    /// There is no residual network of this depth.
    #[error("there is no residual network of {depth} layers: use 18, 34, 50, 101 or 152")]
    Depth {
        /// The depth asked for.
        depth: usize,
    },
    /// Inputs and outputs are more than all nodes.
    #[error("{inputs} input nodes and {outputs} output nodes do not fit in a graph of {nodes}")]
    Nodes {
        /// Input nodes.
        inputs: usize,
        /// Output nodes.
        outputs: usize,
        /// All nodes.
        nodes: usize,
    },
    /// The images do not suit the model.
    #[error("the model takes images of {expected}, these are {found:?} (channels, height, width)")]
    Image {
        /// What it takes.
        expected: &'static str,
        /// What it was given.
        found: [usize; 3],
    },
    /// The equation cannot be solved with these settings.
    #[error("the equation cannot be solved: {0}")]
    Equation(#[from] dnw_ode::OdeError),
    /// The graph is not one.
    #[error(transparent)]
    Graph(#[from] dnw_core::graph::GraphError),
}

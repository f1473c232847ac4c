//! What a made-up run looks like.

/// How the budget moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Budget {
    /// The same number of edges throughout.
    Fixed,
    /// From every edge down to the budget, cubically, over the first half.
    Shrinking,
}

/// Which levels are wired to which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One tensor: every level feeds every later one.
    Graph,
    /// One tensor for each level: it feeds the next one only.
    Chain,
}

/// What the made-up run looks like.
#[derive(Clone, Debug)]
pub struct Size {
    /// Nodes of each level; the last level holds the output nodes.
    pub levels: Vec<usize>,
    /// Which levels are wired to which.
    pub shape: Shape,
    /// Real edges of the whole network at the end.
    pub edges: usize,
    /// How the number of real edges moves.
    pub budget: Budget,
    /// Updates made.
    pub updates: u64,
    /// Moments at which weights, samples and features were recorded.
    pub frames: usize,
    /// Sample images.
    pub images: usize,
    /// Side of a feature map; 0 for a run without feature maps.
    pub feature_side: usize,
    /// What the random numbers start from.
    pub seed: u64,
}

impl Size {
    /// 36 nodes, 60 real edges, 240 updates: made in milliseconds.
    pub fn small() -> Self {
        Self {
            levels: vec![6, 10, 10, 10],
            shape: Shape::Graph,
            edges: 60,
            budget: Budget::Fixed,
            updates: 240,
            frames: 13,
            images: 4,
            feature_side: 5,
            seed: 1,
        }
    }

    /// 100 nodes and 398 real edges, like the graph that learns MNIST.
    pub fn medium() -> Self {
        Self {
            levels: vec![16, 20, 20, 20, 24],
            edges: 398,
            budget: Budget::Shrinking,
            updates: 3000,
            frames: 61,
            images: 10,
            feature_side: 7,
            seed: 7,
            ..Self::small()
        }
    }

    /// 1,194 nodes in three layers: too many to draw as nodes and edges.
    pub fn wide() -> Self {
        Self {
            levels: vec![784, 300, 100, 10],
            shape: Shape::Chain,
            edges: 5300,
            updates: 400,
            frames: 5,
            images: 6,
            feature_side: 0,
            seed: 3,
            ..Self::small()
        }
    }

    /// 898 nodes and 50,000 real edges: as much as is drawn as nodes and edges.
    pub fn large() -> Self {
        Self {
            levels: vec![48, 150, 150, 150, 150, 150, 100],
            edges: 50_000,
            updates: 120,
            frames: 4,
            images: 3,
            feature_side: 0,
            seed: 5,
            ..Self::small()
        }
    }
}

pub(super) const CLASSES: usize = 10;

/// The updates at which weights are recorded: evenly spread, both ends among them.
pub(super) fn frames(size: &Size) -> Vec<u64> {
    let last = size.frames.max(2) as u64 - 1;
    (0..=last)
        .map(|frame| frame * size.updates / last)
        .collect()
}

/// How well a made-up network does after a share `progress` of its training.
pub(super) fn skill(progress: f32) -> f32 {
    0.975 - 0.875 * (-progress * 9.0).exp() - 0.02 * (1.0 - progress)
}

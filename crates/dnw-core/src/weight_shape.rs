//! How the entries of a weight map to edges.

/// How the entries of a weight map to edges.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WeightShape {
    /// The tensor's own shape.
    pub dims: Vec<usize>,
    /// Outputs of the layer.
    pub targets: usize,
    /// Inputs of the layer (per group, for a grouped convolution).
    pub sources: usize,
    /// Entries between one target and one source: the kernel's area.
    pub kernel: usize,
}

impl WeightShape {
    /// The shape of a weight with these dimensions: `[sources, targets]` where there are two, as Burn's `Linear`
    /// stores them, else `[targets, sources, kernel..]`.
    pub fn new(dims: &[usize]) -> Self {
        let (targets, sources, kernel) = match dims {
            [sources, targets] => (*targets, *sources, 1),
            [targets, sources, kernel @ ..] => (*targets, *sources, kernel.iter().product()),
            _ => (dims.iter().product(), 1, 1),
        };
        Self {
            dims: dims.to_vec(),
            targets,
            sources,
            kernel,
        }
    }

    /// The number of entries.
    pub fn entries(&self) -> usize {
        self.targets * self.sources * self.kernel
    }

    /// The target, the source and the kernel position of an entry.
    pub fn edge(&self, entry: usize) -> (usize, usize, usize) {
        if self.dims.len() == 2 {
            (entry % self.targets, entry / self.targets, 0)
        } else {
            let (pair, position) = (entry / self.kernel, entry % self.kernel);
            (pair / self.sources, pair % self.sources, position)
        }
    }

    /// The index of the entry in the layout `[targets, sources, kernel]`, whatever the weight's own layout.
    pub fn by_target(&self, entry: usize) -> usize {
        let (target, source, position) = self.edge(entry);
        (target * self.sources + source) * self.kernel + position
    }
}

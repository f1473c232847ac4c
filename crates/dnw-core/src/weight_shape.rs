//! How the entries of a weight are edges.

/// How the entries of a weight are edges.
#[derive(Clone, Debug, PartialEq, Eq)]
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

    /// Entries in all.
    pub fn entries(&self) -> usize {
        self.targets * self.sources * self.kernel
    }

    /// The target, the source and the place in the kernel of an entry.
    pub fn edge(&self, entry: usize) -> (usize, usize, usize) {
        if self.dims.len() == 2 {
            (entry % self.targets, entry / self.targets, 0)
        } else {
            let (pair, place) = (entry / self.kernel, entry % self.kernel);
            (pair / self.sources, pair % self.sources, place)
        }
    }

    /// The entry's number when the weight is laid out `[targets, sources, kernel]`, whatever its own layout.
    pub fn by_target(&self, entry: usize) -> usize {
        let (target, source, place) = self.edge(entry);
        (target * self.sources + source) * self.kernel + place
    }
}

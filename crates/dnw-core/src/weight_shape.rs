//! How the entries of a weight map to edges.

/// Which dimensions of a weight are the outputs and the inputs of its layer.
///
/// It follows from the type of the layer, not from the shape: a convolution and a transposed convolution store
/// weights of the same rank the other way round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Layout {
    /// `[targets, sources, kernel..]`: convolutions, whose sources are those of one group, and graphs.
    TargetsFirst,
    /// `[sources, targets / groups, kernel..]`: linear layers and transposed convolutions.
    SourcesFirst {
        /// Groups of channels; 1 for a linear layer.
        groups: usize,
    },
}

/// How the entries of a weight map to edges.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WeightShape {
    /// The tensor's own shape.
    pub dims: Vec<usize>,
    /// Which dimensions are outputs and inputs; `None` if the layer does not show it. All entries are then
    /// sources of one target.
    pub layout: Option<Layout>,
    /// Outputs of the layer.
    pub targets: usize,
    /// Inputs of the layer (per group, for a grouped convolution).
    pub sources: usize,
    /// Entries between one target and one source: the kernel's area.
    pub kernel: usize,
}

impl WeightShape {
    /// The shape of a weight of a linear layer, if there are two dimensions, else of a convolution or graph.
    ///
    /// These are all the layers that the models of this workspace wire. Other layers may store a weight of the
    /// same rank in another layout ([`with_layout`](Self::with_layout)).
    pub fn new(dims: &[usize]) -> Self {
        let layout = match dims {
            [_, _] => Layout::SourcesFirst { groups: 1 },
            _ => Layout::TargetsFirst,
        };
        Self::with_layout(dims, Some(layout))
    }

    /// The shape of a weight in a layout. A tensor of one dimension has no layout, nor has one whose first
    /// dimension does not divide into the groups.
    pub fn with_layout(dims: &[usize], layout: Option<Layout>) -> Self {
        let (layout, [targets, sources, kernel]) = match (layout, dims) {
            (Some(Layout::TargetsFirst), [targets, sources, kernel @ ..]) => {
                (layout, [*targets, *sources, kernel.iter().product()])
            }
            (Some(Layout::SourcesFirst { groups }), [sources, targets, kernel @ ..])
                if groups > 0 && sources.is_multiple_of(groups) =>
            {
                let kernel = kernel.iter().product();
                (layout, [targets * groups, sources / groups, kernel])
            }
            _ => (None, [1, dims.iter().product(), 1]),
        };
        Self {
            dims: dims.to_vec(),
            layout,
            targets,
            sources,
            kernel,
        }
    }

    /// The number of entries.
    pub fn entries(&self) -> usize {
        self.targets * self.sources * self.kernel
    }

    /// The target, the source (counted within its group) and the kernel position of an entry.
    pub fn edge(&self, entry: usize) -> (usize, usize, usize) {
        let (pair, position) = (entry / self.kernel, entry % self.kernel);
        match self.layout {
            Some(Layout::SourcesFirst { groups }) => {
                let targets = self.targets / groups;
                let (source, target) = (pair / targets, pair % targets);
                let group = source / self.sources;
                (group * targets + target, source % self.sources, position)
            }
            Some(Layout::TargetsFirst) | None => {
                (pair / self.sources, pair % self.sources, position)
            }
        }
    }

    /// The index of the entry in the layout `[targets, sources, kernel]`, whatever the weight's own layout.
    pub fn by_target(&self, entry: usize) -> usize {
        let (target, source, position) = self.edge(entry);
        (target * self.sources + source) * self.kernel + position
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By loops over channels, as a transposed convolution computes: input `i` of a group reaches the outputs
    /// of its group.
    #[test]
    fn a_grouped_transposed_convolution_has_its_outputs_second() {
        let (groups, inputs, outputs, kernel) = (2, 6, 4, 3);
        let layout = Some(Layout::SourcesFirst { groups });
        let shape = WeightShape::with_layout(&[inputs, outputs / groups, 1, kernel], layout);
        assert_eq!((shape.targets, shape.sources, shape.kernel), (4, 3, 3));
        let mut entry = 0;
        for group in 0..groups {
            for source in 0..inputs / groups {
                for target in 0..outputs / groups {
                    for position in 0..kernel {
                        let target = group * (outputs / groups) + target;
                        assert_eq!(shape.edge(entry), (target, source, position));
                        entry += 1;
                    }
                }
            }
        }
        assert_eq!(shape.entries(), entry);
    }

    #[test]
    fn every_layout_numbers_each_edge_once() {
        let dims = [4, 6, 5];
        let layouts = [
            None,
            Some(Layout::TargetsFirst),
            Some(Layout::SourcesFirst { groups: 1 }),
            Some(Layout::SourcesFirst { groups: 2 }),
        ];
        for layout in layouts {
            let shape = WeightShape::with_layout(&dims, layout);
            let mut numbers: Vec<usize> = (0..120).map(|entry| shape.by_target(entry)).collect();
            numbers.sort_unstable();
            assert_eq!(numbers, (0..120).collect::<Vec<_>>(), "{layout:?}");
        }
    }

    #[test]
    fn groups_that_do_not_divide_are_no_layout() {
        for groups in [0, 3, usize::MAX] {
            let layout = Some(Layout::SourcesFirst { groups });
            let shape = WeightShape::with_layout(&[4, 6], layout);
            assert_eq!((shape.layout, shape.entries()), (None, 24));
        }
        assert_eq!(WeightShape::new(&[7]).layout, None);
    }
}

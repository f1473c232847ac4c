//! Where the real edges are, for kernels that visit nothing else.

use std::ops::Range;

use rayon::prelude::*;

/// The real edges of a `[targets, sources]` matrix, by target and by source.
///
/// Both directions are kept because the forward pass gathers into targets and the input's gradient
/// gathers into sources. An edge's number is its place in the order by target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EdgeIndex {
    targets: usize,
    sources: usize,
    /// Where each target's edges begin, and the end of the last.
    target_starts: Vec<usize>,
    /// The source of each edge.
    edge_sources: Vec<u32>,
    /// Where each source's edges begin, and the end of the last.
    source_starts: Vec<usize>,
    /// The targets of each source, one source after the other.
    by_source: Vec<OfSource>,
}

/// An edge as its source sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OfSource {
    /// Where it leads.
    pub target: u32,
    /// Its number.
    pub edge: u32,
}

impl EdgeIndex {
    /// Indexes `edges`, pairs of (target, source) in ascending order.
    ///
    /// # Panics
    /// If an edge lies outside the matrix, or the edges do not ascend.
    pub fn new(
        targets: usize,
        sources: usize,
        edges: impl IntoIterator<Item = (usize, usize)>,
    ) -> Self {
        let mut target_starts = vec![0; targets + 1];
        let (mut edge_sources, mut last) = (Vec::new(), None);
        for (target, source) in edges {
            assert!(
                target < targets && source < sources,
                "an edge outside the matrix"
            );
            assert!(
                last.replace((target, source)) < Some((target, source)),
                "edges out of order"
            );
            target_starts[target + 1] += 1;
            edge_sources.push(source as u32);
        }
        for target in 0..targets {
            target_starts[target + 1] += target_starts[target];
        }
        Self::from_targets(targets, sources, target_starts, edge_sources)
    }

    /// From the order by target.
    fn from_targets(
        targets: usize,
        sources: usize,
        target_starts: Vec<usize>,
        edge_sources: Vec<u32>,
    ) -> Self {
        let mut source_starts = vec![0; sources + 1];
        for &source in &edge_sources {
            source_starts[source as usize + 1] += 1;
        }
        for source in 0..sources {
            source_starts[source + 1] += source_starts[source];
        }
        let mut next = source_starts.clone();
        let mut by_source = vec![OfSource::default(); edge_sources.len()];
        for target in 0..targets {
            for edge in target_starts[target]..target_starts[target + 1] {
                let place = &mut next[edge_sources[edge] as usize];
                by_source[*place] = OfSource {
                    target: target as u32,
                    edge: edge as u32,
                };
                *place += 1;
            }
        }
        Self {
            targets,
            sources,
            target_starts,
            edge_sources,
            source_starts,
            by_source,
        }
    }

    /// Indexes the set entries of `mask`, `[targets, sources]`.
    ///
    /// # Panics
    /// If `mask` is longer than the matrix.
    pub fn from_mask(targets: usize, sources: usize, mask: impl IntoIterator<Item = bool>) -> Self {
        let real = mask.into_iter().enumerate().filter(|&(_, real)| real);
        Self::new(
            targets,
            sources,
            real.map(|(i, _)| (i / sources, i % sources)),
        )
    }

    /// Indexes the entries of `mask`, `[targets, sources]`, that are not zero.
    ///
    /// # Panics
    /// If `mask` has another length.
    pub fn from_bytes(targets: usize, sources: usize, mask: &[u8]) -> Self {
        assert_eq!(mask.len(), targets * sources, "length of the mask");
        if mask.is_empty() {
            return Self::new(targets, sources, []);
        }
        let rows: Vec<Vec<u32>> = mask
            .par_chunks_exact(sources)
            .with_min_len(8)
            .map(real_of)
            .collect();
        let mut target_starts = Vec::with_capacity(targets + 1);
        target_starts.push(0);
        for row in &rows {
            target_starts.push(target_starts[target_starts.len() - 1] + row.len());
        }
        Self::from_targets(targets, sources, target_starts, rows.concat())
    }

    /// Targets (rows).
    pub fn targets(&self) -> usize {
        self.targets
    }

    /// Sources (columns).
    pub fn sources(&self) -> usize {
        self.sources
    }

    /// How many edges are real.
    pub fn len(&self) -> usize {
        self.edge_sources.len()
    }

    /// Whether no edge is real.
    pub fn is_empty(&self) -> bool {
        self.edge_sources.is_empty()
    }

    /// The numbers of the edges into `target`.
    pub fn edges_into(&self, target: usize) -> Range<usize> {
        self.target_starts[target]..self.target_starts[target + 1]
    }

    /// The sources of `target`, ascending, in the order of the edges' numbers.
    pub fn sources_of(&self, target: usize) -> &[u32] {
        &self.edge_sources[self.edges_into(target)]
    }

    /// The edges out of `source`, by ascending target.
    pub fn edges_from(&self, source: usize) -> &[OfSource] {
        &self.by_source[self.source_starts[source]..self.source_starts[source + 1]]
    }

    /// What each edge weighs, by its number, of a weight `[targets, sources]`.
    ///
    /// # Panics
    /// If the weight has another size.
    pub fn weights(&self, weight: &[f32]) -> Vec<f32> {
        assert_eq!(
            weight.len(),
            self.targets * self.sources,
            "length of the weight"
        );
        let mut weights = vec![0.0; self.len()];
        // Rows of many sources together, so that a task is worth its while.
        let rows = (1 << 16) / self.sources.max(1) + 1;
        let mut left = &mut weights[..];
        let mut tasks = Vec::new();
        for first in (0..self.targets).step_by(rows) {
            let edges =
                self.target_starts[first]..self.target_starts[self.targets.min(first + rows)];
            let (own, behind) = left.split_at_mut(edges.len());
            tasks.push((first, own));
            left = behind;
        }
        tasks.into_par_iter().for_each(|(first, mut own)| {
            for target in first..self.targets.min(first + rows) {
                let row = &weight[target * self.sources..][..self.sources];
                let sources = self.sources_of(target);
                let (these, behind) = own.split_at_mut(sources.len());
                for (weight, &source) in these.iter_mut().zip(sources) {
                    *weight = row[source as usize];
                }
                own = behind;
            }
        });
        weights
    }
}

/// The places of a row that are not zero.
fn real_of(row: &[u8]) -> Vec<u32> {
    let mut real = Vec::new();
    let mut words = row.chunks_exact(8);
    let mut place = 0;
    for word in &mut words {
        // Most words of a sparse mask are zero.
        let mut left = u64::from_le_bytes(word.try_into().expect("eight bytes"));
        while left != 0 {
            let byte = left.trailing_zeros() / 8;
            real.push(place + byte);
            left &= !(0xff << (8 * byte));
        }
        place += 8;
    }
    for (i, _) in words
        .remainder()
        .iter()
        .enumerate()
        .filter(|&(_, &byte)| byte != 0)
    {
        real.push(place + i as u32);
    }
    real
}

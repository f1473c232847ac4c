//! An index of the real edges, for kernels that visit only these.

use std::ops::Range;

use rayon::prelude::*;

use crate::pool::Buffer;
use crate::simd::{not_zero, vectorised};

/// The real edges of a `[targets, sources]` matrix, by target and by source.
///
/// Both orders are stored: the forward pass sums over the edges of each target, the gradient of the input sums over the
/// edges of each source. Edges are numbered in the order by target (compressed sparse rows).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EdgeIndex {
    targets: usize,
    sources: usize,
    /// The first edge of each target, and the end of the last target's edges.
    target_starts: Vec<usize>,
    /// The source of each edge.
    edge_sources: Vec<u32>,
    /// The start of each source's edges in `by_source`, and the end of the last source's.
    source_starts: Vec<usize>,
    /// The edges of each source, one source after the other.
    by_source: Vec<OutEdge>,
}

/// An edge out of a source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutEdge {
    /// Its target.
    pub target: u32,
    /// Its index in the order by target.
    pub edge: u32,
}

impl EdgeIndex {
    /// Indexes `edges`, pairs of (target, source) in ascending order.
    ///
    /// # Panics
    /// If an edge is outside the matrix, or the edges are not in strictly ascending order.
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
        Self::from_targets(targets, sources, target_starts, edge_sources, Vec::new())
    }

    /// Builds the order by source from the order by target. The allocation of `by_source` is reused.
    fn from_targets(
        targets: usize,
        sources: usize,
        target_starts: Vec<usize>,
        edge_sources: Vec<u32>,
        by_source: Vec<OutEdge>,
    ) -> Self {
        let row = |target: usize| &edge_sources[target_starts[target]..target_starts[target + 1]];
        // Each task handles all edges out of its range of sources.
        let tasks = match edge_sources.len() {
            0..MIN_PARALLEL => 1,
            _ => rayon::current_num_threads().min(sources),
        };
        let sources_of = |task: usize| sources * task / tasks..sources * (task + 1) / tasks;
        let edges_of = |target: usize, own: &Range<usize>| {
            let row = row(target);
            let position = |end: usize| row.partition_point(|&source| (source as usize) < end);
            match own.len() == sources {
                true => 0..row.len(),
                false => position(own.start)..position(own.end),
            }
        };
        let counts: Vec<Vec<usize>> = (0..tasks)
            .into_par_iter()
            .map(|task| {
                let own = sources_of(task);
                let mut counts = vec![0; own.len()];
                for target in 0..targets {
                    for &source in &row(target)[edges_of(target, &own)] {
                        counts[source as usize - own.start] += 1;
                    }
                }
                counts
            })
            .collect();
        let mut source_starts = Vec::with_capacity(sources + 1);
        source_starts.push(0);
        for count in counts.iter().flatten() {
            source_starts.push(source_starts[source_starts.len() - 1] + count);
        }
        let mut by_source = resized(by_source, edge_sources.len());
        let ends = (0..tasks).map(|task| source_starts[sources_of(task).end]);
        let parts: Vec<_> = split(&mut by_source, ends).enumerate().collect();
        parts.into_par_iter().for_each(|(task, part)| {
            let own = sources_of(task);
            let first = source_starts[own.start];
            let mut next = source_starts[own.clone()].to_vec();
            for (target, begin) in target_starts[..targets].iter().enumerate() {
                let edges = edges_of(target, &own);
                let indices = begin + edges.start..;
                for (&source, edge) in row(target)[edges].iter().zip(indices) {
                    let position = &mut next[source as usize - own.start];
                    part[*position - first] = OutEdge {
                        target: target as u32,
                        edge: edge as u32,
                    };
                    *position += 1;
                }
            }
        });
        Self {
            targets,
            sources,
            target_starts,
            edge_sources,
            source_starts,
            by_source,
        }
    }

    /// Indexes the true entries of `mask`, `[targets, sources]`.
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

    /// Indexes the nonzero entries of `mask`, `[targets, sources]`.
    ///
    /// # Panics
    /// If `mask` has another length.
    pub fn from_bytes(targets: usize, sources: usize, mask: &[u8]) -> Self {
        assert_eq!(mask.len(), targets * sources, "length of the mask");
        Self::from_words(targets, sources, &words_of(mask), None)
    }

    /// Indexes the set bits of a mask `[targets, sources]`: one bit per entry, the first lowest. The memory of `old` is reused.
    ///
    /// # Panics
    /// If there are fewer bits than entries.
    pub fn from_words(targets: usize, sources: usize, words: &[u64], old: Option<Self>) -> Self {
        let (edge_sources, by_source) = match old {
            Some(old) => (old.edge_sources, old.by_source),
            None => Default::default(),
        };
        let rows = rows_per_task(sources);
        let mut target_starts = vec![0; targets + 1];
        target_starts[1..]
            .par_chunks_mut(rows)
            .enumerate()
            .for_each(|(chunk, counts)| {
                for (row, count) in counts.iter_mut().enumerate() {
                    let begin = (chunk * rows + row) * sources;
                    bits(words, begin..begin + sources, |_, word| {
                        *count += word.count_ones() as usize;
                    });
                }
            });
        for target in 0..targets {
            target_starts[target + 1] += target_starts[target];
        }
        let mut edge_sources = resized(edge_sources, target_starts[targets]);
        let firsts = (0..targets).step_by(rows);
        let ends = firsts.map(|first| target_starts[targets.min(first + rows)]);
        let parts: Vec<_> = split(&mut edge_sources, ends).enumerate().collect();
        parts.into_par_iter().for_each(|(chunk, part)| {
            let mut slots = part.iter_mut();
            for target in chunk * rows..targets.min((chunk + 1) * rows) {
                let begin = target * sources;
                bits(words, begin..begin + sources, |first, mut word| {
                    while word != 0 {
                        let source = first + word.trailing_zeros();
                        *slots.next().expect("counted above") = source;
                        word &= word - 1;
                    }
                });
            }
        });
        Self::from_targets(targets, sources, target_starts, edge_sources, by_source)
    }

    /// Targets (rows).
    pub fn targets(&self) -> usize {
        self.targets
    }

    /// Sources (columns).
    pub fn sources(&self) -> usize {
        self.sources
    }

    /// The number of real edges.
    pub fn len(&self) -> usize {
        self.edge_sources.len()
    }

    /// Whether no edge is real.
    pub fn is_empty(&self) -> bool {
        self.edge_sources.is_empty()
    }

    /// The indices of the edges into `target`.
    pub fn edges_into(&self, target: usize) -> Range<usize> {
        self.target_starts[target]..self.target_starts[target + 1]
    }

    /// The sources of the edges into `target`, ascending.
    pub fn sources_of(&self, target: usize) -> &[u32] {
        &self.edge_sources[self.edges_into(target)]
    }

    /// The edges out of `source`, by ascending target.
    pub fn edges_from(&self, source: usize) -> &[OutEdge] {
        &self.by_source[self.positions_from(source)]
    }

    /// The positions of the edges out of `source` in [`by_source`](Self::by_source).
    pub(crate) fn positions_from(&self, source: usize) -> Range<usize> {
        self.source_starts[source]..self.source_starts[source + 1]
    }

    /// All edges in the order by source.
    pub(crate) fn by_source(&self) -> &[OutEdge] {
        &self.by_source
    }

    /// The weights of the real edges in the order by target, gathered from a dense `weight [targets, sources]`.
    ///
    /// # Panics
    /// If the weight has another size.
    pub fn weights(&self, weight: &[f32]) -> Buffer {
        assert_eq!(
            weight.len(),
            self.targets * self.sources,
            "length of the weight"
        );
        let mut weights = Buffer::uninitialised(self.len());
        let rows = rows_per_task(self.sources);
        let firsts = (0..self.targets).step_by(rows);
        let ends = firsts.map(|first| self.target_starts[self.targets.min(first + rows)]);
        let parts: Vec<_> = split(&mut weights, ends).enumerate().collect();
        parts.into_par_iter().for_each(|(chunk, mut part)| {
            for target in chunk * rows..self.targets.min((chunk + 1) * rows) {
                let row = &weight[target * self.sources..][..self.sources];
                let sources = self.sources_of(target);
                let (own, behind) = part.split_at_mut(sources.len());
                for (weight, &source) in own.iter_mut().zip(sources) {
                    *weight = row[source as usize];
                }
                part = behind;
            }
        });
        weights
    }
}

/// A buffer of this length; `buffer` itself if its length fits. The caller writes all elements.
fn resized<T: Clone + Default>(buffer: Vec<T>, length: usize) -> Vec<T> {
    match buffer.len() == length {
        true => buffer,
        false => vec![T::default(); length],
    }
}

/// With fewer edges, one task is faster than several.
const MIN_PARALLEL: usize = 1 << 12;

/// Rows per task: more if rows are short.
fn rows_per_task(sources: usize) -> usize {
    (1 << 16) / sources.max(1) + 1
}

/// Splits a slice at these ends.
fn split<T>(slice: &mut [T], ends: impl Iterator<Item = usize>) -> impl Iterator<Item = &mut [T]> {
    let mut left = (0, slice);
    ends.map(move |end| {
        let (begin, slice) = std::mem::take(&mut left);
        let (part, behind) = slice.split_at_mut(end - begin);
        left = (end, behind);
        part
    })
}

/// Calls `f` for each word of a range of bits that has a bit set: with the position of the word's first bit in the range, and the bits.
fn bits(words: &[u64], entries: Range<usize>, mut f: impl FnMut(u32, u64)) {
    let mut entry = entries.start;
    while entry < entries.end {
        let shift = entry % 64;
        let here = (64 - shift).min(entries.end - entry);
        let word = words[entry / 64] >> shift & (u64::MAX >> (64 - here));
        if word != 0 {
            f((entry - entries.start) as u32, word);
        }
        entry += here;
    }
}

/// Packs a byte mask into bits: one bit per byte, set if the byte is nonzero, the first lowest.
pub fn words_of(mask: &[u8]) -> Vec<u64> {
    let mut words = vec![0; mask.len().div_ceil(64)];
    words
        .par_chunks_mut(1 << 10)
        .zip(mask.par_chunks(1 << 16))
        .for_each(|(words, mask)| pack(mask, words));
    words
}

vectorised! {
    fn pack(mask: &[u8], words: &mut [u64]) = pack_body;
}

#[inline(always)]
fn pack_body<const SET: u8>(mask: &[u8], words: &mut [u64]) {
    let mut whole = mask.chunks_exact(64);
    for (word, bytes) in words.iter_mut().zip(&mut whole) {
        *word = not_zero::<SET>(bytes.try_into().expect("64 bytes"));
    }
    let rest = whole.remainder();
    if let Some(word) = words.last_mut().filter(|_| !rest.is_empty()) {
        let mut padded = [0; 64];
        padded[..rest.len()].copy_from_slice(rest);
        *word = not_zero::<SET>(&padded);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_bit_and_bool_masks_have_the_same_index_on_any_number_of_threads() {
        for (targets, sources) in [(1, 1), (3, 64), (90, 201), (700, 130), (5, 0), (0, 5)] {
            let is_real = |i: usize| (i * 7919) % 1009 < 300;
            let mask: Vec<u8> = (0..targets * sources)
                .map(|i| u8::from(is_real(i)) * (1 + (i % 3) as u8))
                .collect();
            let flags = mask.iter().map(|&byte| byte != 0);
            let expected = EdgeIndex::from_mask(targets, sources, flags);
            let weight: Vec<f32> = (0..mask.len()).map(|i| i as f32).collect();
            for threads in [1, 3] {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
                let index = pool
                    .build()
                    .unwrap()
                    .install(|| EdgeIndex::from_bytes(targets, sources, &mask));
                assert_eq!(index, expected);
                let words = words_of(&mask);
                let again = EdgeIndex::from_words(targets, sources, &words, Some(index.clone()));
                assert_eq!(again, expected);
                let weights = index.weights(&weight);
                for source in 0..sources {
                    for edge in index.edges_from(source) {
                        let target = edge.target as usize;
                        assert!(index.edges_into(target).contains(&(edge.edge as usize)));
                        let entry = target * sources + source;
                        assert!(is_real(entry));
                        assert_eq!(weights[edge.edge as usize], entry as f32);
                    }
                }
            }
        }
    }
}

//! Targets in fours that share some of their rows.
//!
//! One target at a time loads each of its rows, most of them from the level 2 cache, and these loads bound the time. A wiring without a pattern
//! gives each target rows of its own, but where many of all edges are real, four targets have many rows in common. Here a row is loaded once for
//! all of them that have it. The terms of a block are grouped by which of its targets have them, so that the loop over a group does not
//! branch and multiplies no zero.
//!
//! The rows of a k x k convolution overlap: they are those of a channel from different offsets on. They are summed in tiles that fit in the level
//! 1 cache, so that the taps of a channel load it from the level 2 cache once.

use std::ops::Range;

use super::sums::{BLOCK, Pieces, RowSums, Target, activate_piece};
use super::together::store_all;
use crate::simd::{AVX512, LANES, vectorised};
use crate::vector::{HasVector, Set, Vector};

/// Vectors of a target that are summed in one loop with AVX-512: with 24 of the 32 registers as sums.
const MOST: usize = 6;
/// Group `i` has the terms of the targets whose bits are set in `i + 1`.
const GROUPS: usize = (1 << BLOCK) - 1;
/// Numbers of a tile: 24 of the 32 KiB of a level 1 cache.
const TILE: usize = 6 << 10;

/// The terms of sums, by blocks of [`BLOCK`] targets.
#[derive(Debug)]
pub struct SharedRows {
    /// For each block the number of terms before it; one more than there are blocks.
    starts: Vec<u32>,
    /// For each block the number of weights before it.
    weight_starts: Vec<u32>,
    tiles: usize,
    /// For each tile of each block the number of terms of each group.
    groups: Vec<[u32; GROUPS]>,
    /// Where the row of each term starts.
    offsets: Vec<u32>,
    /// For each term a weight for each target that has it.
    weights: Vec<f32>,
}

impl SharedRows {
    /// Groups the terms of `blocks` blocks. `rows` are the starts of all rows in ascending order, of which sums take `vectors` vectors each.
    /// `fill` writes the weights of a block, which are zero before: for each of `rows` one for each target; zero is no edge.
    pub fn new(
        rows: &[u32],
        vectors: usize,
        blocks: usize,
        mut fill: impl FnMut(usize, &mut [[f32; BLOCK]]),
    ) -> Self {
        let tiles = tiles(rows, vectors);
        let mut all = Self {
            starts: vec![0],
            weight_starts: Vec::with_capacity(blocks),
            tiles: tiles.len(),
            groups: Vec::with_capacity(blocks * tiles.len()),
            offsets: Vec::new(),
            weights: Vec::new(),
        };
        let mut weights = vec![[0.0; BLOCK]; rows.len()];
        for block in 0..blocks {
            all.weight_starts.push(all.weights.len() as u32);
            weights.fill([0.0; BLOCK]);
            fill(block, &mut weights);
            for tile in &tiles {
                all.add_tile(&rows[tile.clone()], &weights[tile.clone()]);
            }
            all.starts.push(all.offsets.len() as u32);
        }
        all
    }

    /// Adds the terms of a tile, group by group.
    fn add_tile(&mut self, rows: &[u32], weights: &[[f32; BLOCK]]) {
        let mut groups = [0u32; GROUPS];
        let group = |weights: &[f32; BLOCK]| {
            let bits = weights.iter().enumerate();
            bits.map(|(i, w)| usize::from(*w != 0.0) << i)
                .sum::<usize>()
        };
        for group in weights.iter().map(group).filter(|&group| group > 0) {
            groups[group - 1] += 1;
        }
        // Where the next term of each group is written.
        let mut next = [(self.offsets.len(), self.weights.len()); GROUPS];
        let mut end = next[0];
        for (group, &terms) in groups.iter().enumerate() {
            next[group] = end;
            let edges = (group + 1).count_ones() * terms;
            end = (end.0 + terms as usize, end.1 + edges as usize);
        }
        self.offsets.resize(end.0, 0);
        self.weights.resize(end.1, 0.0);
        for (&row, weights) in rows.iter().zip(weights) {
            if let Some(group) = group(weights).checked_sub(1) {
                let (term, edge) = &mut next[group];
                self.offsets[*term] = row;
                *term += 1;
                for &weight in weights.iter().filter(|w| **w != 0.0) {
                    self.weights[*edge] = weight;
                    *edge += 1;
                }
            }
        }
        self.groups.push(groups);
    }

    /// How often a number is read by the rows, if these are the starts of all rows in ascending order and sums take `vectors` vectors of each.
    pub fn overlap(rows: &[u32], vectors: usize) -> f64 {
        let all = rows.len() * LANES * vectors.clamp(1, MOST);
        all as f64 / added(rows, vectors).sum::<usize>().max(1) as f64
    }

    /// For each block the number of terms before it; one more than there are blocks.
    pub fn starts(&self) -> &[u32] {
        &self.starts
    }

    /// The number of weights.
    pub fn edges(&self) -> usize {
        self.weights.len()
    }

    /// As [`sum_rows`](super::sum_rows), with these terms in place of those of `sums`. `targets` are those of `blocks`.
    ///
    /// # Safety
    /// As for [`sum_rows`](super::sum_rows).
    pub unsafe fn sum(
        &self,
        sums: RowSums<'_>,
        blocks: Range<usize>,
        targets: &[Target],
        vectors: usize,
    ) {
        assert!(blocks.end < self.starts.len() && targets.len() >= BLOCK * blocks.len());
        let sums = RowSums {
            starts: &self.starts,
            offsets: &self.offsets,
            weights: &self.weights,
            ..sums
        };
        shared(self, sums, blocks, targets, vectors);
    }
}

/// The rows of each tile. Rows that do not overlap are all in one, because there no row is read twice by a block.
fn tiles(rows: &[u32], vectors: usize) -> Vec<Range<usize>> {
    if SharedRows::overlap(rows, vectors) < 2.0 {
        return std::iter::once(0..rows.len()).collect();
    }
    let (mut tiles, mut first, mut numbers) = (Vec::new(), 0, 0);
    for (row, added) in added(rows, vectors).enumerate() {
        numbers += added;
        if numbers > TILE && row > first {
            tiles.push(first..row);
            (first, numbers) = (row, LANES * MOST);
        }
    }
    tiles.push(first..rows.len());
    tiles
}

/// For each row the numbers of a piece that are not those of the row before.
fn added(rows: &[u32], vectors: usize) -> impl Iterator<Item = usize> {
    let len = LANES * vectors.clamp(1, MOST);
    let gaps = rows
        .windows(2)
        .map(move |pair| len.min((pair[1] - pair[0]) as usize));
    std::iter::once(len).chain(gaps).take(rows.len())
}

vectorised! {
    fn shared(rows: &SharedRows, sums: RowSums<'_>, blocks: Range<usize>, targets: &[Target], vectors: usize) = shared_body;
}

#[inline(always)]
fn shared_body<const SET: u8>(
    rows: &SharedRows,
    sums: RowSums<'_>,
    blocks: Range<usize>,
    targets: &[Target],
    vectors: usize,
) where
    Set<SET>: HasVector,
{
    // With AVX2 eight of 16 registers are sums.
    let most = if SET == AVX512 { MOST } else { 1 };
    let first = blocks.start;
    let mut pieces = Pieces::new(sums, blocks, vectors, most);
    while let Some(piece) = pieces.next() {
        let terms = Terms {
            groups: &rows.groups[piece.block * rows.tiles..][..rows.tiles],
            offsets: &sums.offsets[piece.terms],
            weights: &sums.weights[rows.weight_starts[piece.block] as usize..],
        };
        let targets = &targets[BLOCK * (piece.block - first)..][..BLOCK];
        let column = piece.vector * LANES;
        // SAFETY: as the caller of `SharedRows::sum` promises.
        unsafe {
            match piece.count {
                1 => sum::<SET, 1>(sums, terms, targets, column),
                2 => sum::<SET, 2>(sums, terms, targets, column),
                3 => sum::<SET, 3>(sums, terms, targets, column),
                4 => sum::<SET, 4>(sums, terms, targets, column),
                5 => sum::<SET, 5>(sums, terms, targets, column),
                _ => sum::<SET, MOST>(sums, terms, targets, column),
            }
            for &target in targets {
                activate_piece::<SET>(sums, target, column, piece.count);
            }
        }
    }
}

/// The terms of a block, as in [`SharedRows`].
#[derive(Clone, Copy)]
struct Terms<'a> {
    groups: &'a [[u32; GROUPS]],
    offsets: &'a [u32],
    weights: &'a [f32],
}

type Of<const SET: u8> = <Set<SET> as HasVector>::Vector;

/// Sums `W` vectors of each target.
///
/// # Safety
/// As for [`SharedRows::sum`].
#[inline(always)]
unsafe fn sum<const SET: u8, const W: usize>(
    sums: RowSums<'_>,
    terms: Terms<'_>,
    targets: &[Target],
    column: usize,
) where
    Set<SET>: HasVector,
{
    let mut all = [[Of::<SET>::splat(0.0); W]; BLOCK];
    for (own, target) in all.iter_mut().zip(targets) {
        *own = [Of::<SET>::splat(target.bias); W];
    }
    // SAFETY: as the caller promises.
    let source = unsafe { sums.source.add(column) };
    let mut at = (terms.offsets.as_ptr(), terms.weights.as_ptr());
    macro_rules! sum_groups {
        ($counts:ident: $($group:literal)*) => {
            // SAFETY: as the caller promises; `SharedRows::new` has counted the terms and weights of each group.
            $(at = unsafe { sum_group::<SET, W, $group>(&mut all, $counts[$group - 1], at, source) };)*
        };
    }
    for counts in terms.groups {
        sum_groups!(counts: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
    }
    // SAFETY: as the caller promises.
    unsafe { store_all::<SET, W, BLOCK>(all, sums, targets, column) };
}

/// Adds the terms of the targets whose bits are set in `GROUP`. Takes where they and their weights start, and returns where those of the next
/// group do.
///
/// # Safety
/// There are so many terms, with a weight for each of these targets, and the rows are readable.
#[inline(always)]
unsafe fn sum_group<const SET: u8, const W: usize, const GROUP: usize>(
    all: &mut [[Of<SET>; W]; BLOCK],
    terms: u32,
    (mut offset, mut weight): (*const u32, *const f32),
    source: *const f32,
) -> (*const u32, *const f32)
where
    Set<SET>: HasVector,
{
    for _ in 0..terms {
        // SAFETY: as the caller promises.
        unsafe {
            let row = source.add(*offset as usize);
            offset = offset.add(1);
            let mut weights = [Of::<SET>::splat(0.0); BLOCK];
            for (target, own) in weights.iter_mut().enumerate() {
                if GROUP >> target & 1 == 1 {
                    *own = Of::<SET>::splat(*weight);
                    weight = weight.add(1);
                }
            }
            // A row at a time for all targets, because all rows would not fit beside the sums.
            #[allow(clippy::needless_range_loop)]
            for v in 0..W {
                let row = Of::<SET>::load(row.add(v * LANES));
                for target in 0..BLOCK {
                    if GROUP >> target & 1 == 1 {
                        all[target][v] = all[target][v].add_product(weights[target], row);
                    }
                }
            }
        }
    }
    (offset, weight)
}

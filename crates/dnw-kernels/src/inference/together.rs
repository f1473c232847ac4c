//! Targets that read different rows, but as many of them, summed together.
//!
//! One target at a time loads its rows from the level 2 cache and has few additions under way. Several targets with the same number of terms
//! need one loop: their loads overlap, and where their terms are neighbours, as those of `2-of-4` are, a row is still in the level 1 cache when
//! the next target reads it.

use std::ops::Range;

use super::sums::{NONE, Pieces, RowSums, Target, activate_piece};
use crate::settings::InstructionSet;
use crate::simd::{LANES, vectorised};
use crate::vector::{HasVector, Set, Vector};

/// Targets of a block that are summed together.
pub const TOGETHER: usize = 8;

/// Vectors of a target that are summed in one loop: with 24 of the 32 registers of AVX-512 as sums.
const MOST: usize = 3;

/// Whether this processor has registers for it. The sixteen of AVX2 would hold one vector of so many targets, and no row or weight.
pub fn sums_together() -> bool {
    InstructionSet::in_use() == InstructionSet::Avx512
}

/// As [`sum_rows`](super::sum_rows), for blocks of [`TOGETHER`] targets. Each term has an offset and a weight for each of them.
///
/// # Safety
/// As for [`sum_rows`](super::sum_rows).
pub unsafe fn sum_rows_together(
    sums: RowSums<'_>,
    blocks: Range<usize>,
    targets: &[Target],
    vectors: usize,
) {
    assert!(blocks.end < sums.starts.len() && targets.len() >= TOGETHER * blocks.end);
    assert_eq!(
        sums.weights.len(),
        sums.offsets.len(),
        "a weight for each offset"
    );
    together(sums, blocks, targets, vectors);
}

vectorised! {
    fn together(sums: RowSums<'_>, blocks: Range<usize>, targets: &[Target], vectors: usize) = together_body;
}

#[inline(always)]
fn together_body<const SET: u8>(
    sums: RowSums<'_>,
    blocks: Range<usize>,
    targets: &[Target],
    vectors: usize,
) where
    Set<SET>: HasVector,
{
    let mut pieces = Pieces::new(sums, blocks, vectors, MOST);
    while let Some(piece) = pieces.next() {
        let terms = TOGETHER * piece.terms.start..TOGETHER * piece.terms.end;
        let (offsets, weights) = (&sums.offsets[terms.clone()], &sums.weights[terms]);
        let targets = &targets[TOGETHER * piece.block..][..TOGETHER];
        let column = piece.vector * LANES;
        // SAFETY: as the caller of `sum_rows_together` promises.
        unsafe {
            match piece.count {
                1 => sum::<SET, 1>(sums, offsets, weights, targets, column),
                2 => sum::<SET, 2>(sums, offsets, weights, targets, column),
                _ => sum::<SET, MOST>(sums, offsets, weights, targets, column),
            }
            for &target in targets {
                activate_piece::<SET>(sums, target, column, piece.count);
            }
        }
    }
}

/// Sums `W` vectors of each target.
///
/// # Safety
/// As for [`sum_rows_together`].
#[inline(always)]
unsafe fn sum<const SET: u8, const W: usize>(
    sums: RowSums<'_>,
    offsets: &[u32],
    weights: &[f32],
    targets: &[Target],
    column: usize,
) where
    Set<SET>: HasVector,
{
    type Of<const SET: u8> = <Set<SET> as HasVector>::Vector;
    let mut all = [[Of::<SET>::splat(0.0); W]; TOGETHER];
    for (own, target) in all.iter_mut().zip(targets) {
        *own = [Of::<SET>::splat(target.bias); W];
    }
    // SAFETY: as the caller promises.
    let source = unsafe { sums.source.add(column) };
    for (offsets, weights) in offsets
        .chunks_exact(TOGETHER)
        .zip(weights.chunks_exact(TOGETHER))
    {
        for ((own, &offset), &weight) in all.iter_mut().zip(offsets).zip(weights) {
            let weight = Of::<SET>::splat(weight);
            for (v, sum) in own.iter_mut().enumerate() {
                // SAFETY: as the caller promises.
                let row = unsafe { Of::<SET>::load(source.add(offset as usize + v * LANES)) };
                *sum = sum.add_product(weight, row);
            }
        }
    }
    // SAFETY: as the caller promises.
    unsafe { store_all::<SET, W, TOGETHER>(all, sums, targets, column) };
}

/// Adds residuals, applies the ReLU and writes `W` vectors of each target.
///
/// # Safety
/// As for [`sum_rows`](super::sum_rows).
#[inline(always)]
pub(super) unsafe fn store_all<const SET: u8, const W: usize, const N: usize>(
    all: [[<Set<SET> as HasVector>::Vector; W]; N],
    sums: RowSums<'_>,
    targets: &[Target],
    column: usize,
) where
    Set<SET>: HasVector,
{
    type Of<const SET: u8> = <Set<SET> as HasVector>::Vector;
    for (own, target) in all.into_iter().zip(targets) {
        if target.out == NONE {
            continue;
        }
        for (v, mut sum) in own.into_iter().enumerate() {
            let column = column + v * LANES;
            // SAFETY: as the caller promises.
            unsafe {
                if target.residual != NONE {
                    let residual =
                        Of::<SET>::load(sums.residuals.add(target.residual as usize + column));
                    sum = sum.add_product(Of::<SET>::splat(1.0), residual);
                }
                if sums.relu {
                    sum = sum.relu();
                }
                sum.store(sums.out.add(target.out as usize + column));
            }
        }
    }
}

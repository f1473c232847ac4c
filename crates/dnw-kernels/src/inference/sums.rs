//! Weighted sums of rows, with bias, residual and ReLU.

use std::ops::Range;

use super::activation::{Activation, activate_body};
use crate::simd::{AVX2, AVX512, LANES, multiply_add, vectorised};

/// Targets that share their rows in a block.
pub const BLOCK: usize = 4;

/// In place of an index: there is none.
pub const NONE: u32 = u32::MAX;

/// The output of one target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Where its numbers are written, counted from `out`; [`NONE`] in the last block of a layer that has fewer targets.
    pub out: u32,
    /// Where the numbers lie that are added, counted from `residuals`; or [`NONE`].
    pub residual: u32,
    /// Added to every number.
    pub bias: f32,
}

impl Target {
    /// A place in a block that no target takes.
    pub const NONE: Self = Self {
        out: NONE,
        residual: NONE,
        bias: 0.0,
    };
}

/// Weighted sums of rows.
#[derive(Clone, Copy, Debug)]
pub struct RowSums<'a> {
    /// What the offsets of rows are counted from.
    pub source: *const f32,
    /// What residuals are counted from.
    pub residuals: *const f32,
    /// What outputs are counted from.
    pub out: *mut f32,
    /// For each block the number of terms before it; one more than there are blocks.
    pub starts: &'a [u32],
    /// Where the row of each term starts.
    pub offsets: &'a [u32],
    /// For each term one weight per target of the block.
    pub weights: &'a [f32],
    /// Whether negative outputs become zero.
    pub relu: bool,
    /// A function of each output, while it is in the cache.
    pub activation: Option<Activation>,
    /// Vectors of sixteen numbers that are computed for all targets before the next: as many as let the rows stay in the cache.
    pub strip: usize,
}

/// Writes `vectors` vectors of sixteen numbers for each target of `blocks`. `target` describes each target by its index.
///
/// # Safety
/// From every offset and from every target's output and residual on, `16 * vectors` numbers must be readable, and writable for outputs. No
/// output may overlap a row, a residual of another target, or another output; a target's residual may be its output.
pub unsafe fn sum_rows<const N: usize>(
    sums: RowSums<'_>,
    blocks: Range<usize>,
    targets: &[Target],
    vectors: usize,
) {
    const { assert!(N == 1 || N == BLOCK) };
    assert!(blocks.end < sums.starts.len() && targets.len() >= N * blocks.end);
    assert_eq!(
        sums.weights.len(),
        N * sums.offsets.len(),
        "a weight for each term and target"
    );
    if N == 1 {
        singles(sums, blocks, targets, vectors);
    } else {
        quads(sums, blocks, targets, vectors);
    }
}

vectorised! {
    fn singles(sums: RowSums<'_>, blocks: Range<usize>, targets: &[Target], vectors: usize) = singles_body;
}

vectorised! {
    fn quads(sums: RowSums<'_>, blocks: Range<usize>, targets: &[Target], vectors: usize) = quads_body;
}

#[inline(always)]
fn singles_body<const SET: u8>(
    sums: RowSums<'_>,
    blocks: Range<usize>,
    targets: &[Target],
    vectors: usize,
) {
    let most = if SET == AVX512 { 12 } else { 6 };
    let mut pieces = Pieces::new(sums, blocks, vectors, most);
    while let Some(piece) = pieces.next() {
        let offsets = &sums.offsets[piece.terms.clone()];
        let weights = &sums.weights[piece.terms];
        let (target, column) = (targets[piece.block], piece.vector * LANES);
        // SAFETY: as the caller of `sum_rows` promises.
        unsafe {
            match piece.count {
                1 => single_1::<SET>(sums, offsets, weights, target, column),
                2 => single_2::<SET>(sums, offsets, weights, target, column),
                3 => single_3::<SET>(sums, offsets, weights, target, column),
                4 => single_4::<SET>(sums, offsets, weights, target, column),
                5 => single_5::<SET>(sums, offsets, weights, target, column),
                6 => single_6::<SET>(sums, offsets, weights, target, column),
                7 => single_7::<SET>(sums, offsets, weights, target, column),
                8 => single_8::<SET>(sums, offsets, weights, target, column),
                9 => single_9::<SET>(sums, offsets, weights, target, column),
                10 => single_10::<SET>(sums, offsets, weights, target, column),
                11 => single_11::<SET>(sums, offsets, weights, target, column),
                _ => single_12::<SET>(sums, offsets, weights, target, column),
            }
            activate_piece::<SET>(sums, target, column, piece.count);
        }
    }
}

#[inline(always)]
fn quads_body<const SET: u8>(
    sums: RowSums<'_>,
    blocks: Range<usize>,
    targets: &[Target],
    vectors: usize,
) {
    // Accumulators for four targets: 24 of 32 registers with AVX-512. With AVX2 12 of 16 narrower ones hold one and a half vectors.
    let most = match SET {
        AVX512 => 6,
        AVX2 => 3,
        _ => 1,
    };
    let mut pieces = Pieces::new(sums, blocks, vectors, most);
    // As many as possible of three, for which the loop is fastest.
    pieces.even = SET != AVX2;
    while let Some(piece) = pieces.next() {
        let offsets = &sums.offsets[piece.terms.clone()];
        let weights = &sums.weights[BLOCK * piece.terms.start..BLOCK * piece.terms.end];
        let (targets, column) = (
            &targets[BLOCK * piece.block..][..BLOCK],
            piece.vector * LANES,
        );
        // SAFETY: as the caller of `sum_rows` promises.
        unsafe {
            match piece.count {
                3 if SET == AVX2 => {
                    quad_halves::<SET>(sums, offsets, weights, targets, column);
                    let column = column + 3 * HALF;
                    quad_halves::<SET>(sums, offsets, weights, targets, column);
                }
                2 if SET == AVX2 => {
                    quad_1::<SET>(sums, offsets, weights, targets, column);
                    quad_1::<SET>(sums, offsets, weights, targets, column + LANES);
                }
                1 => quad_1::<SET>(sums, offsets, weights, targets, column),
                2 => quad_2::<SET>(sums, offsets, weights, targets, column),
                3 => quad_3::<SET>(sums, offsets, weights, targets, column),
                4 => quad_4::<SET>(sums, offsets, weights, targets, column),
                5 => quad_5::<SET>(sums, offsets, weights, targets, column),
                _ => quad_6::<SET>(sums, offsets, weights, targets, column),
            }
            for &target in targets {
                activate_piece::<SET>(sums, target, column, piece.count);
            }
        }
    }
}

/// Applies the activation to vectors of a target that were just written.
///
/// # Safety
/// As for [`sum_rows`].
#[inline(always)]
pub(super) unsafe fn activate_piece<const SET: u8>(
    sums: RowSums<'_>,
    target: Target,
    column: usize,
    vectors: usize,
) {
    if let Some(activation) = sums.activation
        && target.out != NONE
    {
        // SAFETY: as the caller promises: they are outputs of this target.
        let written = unsafe {
            let first = sums.out.add(target.out as usize + column);
            std::slice::from_raw_parts_mut(first, vectors * LANES)
        };
        activate_body::<SET>(activation, written);
    }
}

/// Vectors of a block that are summed in one loop.
pub(super) struct Piece {
    pub(super) block: usize,
    pub(super) terms: Range<usize>,
    pub(super) vector: usize,
    pub(super) count: usize,
}

/// All pieces: those of all blocks of a strip before the next strip. (No closure instead, because the compiler does not give a closure the
/// instruction set of the function that it is in.)
pub(super) struct Pieces<'a> {
    starts: &'a [u32],
    blocks: Range<usize>,
    block: usize,
    vectors: usize,
    strip: Range<usize>,
    width: usize,
    at: usize,
    most: usize,
    /// Whether the last pieces of a strip are of similar size.
    even: bool,
}

impl<'a> Pieces<'a> {
    #[inline(always)]
    pub(super) fn new(
        sums: RowSums<'a>,
        blocks: Range<usize>,
        vectors: usize,
        most: usize,
    ) -> Self {
        let width = sums.strip.max(1);
        Self {
            starts: sums.starts,
            block: blocks.start,
            blocks,
            vectors,
            strip: 0..vectors.min(width),
            width,
            at: 0,
            most,
            even: true,
        }
    }

    #[inline(always)]
    pub(super) fn next(&mut self) -> Option<Piece> {
        if self.at == self.strip.end {
            self.block += 1;
            self.at = self.strip.start;
        }
        if self.block >= self.blocks.end {
            self.strip =
                self.strip.end..self.vectors.min(self.strip.end.saturating_add(self.width));
            (self.block, self.at) = (self.blocks.start, self.strip.start);
        }
        if self.strip.is_empty() || self.blocks.is_empty() {
            return None;
        }
        let (left, most) = (self.strip.end - self.at, self.most);
        // In parts of similar size, because several independent additions hide the latency of each other.
        let count = match left {
            few if few <= most => few,
            some if some < 2 * most && self.even => some.div_ceil(2),
            _ => most,
        };
        let piece = Piece {
            block: self.block,
            terms: self.starts[self.block] as usize..self.starts[self.block + 1] as usize,
            vector: self.at,
            count,
        };
        self.at += count;
        Some(piece)
    }
}

/// A vector.
type Lanes = [f32; LANES];
/// Numbers of a register of AVX2.
const HALF: usize = LANES / 2;

/// # Safety
/// So many numbers must be readable.
#[inline(always)]
unsafe fn load<const N: usize>(from: *const f32) -> [f32; N] {
    // SAFETY: as promised; an array of numbers has no other requirement than their alignment, and none here.
    unsafe { from.cast::<[f32; N]>().read_unaligned() }
}

/// Adds the residual, applies the ReLU and writes a vector or half of one.
///
/// # Safety
/// As for [`sum_rows`].
#[inline(always)]
unsafe fn store<const N: usize>(
    mut sum: [f32; N],
    sums: RowSums<'_>,
    target: Target,
    column: usize,
) {
    if target.residual != NONE {
        // SAFETY: as the caller promises.
        let residual: [f32; N] =
            unsafe { load(sums.residuals.add(target.residual as usize + column)) };
        for i in 0..N {
            sum[i] += residual[i];
        }
    }
    if sums.relu {
        for x in &mut sum {
            *x = if *x > 0.0 { *x } else { 0.0 };
        }
    }
    // SAFETY: as the caller promises.
    unsafe {
        let out = sums.out.add(target.out as usize + column);
        out.cast::<[f32; N]>().write_unaligned(sum);
    };
}

/// Sums of one target. The accumulators are separate variables, because the compiler keeps an array of arrays in memory.
macro_rules! single {
    ($($name:ident: $($s:ident = $i:literal)*;)*) => {$(
        #[inline(always)]
        unsafe fn $name<const SET: u8>(
            sums: RowSums<'_>,
            offsets: &[u32],
            weights: &[f32],
            target: Target,
            column: usize,
        ) {
            $(let mut $s: Lanes = [target.bias; LANES];)*
            // SAFETY: as the caller promises.
            let source = unsafe { sums.source.add(column) };
            for (&offset, &w) in offsets.iter().zip(weights) {
                // SAFETY: as the caller promises.
                let x = unsafe { source.add(offset as usize) };
                $(
                    // SAFETY: as the caller promises.
                    let row: Lanes = unsafe { load(x.add($i * LANES)) };
                    for i in 0..LANES {
                        $s[i] = multiply_add::<SET>(w, row[i], $s[i]);
                    }
                )*
            }
            // SAFETY: as the caller promises.
            $(unsafe { store($s, sums, target, column + $i * LANES) };)*
        }
    )*};
}

single! {
    single_1: s0 = 0;
    single_2: s0 = 0 s1 = 1;
    single_3: s0 = 0 s1 = 1 s2 = 2;
    single_4: s0 = 0 s1 = 1 s2 = 2 s3 = 3;
    single_5: s0 = 0 s1 = 1 s2 = 2 s3 = 3 s4 = 4;
    single_6: s0 = 0 s1 = 1 s2 = 2 s3 = 3 s4 = 4 s5 = 5;
    single_7: s0 = 0 s1 = 1 s2 = 2 s3 = 3 s4 = 4 s5 = 5 s6 = 6;
    single_8: s0 = 0 s1 = 1 s2 = 2 s3 = 3 s4 = 4 s5 = 5 s6 = 6 s7 = 7;
    single_9: s0 = 0 s1 = 1 s2 = 2 s3 = 3 s4 = 4 s5 = 5 s6 = 6 s7 = 7 s8 = 8;
    single_10: s0 = 0 s1 = 1 s2 = 2 s3 = 3 s4 = 4 s5 = 5 s6 = 6 s7 = 7 s8 = 8 s9 = 9;
    single_11: s0 = 0 s1 = 1 s2 = 2 s3 = 3 s4 = 4 s5 = 5 s6 = 6 s7 = 7 s8 = 8 s9 = 9 s10 = 10;
    single_12: s0 = 0 s1 = 1 s2 = 2 s3 = 3 s4 = 4 s5 = 5 s6 = 6 s7 = 7 s8 = 8 s9 = 9 s10 = 10 s11 = 11;
}

/// Sums of four targets that share their rows: `$a`, `$b`, `$c` and `$d` are theirs.
macro_rules! quad {
    ($($name:ident: $($a:ident $b:ident $c:ident $d:ident = $i:literal)*;)*) => {$(
        #[inline(always)]
        unsafe fn $name<const SET: u8>(
            sums: RowSums<'_>,
            offsets: &[u32],
            weights: &[f32],
            targets: &[Target],
            column: usize,
        ) {
            $(
                let mut $a: Lanes = [targets[0].bias; LANES];
                let mut $b: Lanes = [targets[1].bias; LANES];
                let mut $c: Lanes = [targets[2].bias; LANES];
                let mut $d: Lanes = [targets[3].bias; LANES];
            )*
            // SAFETY: as the caller promises.
            let source = unsafe { sums.source.add(column) };
            for (&offset, w) in offsets.iter().zip(weights.chunks_exact(BLOCK)) {
                // SAFETY: as the caller promises.
                let x = unsafe { source.add(offset as usize) };
                $(
                    // SAFETY: as the caller promises.
                    let row: Lanes = unsafe { load(x.add($i * LANES)) };
                    for i in 0..LANES {
                        $a[i] = multiply_add::<SET>(w[0], row[i], $a[i]);
                        $b[i] = multiply_add::<SET>(w[1], row[i], $b[i]);
                        $c[i] = multiply_add::<SET>(w[2], row[i], $c[i]);
                        $d[i] = multiply_add::<SET>(w[3], row[i], $d[i]);
                    }
                )*
            }
            $(for (target, sum) in targets.iter().zip([$a, $b, $c, $d]) {
                if target.out != NONE {
                    // SAFETY: as the caller promises.
                    unsafe { store(sum, sums, *target, column + $i * LANES) };
                }
            })*
        }
    )*};
}

quad! {
    quad_1: a0 b0 c0 d0 = 0;
    quad_2: a0 b0 c0 d0 = 0 a1 b1 c1 d1 = 1;
    quad_3: a0 b0 c0 d0 = 0 a1 b1 c1 d1 = 1 a2 b2 c2 d2 = 2;
    quad_4: a0 b0 c0 d0 = 0 a1 b1 c1 d1 = 1 a2 b2 c2 d2 = 2 a3 b3 c3 d3 = 3;
    quad_5: a0 b0 c0 d0 = 0 a1 b1 c1 d1 = 1 a2 b2 c2 d2 = 2 a3 b3 c3 d3 = 3 a4 b4 c4 d4 = 4;
    quad_6: a0 b0 c0 d0 = 0 a1 b1 c1 d1 = 1 a2 b2 c2 d2 = 2 a3 b3 c3 d3 = 3 a4 b4 c4 d4 = 4 a5 b5 c5 d5 = 5;
}

/// Three halves of a vector of each of four targets, with twelve of sixteen registers as accumulators.
///
/// # Safety
/// As for [`sum_rows`].
#[inline(always)]
unsafe fn quad_halves<const SET: u8>(
    sums: RowSums<'_>,
    offsets: &[u32],
    weights: &[f32],
    targets: &[Target],
    column: usize,
) {
    type Half = [f32; HALF];
    macro_rules! halves {
        ($($s0:ident $s1:ident $s2:ident = $target:literal)*) => {
            $(
                let bias: Half = [targets[$target].bias; HALF];
                let (mut $s0, mut $s1, mut $s2) = (bias, bias, bias);
            )*
            // SAFETY: as the caller promises.
            let source = unsafe { sums.source.add(column) };
            for (&offset, w) in offsets.iter().zip(weights.chunks_exact(BLOCK)) {
                // SAFETY: as the caller promises.
                let [x0, x1, x2]: [Half; 3] = unsafe {
                    let x = source.add(offset as usize);
                    [load(x), load(x.add(HALF)), load(x.add(2 * HALF))]
                };
                // One weight at a time, because four would need a register more than there are.
                $(for i in 0..HALF {
                    $s0[i] = multiply_add::<SET>(w[$target], x0[i], $s0[i]);
                    $s1[i] = multiply_add::<SET>(w[$target], x1[i], $s1[i]);
                    $s2[i] = multiply_add::<SET>(w[$target], x2[i], $s2[i]);
                })*
            }
            $(if targets[$target].out != NONE {
                for (i, sum) in [$s0, $s1, $s2].into_iter().enumerate() {
                    // SAFETY: as the caller promises.
                    unsafe { store(sum, sums, targets[$target], column + i * HALF) };
                }
            })*
        };
    }
    halves!(a0 a1 a2 = 0 b0 b1 b2 = 1 c0 c1 c2 = 2 d0 d1 d2 = 3);
}

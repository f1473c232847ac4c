//! Weighted sums of rows.

use dnw_kernels::inference::{BLOCK, NONE, RowSums, Target, sum_rows};

use super::{Part, pointwise::rectified};
use crate::check::vectors;
use crate::memory::Arena;
use crate::plan::{Maps, Sums, VECTOR};

/// Sums with the offset of each term.
#[derive(Debug)]
pub(super) struct PreparedSums {
    block: usize,
    starts: Vec<u32>,
    offsets: Vec<u32>,
    weights: Vec<f32>,
    targets: Vec<Target>,
    to: Maps,
    residual: Option<Maps>,
    relu: bool,
    line: usize,
    vectors: usize,
    strip: usize,
    /// Whether vectors are written to the output maps at once: their lines follow each other, as the lines of rows do.
    is_direct: bool,
}

/// Bytes of rows that are read for one strip: about a level 1 cache.
const CACHED_BYTES: usize = 24 << 10;

impl PreparedSums {
    pub(super) fn new(sums: Sums) -> Self {
        let Sums { to, residual, .. } = sums;
        let [_, height, width] = to.shape;
        let vectors = vectors(height, width, sums.line).expect("a checked plan");
        let is_direct = sums.line == width && to.stride.is_multiple_of(VECTOR);
        let targets = sums
            .channels
            .iter()
            .zip(&sums.bias)
            .map(|(&channel, &bias)| {
                let at = |maps: Maps| (maps.at + channel as usize * maps.stride) as u32;
                let is_channel = channel != u32::MAX;
                Target {
                    out: if is_channel { at(to) } else { NONE },
                    residual: residual
                        .filter(|_| is_channel && is_direct)
                        .map_or(NONE, at),
                    bias,
                }
            });
        let mut offsets = sums.terms;
        for term in &mut offsets {
            *term = sums.rows[*term as usize];
        }
        let strip = (CACHED_BYTES / (4 * VECTOR * sums.rows.len().max(1))).max(12);
        Self {
            block: sums.block,
            targets: targets.collect(),
            starts: sums.starts,
            offsets,
            weights: sums.weights,
            to,
            residual,
            relu: sums.relu,
            line: sums.line,
            vectors,
            strip,
            is_direct,
        }
    }

    pub(super) fn operation(&self) -> &'static str {
        if self.block == 1 {
            "sparse sums"
        } else {
            "blocked sums"
        }
    }

    pub(super) fn scratch(&self) -> usize {
        if self.is_direct {
            0
        } else {
            self.block * self.vectors * VECTOR
        }
    }

    /// # Safety
    /// As for [`Prepared::execute`](super::Prepared::execute).
    pub(super) unsafe fn execute(&self, arena: Arena, scratch: &mut [f32], part: Part) {
        let blocks = self.starts.len() - 1;
        // By terms, which is what takes time.
        let terms = self.offsets.len();
        let end = |index: usize| {
            let most = (terms * index / part.of) as u32;
            if index == part.of {
                blocks
            } else {
                self.starts[..blocks].partition_point(|&start| start < most)
            }
        };
        let own = end(part.index)..end(part.index + 1);
        let mut sums = RowSums {
            source: arena.start,
            out: arena.start,
            starts: &self.starts,
            offsets: &self.offsets,
            weights: &self.weights,
            relu: self.relu,
            strip: self.strip,
        };
        if self.is_direct {
            // SAFETY: the check of the plan.
            unsafe { self.sum(sums, own, &self.targets) };
            return;
        }
        sums.out = scratch.as_mut_ptr();
        sums.relu = false;
        let numbers = self.vectors * VECTOR;
        for block in own {
            let mut targets = [Target {
                out: NONE,
                residual: NONE,
                bias: 0.0,
            }; BLOCK];
            let these = &self.targets[block * self.block..][..self.block];
            for (i, (target, own)) in targets.iter_mut().zip(these).enumerate() {
                let out = if own.out == NONE {
                    NONE
                } else {
                    (i * numbers) as u32
                };
                *target = Target {
                    out,
                    residual: NONE,
                    bias: own.bias,
                };
            }
            let one = RowSums {
                starts: &self.starts[block..block + 2],
                ..sums
            };
            // SAFETY: the check of the plan; scratch memory holds a block.
            unsafe { self.sum(one, 0..1, &targets[..self.block]) };
            for (i, own) in these.iter().enumerate().filter(|(_, own)| own.out != NONE) {
                let numbers = &scratch[i * numbers..][..numbers];
                // SAFETY: as for `execute`.
                unsafe { self.write_lines(arena, numbers, own.out as usize) };
            }
        }
    }

    unsafe fn sum(&self, sums: RowSums<'_>, blocks: std::ops::Range<usize>, targets: &[Target]) {
        // SAFETY: as the caller promises.
        unsafe {
            match self.block {
                1 => sum_rows::<1>(sums, blocks, targets, self.vectors),
                _ => sum_rows::<BLOCK>(sums, blocks, targets, self.vectors),
            }
        }
    }

    /// Copies the lines of a target to its map, with residual and ReLU.
    unsafe fn write_lines(&self, arena: Arena, numbers: &[f32], at: usize) {
        let [_, height, width] = self.to.shape;
        for y in 0..height {
            let line = &numbers[y * self.line..][..width];
            // SAFETY: as for `execute`.
            let out = unsafe { arena.write(at + y * width, width) };
            out.copy_from_slice(line);
            if let Some(residual) = self.residual {
                // SAFETY: as for `execute`.
                let residual =
                    unsafe { arena.read(at - self.to.at + residual.at + y * width, width) };
                out.iter_mut().zip(residual).for_each(|(x, r)| *x += r);
            }
            if self.relu {
                out.iter_mut().for_each(|x| *x = rectified(*x));
            }
        }
    }
}

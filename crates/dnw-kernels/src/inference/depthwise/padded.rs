//! Copies of maps with zeros between their lines.

use super::shape::{DepthwiseShape, Lines};
use crate::simd::{BASELINE, LANES};
use crate::vector::{HasVector, Set, Vector, first_lanes};

/// Where a copy lies in scratch memory that is zero at first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Padded {
    map: [usize; 2],
    /// Numbers from a line to the next.
    pub(super) line: usize,
    /// Numbers of the copy, and of what may be read before and behind it.
    pub(super) scratch: usize,
}

/// Numbers before the first pixel.
const LEAD: usize = LANES;

impl Padded {
    /// For square kernels and the same stride both ways. No size is zero.
    pub(super) fn new(shape: DepthwiseShape) -> Self {
        let ([height, width], columns) = (shape.map, shape.output[1]);
        let (kernel, stride, left) = (shape.kernel[1], shape.stride[1], shape.padding[1]);
        // Left of a line are the zeros right of the line before.
        let right = (stride * (columns - 1) + kernel).saturating_sub(left + width);
        // Lines begin at whole halves of vectors, which are loaded faster.
        let line = (width + right.max(left)).next_multiple_of(LANES / 2);
        let read = stride * columns.next_multiple_of(LANES);
        Self {
            map: shape.map,
            line,
            scratch: LEAD + (height - 1) * line + read.max(width) + 3 * LANES,
        }
    }

    /// Copies a map. Returns where its first pixel is.
    ///
    /// [`pad_lines`](super::super::pad_lines) would do it, but need not know that all numbers between lines are zero before: with it depthwise layers of 14
    /// pixels a side take a fifth longer.
    #[inline(always)]
    pub(super) fn fill<const SET: u8>(&self, x: Lines<'_>, copy: &mut [f32]) -> *const f32
    where
        Set<SET>: HasVector,
    {
        let [height, width] = self.map;
        x.check(self.map);
        assert!(copy.len() >= LEAD + (height - 1) * self.line + width + LANES);
        let (whole, left) = (width - width % LANES, width % LANES);
        for y in 0..height {
            if SET == BASELINE {
                copy[LEAD + y * self.line..][..width]
                    .copy_from_slice(&x.numbers[y * x.line..][..width]);
                continue;
            }
            let last = <Set<SET> as HasVector>::Vector::mask(first_lanes(left));
            // SAFETY: the lengths were checked above. What is written behind the line are zeros: the next lines are written later.
            unsafe {
                let from = x.numbers.as_ptr().add(y * x.line);
                let to = copy.as_mut_ptr().add(LEAD + y * self.line);
                for at in (0..whole).step_by(LANES) {
                    <Set<SET> as HasVector>::Vector::load(from.add(at)).store(to.add(at));
                }
                if left > 0 {
                    let pixels = <Set<SET> as HasVector>::Vector::load_some(from.add(whole), last);
                    pixels.store(to.add(whole));
                }
            }
        }
        copy[LEAD..].as_ptr()
    }
}

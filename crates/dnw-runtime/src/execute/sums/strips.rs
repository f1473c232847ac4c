//! Parts of maps that are computed for all targets before the next part, so that the rows that they read stay in the cache.

use std::ops::Range;

use dnw_kernels::inference::{Depthwise, DepthwiseShape};

use crate::plan::{CACHED_BYTES, Sums, VECTOR};

/// Bytes of rows that stay in a level 1 cache.
const LEVEL_1: usize = 24 << 10;
/// The fewest vectors of a strip: a loop over edges begins and ends once for each.
const FEWEST: usize = 4;

/// Some lines of the output.
#[derive(Debug)]
pub(super) struct Strip {
    /// Lines of the output.
    pub(super) output: Range<usize>,
    /// Lines of the sums that they depend on.
    pub(super) lines: Range<usize>,
    /// The first number of a row that is read, a multiple of [`VECTOR`].
    pub(super) first: usize,
    /// Numbers before the first line of the sums.
    pub(super) skip: usize,
    /// Vectors that are summed.
    pub(super) vectors: usize,
    /// The depthwise convolution that follows.
    pub(super) layout: Option<Depthwise>,
}

impl Strip {
    /// Numbers that the convolution needs.
    pub(super) fn scratch(&self) -> usize {
        self.layout.as_ref().map_or(0, Depthwise::scratch)
    }
}

/// Vectors of each row that are computed for all targets before the next: what fits in the level 1 cache if that is much, else what fits in
/// the level 2 cache.
pub(super) fn vectors_in_cache(rows: usize, vectors: usize) -> usize {
    let fit = |bytes: usize| bytes / (4 * VECTOR * rows.max(1));
    let near = fit(LEVEL_1);
    let strip = if near >= 2 * FEWEST {
        near
    } else {
        fit(CACHED_BYTES).max(FEWEST)
    };
    // Strips of similar size.
    vectors.div_ceil(vectors.div_ceil(strip).max(1)).max(1)
}

/// The strips of sums whose lines are copied or convolved.
pub(super) fn strips(sums: &Sums) -> Vec<Strip> {
    let [height, width] = sums.map;
    let lines = sums.to.shape[1];
    let bytes_per_line = 4 * sums.line * sums.rows.len().max(1);
    let per_strip = match &sums.then {
        // Lines at the border of strips are computed twice.
        Some(then) => CACHED_BYTES / bytes_per_line / then.window.stride[0],
        None if LEVEL_1 / bytes_per_line > 0 => LEVEL_1 / bytes_per_line,
        None => CACHED_BYTES / bytes_per_line,
    };
    let fewest = (FEWEST * VECTOR).div_ceil(sums.line);
    let per_strip = per_strip.max(fewest).max(1);
    let count = lines.div_ceil(per_strip);
    (0..count)
        .map(|i| {
            let output = lines * i / count..lines * (i + 1) / count;
            let (needed, layout) = match &sums.then {
                None => (output.clone(), None),
                Some(then) => {
                    let window = then.window;
                    let top = output.start * window.stride[0];
                    let bottom = (output.end - 1) * window.stride[0] + window.kernel[0];
                    let needed = top.saturating_sub(window.padding[0])
                        ..(bottom.saturating_sub(window.padding[0])).min(height);
                    let shape = DepthwiseShape {
                        map: [needed.len(), width],
                        output: [output.len(), sums.to.shape[2]],
                        kernel: window.kernel,
                        stride: window.stride,
                        padding: [window.padding[0].saturating_sub(top), window.padding[1]],
                        dilation: window.dilation,
                    };
                    (needed, Some(Depthwise::new(shape)))
                }
            };
            let start = needed.start * sums.line;
            let first = start - start % VECTOR;
            let end = ((needed.end - 1) * sums.line + width).next_multiple_of(VECTOR);
            Strip {
                output,
                lines: needed,
                first,
                skip: start - first,
                vectors: (end - first) / VECTOR,
                layout,
            }
        })
        .collect()
}

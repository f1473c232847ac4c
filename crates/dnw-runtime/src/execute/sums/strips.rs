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

/// Vectors of each row that are computed for all targets before the next. All, if the rows fit in the cache or each is read a few times only:
/// then it is read faster in one go. Else as many as let the rows stay in the cache.
///
/// The limits are what was fastest for the layers of MobileNetV1 and ResNet-50, on an AVX-512 CPU with 1 MiB of level 2 cache.
pub(super) fn vectors_in_cache(sums: &Sums, vectors: usize) -> usize {
    /// The least number of times that a row is read.
    const READS: usize = 6;
    let lines = Rows::new(&sums.rows);
    if lines.bytes(vectors) <= CACHED_BYTES || sums.terms.len() < READS * sums.rows.len() {
        return vectors.max(1);
    }
    let fits = |&strip: &usize| lines.bytes(strip) <= CACHED_BYTES;
    let strip = [4, 3].into_iter().find(fits).unwrap_or(2);
    // Strips of similar size.
    vectors.div_ceil(vectors.div_ceil(strip))
}

/// Where rows start, in order.
struct Rows(Vec<u32>);

impl Rows {
    fn new(rows: &[u32]) -> Self {
        let mut starts = rows.to_vec();
        starts.sort_unstable();
        Self(starts)
    }

    /// The bytes of so many vectors of each row. Those of rows that overlap, as the taps of a kernel do, count once.
    fn bytes(&self, vectors: usize) -> usize {
        let len = vectors * VECTOR;
        let gaps = self.0.windows(2).map(|pair| (pair[1] - pair[0]) as usize);
        4 * (gaps.map(|gap| gap.min(len)).sum::<usize>() + len)
    }
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

//! What the kernels of a layer cost, in nanoseconds per vector of sixteen numbers.
//!
//! The numbers are constants and not measured where a network is compiled, so that the same run gives the same file everywhere.

use dnw_runtime::plan::{BLOCK, CACHED_BYTES};

/// An edge of one target: a row is loaded, multiplied and added.
const SINGLE: f64 = 0.34;
/// A row that four targets share, with a weight for each.
const SHARED: f64 = 1.10;

/// Whether it costs less to compute four targets at once, with zeros for edges that not all of them have.
pub(crate) fn prefers_blocks(edges: usize, shared: usize) -> bool {
    debug_assert!(shared * BLOCK >= edges);
    (shared as f64) * SHARED < edges as f64 * SINGLE
}

/// Whether a dense matrix costs less than a list of edges, for a product with one vector. An edge costs as much as four entries, whose
/// weights are loaded and multiplied as vectors.
pub(crate) fn prefers_dense_matrix(edges: usize, entries: usize) -> bool {
    edges * 4 > entries
}

/// Whether the output of a layer is best convolved while it is in the cache: if the rows that a strip of its lines reads fit there, and few
/// lines are computed twice, at the border of two strips.
pub(crate) fn prefers_strips([height, width]: [usize; 2], rows: usize, kernel: usize) -> bool {
    let lines = CACHED_BYTES / (4 * width * rows.max(1));
    lines >= height || lines >= 4 * (kernel - 1)
}

//! The cost model that selects how to compute a wired product.
//!
//! There are two algorithms. The sparse one loads a row of the source for each real edge. The dense one multiplies a matrix that has zeros
//! for hallucinated edges: it computes every entry, but each row that it loads is used for many targets. The dense one also writes the
//! matrix and packs it into tiles, which dominates where rows are short.
//!
//! The constants are nanoseconds per thread on the machine of `docs/performance.md`, which derives them; only their ratios matter. They
//! are constants and not measured at run time, because the algorithm determines the order of additions: the same command has to return the
//! same bits every time. The environment variable `DNW_PRODUCTS` forces one algorithm, so that each can be tested and measured separately.

use crate::settings::forced_products;
use crate::simd::LANES;

/// Loading and adding one vector of an edge's row.
const EDGE_VECTOR: f64 = 0.50;
/// One vector of an entry's row, in the dense product.
const ENTRY_VECTOR: f64 = 0.18;
/// Writing and packing one entry of the matrix.
const ENTRY: f64 = 3.0;

/// Whether the dense product of a matrix with `entries` entries is cheaper than a sum over its real `edges`. `length` is the length of a
/// source row.
pub(crate) fn prefers_dense(edges: usize, entries: usize, length: usize) -> bool {
    length > 0 && forced_products().unwrap_or_else(|| is_cheaper_dense(edges, entries, length))
}

fn is_cheaper_dense(edges: usize, entries: usize, length: usize) -> bool {
    let vectors = length as f64 / LANES as f64;
    let sparse = edges as f64 * EDGE_VECTOR * vectors;
    let dense = entries as f64 * (ENTRY_VECTOR * vectors + ENTRY);
    sparse > dense
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dense_product_is_cheaper_at_high_density_and_for_long_rows() {
        let at = |percent: usize, length| is_cheaper_dense(percent, 100, length);
        // 64 images of 8 x 8 pixels.
        assert!(!at(10, 4096) && !at(35, 4096) && at(40, 4096) && at(100, 4096));
        // 64 images of 2 x 2.
        assert!(!at(70, 256) && at(80, 256));
        // A linear layer with few images: writing the matrix costs more than the dense product saves.
        assert!(!at(100, 64) && !at(100, 0));
    }
}

//! What the two ways to make a wired product cost, so that the cheaper one is taken.
//!
//! Edge by edge, a product brings a row of the source for each real edge. As a dense product over a matrix with zeros, it multiplies and
//! adds for every entry, but brings each row once for many; first the matrix has to be written, and laid out for the tiles of the
//! product, which is what matters where rows are short.
//!
//! The constants are nanoseconds of a thread of the machine of `docs/performance.md`, where they are derived; only their ratios matter.
//! They are no measurements of the machine at hand, because the choice decides in which order numbers are added: the same command has to
//! give the same bits whatever else the machine was doing. The environment variable `DNW_PRODUCTS` (`edges`, `dense`) makes all products in
//! one way, so that each can be tested and measured by itself.

use std::sync::OnceLock;

use crate::simd::LANES;

/// A vector of an edge's row, brought and added.
const OF_EDGE: f64 = 0.50;
/// A vector of an entry's row, in a dense product.
const OF_ENTRY: f64 = 0.18;
/// An entry of the matrix, written and laid out.
const ENTRY: f64 = 3.0;

/// Whether the dense product over a matrix of so many `entries` is cheaper than a sum over the `edges` that are real, where a row has
/// this `length` in all.
pub(crate) fn prefers_dense(edges: usize, entries: usize, length: usize) -> bool {
    static ASKED: OnceLock<Option<bool>> = OnceLock::new();
    let asked = ASKED.get_or_init(|| asked(std::env::var("DNW_PRODUCTS").ok().as_deref()));
    length > 0 && asked.unwrap_or_else(|| is_cheaper_dense(edges, entries, length))
}

/// Whether the dense product was asked for, if either way was.
fn asked(name: Option<&str>) -> Option<bool> {
    match name {
        Some("edges") => Some(false),
        Some("dense") => Some(true),
        _ => None,
    }
}

fn is_cheaper_dense(edges: usize, entries: usize, length: usize) -> bool {
    let vectors = length as f64 / LANES as f64;
    let one_by_one = edges as f64 * OF_EDGE * vectors;
    let dense = entries as f64 * (OF_ENTRY * vectors + ENTRY);
    one_by_one > dense
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_way_may_be_asked_for() {
        let ways = [Some("edges"), Some("dense"), None].map(asked);
        assert_eq!(ways, [Some(false), Some(true), None]);
    }

    #[test]
    fn dense_products_pay_where_most_is_real_and_rows_are_long() {
        let at = |percent: usize, length| is_cheaper_dense(percent, 100, length);
        // 64 images of 8 x 8 pixels.
        assert!(!at(10, 4096) && !at(35, 4096) && at(40, 4096) && at(100, 4096));
        // 64 images of 2 x 2.
        assert!(!at(70, 256) && at(80, 256));
        // A linear layer of few images: the matrix costs more than it saves.
        assert!(!at(100, 64) && !at(100, 0));
    }
}

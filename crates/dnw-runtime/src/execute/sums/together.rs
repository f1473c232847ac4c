//! Targets with about as many edges, which are summed together.

use dnw_kernels::inference::{TOGETHER, sums_together};

use crate::plan::Sums;

/// With fewer edges in a target on average, one target at a time is as fast or faster, whatever the unit (`docs/inference.md`).
const FEWEST_EDGES: usize = 48;
/// Terms without an edge, which only fill a block, may be one in so many.
const FEWEST_PER_FILL: usize = 8;

/// The terms of all targets in blocks of [`TOGETHER`].
pub(super) struct Blocks {
    /// For each block the number of terms before it; one more than there are blocks.
    pub(super) starts: Vec<u32>,
    /// For each term the row of each target.
    pub(super) rows: Vec<u32>,
    /// For each term the weight of each target.
    pub(super) weights: Vec<f32>,
    /// The targets, by number of edges; the last block is filled up with `None`.
    pub(super) order: Vec<Option<usize>>,
}

impl Blocks {
    /// The blocks of these sums, if they are computed faster so: on this processor, with many edges in a target and few terms that only fill a
    /// block up. Each target is summed in the same order as alone, so bits do not change. (What fills a block up can only change the sign of
    /// a zero, or infinity to NaN.)
    pub(super) fn new(sums: &Sums) -> Option<Self> {
        let targets = sums.channels.len();
        let fits = sums.block == 1 && sums.then.is_none() && targets >= 2 * TOGETHER;
        if !fits || sums.terms.len() < FEWEST_EDGES * targets || !sums_together() {
            return None;
        }
        let edges = |target: usize| sums.starts[target] as usize..sums.starts[target + 1] as usize;
        let mut order: Vec<usize> = (0..targets).collect();
        order.sort_by_key(|&target| edges(target).len());
        let most = |block: &[usize]| edges(block[block.len() - 1]).len();
        let terms: usize = order.chunks(TOGETHER).map(most).sum();
        if terms * TOGETHER > sums.terms.len() + sums.terms.len() / FEWEST_PER_FILL {
            return None;
        }
        let mut starts = vec![0];
        let (mut rows, mut weights) = (vec![0; terms * TOGETHER], vec![0.0; terms * TOGETHER]);
        let mut at = 0;
        for block in order.chunks(TOGETHER) {
            let most = most(block);
            for place in 0..TOGETHER {
                // A block that is not full repeats a target, whose sums are not stored.
                let own = edges(block[place.min(block.len() - 1)]);
                for i in 0..most {
                    let to = (at + i) * TOGETHER + place;
                    // Zero times a row that the target reads anyway; any row for a target without edges.
                    let edge = own.clone().nth(i);
                    weights[to] = edge.map_or(0.0, |edge| sums.weights[edge]);
                    let edge = edge.or(own.clone().last());
                    rows[to] =
                        edge.map_or(sums.rows[0], |edge| sums.rows[sums.terms[edge] as usize]);
                }
            }
            at += most;
            starts.push(at as u32);
        }
        let places = targets.next_multiple_of(TOGETHER);
        let order = order.into_iter().map(Some).chain(std::iter::repeat(None));
        Some(Self {
            starts,
            rows,
            weights,
            order: order.take(places).collect(),
        })
    }
}

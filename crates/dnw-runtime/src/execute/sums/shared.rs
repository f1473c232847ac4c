//! Targets that have many rows in common.

use dnw_kernels::inference::{BLOCK, LANES, SharedRows};

use crate::plan::Sums;

/// The least part of all terms that has an edge, if no two rows overlap.
const LEAST_DENSITY: f64 = 0.2;
/// The same if they overlap, as those of k x k convolutions do: tiles of them stay in the level 1 cache.
const LEAST_DENSITY_OVERLAPPING: f64 = 0.05;
/// With fewer edges in a target the loops over groups are too short.
const FEWEST_EDGES: usize = 20;
/// Nearly full blocks of four targets are faster with their zeros.
const MOST_DENSITY: f64 = 0.95;

/// The terms of sums whose targets have many rows in common, in blocks of [`BLOCK`], if they are computed faster so. It does not depend on the
/// processor, because the order of additions does.
///
/// The limits are what was fastest for ResNet-18, MobileNetV1 and SqueezeNet of all densities, on an AVX-512 CPU; with AVX2 it makes no difference.
pub(super) fn shared_rows(sums: &Sums) -> Option<SharedRows> {
    let targets = sums.channels.iter().filter(|&&c| c != u32::MAX).count();
    if sums.then.is_some() || targets < BLOCK {
        return None;
    }
    let edges = sums.weights.iter().filter(|&&w| w != 0.0).count();
    let density = edges as f64 / (targets * sums.rows.len()) as f64;
    let vectors = sums.to.stride / LANES;
    let mut rows = sums.rows.clone();
    rows.sort_unstable();
    rows.dedup();
    let least = match SharedRows::overlap(&rows, vectors) {
        overlap if overlap < 2.0 => LEAST_DENSITY,
        _ => LEAST_DENSITY_OVERLAPPING,
    };
    if !(least..=MOST_DENSITY).contains(&density) || edges < FEWEST_EDGES * targets {
        return None;
    }
    let blocks = (0..targets.div_ceil(BLOCK)).map(|block| terms(sums, block));
    Some(SharedRows::new(blocks, &rows, vectors))
}

/// The terms of a block: a row, and a weight for each of its targets.
fn terms(sums: &Sums, block: usize) -> Vec<(u32, [f32; BLOCK])> {
    let own = |index: usize| sums.starts[index] as usize..sums.starts[index + 1] as usize;
    let row = |term: usize| sums.rows[sums.terms[term] as usize];
    if sums.block == BLOCK {
        let weights = |term: usize| std::array::from_fn(|i| sums.weights[BLOCK * term + i]);
        return own(block).map(|term| (row(term), weights(term))).collect();
    }
    let mut terms: Vec<(u32, [f32; BLOCK])> = Vec::new();
    for place in 0..BLOCK.min(sums.channels.len() - block * BLOCK) {
        for term in own(block * BLOCK + place) {
            let mut weights = [0.0; BLOCK];
            weights[place] = sums.weights[term];
            terms.push((row(term), weights));
        }
    }
    terms.sort_by_key(|&(row, _)| row);
    terms.dedup_by(|next, first| {
        let is_same = next.0 == first.0;
        if is_same {
            (0..BLOCK).for_each(|i| first.1[i] += next.1[i]);
        }
        is_same
    });
    terms
}

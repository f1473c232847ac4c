//! Targets that have many rows in common.

use dnw_kernels::inference::{BLOCK, LANES, SharedRows};

use crate::plan::Sums;

/// The least part of all terms that has an edge, if no two rows overlap.
const LEAST_DENSITY: f64 = 0.2;
/// The same if they overlap, as those of k x k convolutions do: tiles of them stay in the level 1 cache.
const LEAST_DENSITY_OVERLAPPING: f64 = 0.15;
/// With fewer edges in a target the loops over groups are too short.
const FEWEST_EDGES: usize = 20;
/// Nearly full blocks of four targets are faster with their zeros.
const MOST_DENSITY: f64 = 0.95;

/// The terms of sums whose targets have many rows in common, in blocks of [`BLOCK`], if they are computed faster so. It does not depend on the
/// processor, because the order of additions does.
///
/// The limits are what was fastest for ResNet-18, MobileNetV1 and SqueezeNet of all densities, on an AVX-512 CPU, and with AVX2 not slower (at a
/// density of 0.1 it is, by a tenth).
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
    // The place of each row in ascending order.
    let places = sums
        .rows
        .iter()
        .map(|row| rows.partition_point(|r| r < row));
    let places: Vec<usize> = places.collect();
    let blocks = sums.channels.len().div_ceil(BLOCK);
    let shared = SharedRows::new(&rows, vectors, blocks, |block, weights| {
        // The blocks of the plan that are targets of this block.
        let own = match sums.block {
            BLOCK => block..block + 1,
            _ => block * BLOCK..targets.min((block + 1) * BLOCK),
        };
        for (index, own) in own.enumerate() {
            for term in sums.starts[own] as usize..sums.starts[own + 1] as usize {
                let all = &mut weights[places[sums.terms[term] as usize]];
                // A row can be read twice, if channels were concatenated with themselves.
                match sums.block {
                    BLOCK => (0..BLOCK).for_each(|i| all[i] += sums.weights[BLOCK * term + i]),
                    _ => all[index] += sums.weights[term],
                }
            }
        }
    });
    Some(shared)
}

//! Magnitudes as integers, 64 entries at a time.

use crate::simd::above;

/// Entries per task: a whole number of words.
pub(crate) const CHUNK: usize = 1 << 14;
/// Low bits of a magnitude that the histogram ignores.
pub(super) const LOW_BITS: u32 = 20;
/// Bins of the histogram.
pub(super) const BINS: usize = 1 << (31 - LOW_BITS);
/// The bits of infinity. Larger bits are NaN.
pub(super) const INFINITY: u32 = 0x7f80_0000;

/// The bits of |weight|.
#[inline(always)]
pub(super) fn magnitude(weight: f32) -> u32 {
    weight.to_bits() & 0x7fff_ffff
}

/// The n-th largest key, counted from one, and how many keys equal to it are among the n largest.
pub(super) fn nth_largest(keys: &mut [u32], n: usize) -> (u32, usize) {
    let rank = keys.len() - n;
    let (_, &mut nth, above) = keys.select_nth_unstable(rank);
    (nth, n - above.iter().filter(|&&key| key > nth).count())
}

/// The weights in groups of 64, each with the bit mask of its candidates.
#[inline(always)]
pub(super) fn words<'a>(
    weights: &'a [f32],
    candidates: Option<&'a [u64]>,
) -> impl Iterator<Item = (&'a [f32], u64)> {
    weights.chunks(64).enumerate().map(move |(word, weights)| {
        let in_range = u64::MAX >> (64 - weights.len());
        (
            weights,
            candidates.map_or(u64::MAX, |candidates| candidates[word]) & in_range,
        )
    })
}

/// The bits of up to 64 magnitudes, padded with zeros.
#[inline(always)]
pub(super) fn keys_of(weights: &[f32]) -> [u32; 64] {
    let mut keys = [0; 64];
    if let Ok(weights) = <&[f32; 64]>::try_from(weights) {
        for i in 0..64 {
            keys[i] = magnitude(weights[i]);
        }
    } else {
        for (key, &weight) in keys.iter_mut().zip(weights) {
            *key = magnitude(weight);
        }
    }
    keys
}

/// [`above`] of up to 64 weights, padded with zeros.
#[inline(always)]
pub(super) fn above_of<const SET: u8, const N: usize>(
    weights: &[f32],
    bounds: [u32; N],
) -> [u64; N] {
    if let Ok(weights) = weights.try_into() {
        return above::<SET, N>(weights, bounds);
    }
    let mut padded = [0.0; 64];
    padded[..weights.len()].copy_from_slice(weights);
    above::<SET, N>(&padded, bounds)
}

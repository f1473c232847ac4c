//! Magnitudes as whole numbers, and masks 64 entries at a time.

use crate::simd::{above, not_zero};

/// Entries that a task goes through at once: a whole number of words.
pub(crate) const CHUNK: usize = 1 << 14;

/// The bits of infinity: what is above is not a number.
pub(super) const INFINITY: u32 = 0x7f80_0000;

#[inline(always)]
pub(super) fn magnitude(weight: f32) -> u32 {
    weight.to_bits() & 0x7fff_ffff
}

/// Adds the places of the bits of a word.
#[inline(always)]
pub(super) fn push(mut word: u64, first: usize, places: &mut Vec<usize>) {
    while word != 0 {
        places.push(first + word.trailing_zeros() as usize);
        word &= word - 1;
    }
}

/// A bit for each byte that is not zero.
#[inline(always)]
pub(super) fn word_of<const SET: u8>(bytes: &[u8]) -> u64 {
    if let Ok(bytes) = bytes.try_into() {
        return not_zero::<SET>(bytes);
    }
    let mut padded = [0; 64];
    padded[..bytes.len()].copy_from_slice(bytes);
    not_zero::<SET>(&padded)
}

/// The n-th largest (from one), and how many that equal it are among the n largest.
pub(super) fn nth_largest(keys: &mut [u32], n: usize) -> (u32, usize) {
    let place = keys.len() - n;
    let (_, &mut nth, above) = keys.select_nth_unstable(place);
    (nth, n - above.iter().filter(|&&key| key > nth).count())
}

/// Each 64 entries with the bits of those that are candidates.
#[inline(always)]
pub(super) fn words<'a>(
    weights: &'a [f32],
    candidates: Option<&'a [u64]>,
) -> impl Iterator<Item = (&'a [f32], u64)> {
    weights.chunks(64).enumerate().map(move |(word, weights)| {
        let there = u64::MAX >> (64 - weights.len());
        (
            weights,
            candidates.map_or(u64::MAX, |candidates| candidates[word]) & there,
        )
    })
}

/// The bits of up to 64 magnitudes; zeros behind them.
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

/// [`above`] of up to 64 weights; zeros behind them.
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

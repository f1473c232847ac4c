//! The entries in which two masks differ.

use rayon::prelude::*;

use super::magnitudes::CHUNK;
use crate::simd::{not_zero, vectorised};

/// The entries in `real` that are not in `before` (swapped in), and those in `before` that are not in `real` (swapped out), each ascending.
///
/// `before` has one byte per entry, nonzero for real edges; `real` has one bit per entry, the first lowest.
///
/// # Panics
/// If the lengths do not fit.
pub fn swaps(before: &[u8], real: &[u64]) -> (Vec<usize>, Vec<usize>) {
    assert_eq!(real.len(), before.len().div_ceil(64), "length of the masks");
    let found: Vec<[Vec<usize>; 2]> = before
        .par_chunks(CHUNK)
        .zip(real.par_chunks(CHUNK / 64))
        .enumerate()
        .map(|(chunk, (before, real))| {
            let mut changed = [Vec::new(), Vec::new()];
            differences(chunk * CHUNK, before, real, &mut changed);
            changed
        })
        .collect();
    let (swapped_in, swapped_out): (Vec<_>, Vec<_>) = found
        .into_iter()
        .map(|[swapped_in, swapped_out]| (swapped_in, swapped_out))
        .unzip();
    (swapped_in.concat(), swapped_out.concat())
}

vectorised! {
    fn differences(first: usize, before: &[u8], real: &[u64], changed: &mut [Vec<usize>; 2]) = differences_body;
}

#[inline(always)]
fn differences_body<const SET: u8>(
    first: usize,
    before: &[u8],
    real: &[u64],
    [swapped_in, swapped_out]: &mut [Vec<usize>; 2],
) {
    for (word, (before, &real)) in before.chunks(64).zip(real).enumerate() {
        let before = word_of::<SET>(before);
        push(real & !before, first + 64 * word, swapped_in);
        push(before & !real, first + 64 * word, swapped_out);
    }
}

/// Appends the positions of the set bits of a word.
#[inline(always)]
pub(super) fn push(mut word: u64, first: usize, entries: &mut Vec<usize>) {
    while word != 0 {
        entries.push(first + word.trailing_zeros() as usize);
        word &= word - 1;
    }
}

/// The bit mask of the nonzero bytes of up to 64.
#[inline(always)]
pub(super) fn word_of<const SET: u8>(bytes: &[u8]) -> u64 {
    if let Ok(bytes) = bytes.try_into() {
        return not_zero::<SET>(bytes);
    }
    let mut padded = [0; 64];
    padded[..bytes.len()].copy_from_slice(bytes);
    not_zero::<SET>(&padded)
}

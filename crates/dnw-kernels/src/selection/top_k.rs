//! Selection by a histogram of magnitudes.

use rayon::prelude::*;

use super::magnitudes::{
    BINS, CHUNK, INFINITY, LOW_BITS, above_of, keys_of, magnitude, nth_largest, words,
};
use super::outcome::{Kept, NotANumber};
use crate::simd::vectorised;

/// Selects the `k` candidates of largest magnitude: sets their bits in `real` and clears all others. Of equal magnitudes the later entry is
/// kept.
///
/// `candidates` and `real` have one bit per entry, the first lowest. `None` makes all entries candidates.
///
/// # Errors
/// [`NotANumber`] if a candidate is NaN; `real` is unchanged then.
///
/// # Panics
/// If `k` is larger than the number of candidates, or the lengths do not fit.
pub fn select_top_k(
    weights: &[f32],
    candidates: Option<&[u64]>,
    k: usize,
    real: &mut [u64],
) -> Result<Kept, NotANumber> {
    assert_eq!(
        real.len(),
        weights.len().div_ceil(64),
        "length of the result"
    );
    let chunks = Chunks::new(weights, candidates, k);
    let (threshold, equal_kept) = chunks.threshold(k)?;
    Ok(chunks.write(threshold, equal_kept, k, real))
}

/// Checks that there are at least `k` candidates.
///
/// # Panics
/// If there are fewer, or the lengths do not fit.
pub(super) fn check(weights: &[f32], candidates: Option<&[u64]>, k: usize) {
    let count = match candidates {
        Some(candidates) => {
            assert_eq!(
                candidates.len(),
                weights.len().div_ceil(64),
                "length of the candidates"
            );
            let counts = candidates.par_iter().with_min_len(CHUNK / 64);
            counts.map(|word| word.count_ones() as usize).sum()
        }
        None => weights.len(),
    };
    assert!(k <= count, "{k} of {count} candidates");
}

/// The weights and candidates, in chunks.
#[derive(Clone, Copy)]
struct Chunks<'a> {
    weights: &'a [f32],
    candidates: Option<&'a [u64]>,
}

impl<'a> Chunks<'a> {
    /// See [`check`].
    fn new(weights: &'a [f32], candidates: Option<&'a [u64]>, k: usize) -> Self {
        check(weights, candidates, k);
        Self {
            weights,
            candidates,
        }
    }

    fn all(self) -> impl IndexedParallelIterator<Item = (&'a [f32], Option<&'a [u64]>)> {
        let of_chunk = move |chunk: usize| {
            let words = chunk * (CHUNK / 64)..;
            self.candidates.map(|candidates| {
                let words = &candidates[words.start..];
                &words[..words.len().min(CHUNK / 64)]
            })
        };
        self.weights
            .par_chunks(CHUNK)
            .enumerate()
            .map(move |(chunk, weights)| (weights, of_chunk(chunk)))
    }

    /// The first candidate that is NaN.
    fn first_nan(self) -> Option<NotANumber> {
        let is_nan = |&entry: &usize| {
            let is_candidate = self
                .candidates
                .is_none_or(|words| words[entry / 64] >> (entry % 64) & 1 == 1);
            is_candidate && self.weights[entry].is_nan()
        };
        (0..self.weights.len())
            .find(is_nan)
            .map(|entry| NotANumber { entry })
    }

    /// The bits of the k-th largest magnitude, and how many entries equal to it are kept.
    fn threshold(self, k: usize) -> Result<(u32, usize), NotANumber> {
        let counts = self
            .all()
            .fold(
                || vec![0u32; BINS],
                |mut counts, (weights, candidates)| {
                    count(weights, candidates, &mut counts);
                    counts
                },
            )
            .reduce_with(|mut sum, counts| {
                for (sum, count) in sum.iter_mut().zip(counts) {
                    *sum += count;
                }
                sum
            })
            .unwrap_or_else(|| vec![0; BINS]);
        let first_nan_bin = (INFINITY >> LOW_BITS) as usize;
        if counts[first_nan_bin..].iter().any(|&count| count > 0)
            && let Some(error) = self.first_nan()
        {
            return Err(error);
        }
        if k == 0 {
            return Ok((u32::MAX, 0));
        }
        let (mut above, mut bin) = (0, BINS - 1);
        while above + (counts[bin] as usize) < k {
            above += counts[bin] as usize;
            bin -= 1;
        }
        let mut keys: Vec<u32> = self
            .all()
            .flat_map_iter(|(weights, candidates)| {
                let mut keys = Vec::new();
                gather_bin(weights, candidates, bin, &mut keys);
                keys
            })
            .collect();
        Ok(nth_largest(&mut keys, k - above))
    }

    /// Writes the selection: all entries above the threshold, and the last `equal_kept` of those equal to it.
    fn write(self, threshold: u32, equal_kept: usize, k: usize, real: &mut [u64]) -> Kept {
        let contends = match k {
            0 => u32::MAX,
            _ => magnitude(0.9 * f32::from_bits(threshold)),
        };
        let counts = self
            .all()
            .zip(real.par_chunks_mut(CHUNK / 64))
            .map(|((weights, candidates), real)| {
                let mut counts = Counts::default();
                write_words(
                    weights,
                    candidates,
                    [threshold, contends],
                    real,
                    &mut counts,
                );
                counts
            })
            .reduce(Counts::default, Counts::merge);
        let mut too_many = if k == 0 { 0 } else { counts.equal - equal_kept };
        let mut kept = Kept {
            threshold: if k == 0 {
                f32::INFINITY
            } else {
                f32::from_bits(threshold)
            },
            nearest: counts.nearest.checked_sub(1).map(f32::from_bits),
            contenders: counts.contenders + too_many,
        };
        if too_many > 0 {
            kept.nearest = Some(kept.threshold);
        }
        for (entry, &weight) in self.weights.iter().enumerate() {
            if too_many == 0 {
                break;
            }
            let bit = 1 << (entry % 64);
            if magnitude(weight) == threshold && real[entry / 64] & bit != 0 {
                real[entry / 64] &= !bit;
                too_many -= 1;
            }
        }
        kept
    }
}

/// Counts of the pass that writes the selection.
#[derive(Clone, Copy, Default)]
struct Counts {
    equal: usize,
    contenders: usize,
    /// One more than the largest bits of a candidate that is not kept; zero if all are kept.
    nearest: u32,
}

impl Counts {
    fn merge(self, other: Self) -> Self {
        Self {
            equal: self.equal + other.equal,
            contenders: self.contenders + other.contenders,
            nearest: self.nearest.max(other.nearest),
        }
    }
}

/// Adds the candidates of a chunk to the histogram.
fn count(weights: &[f32], candidates: Option<&[u64]>, counts: &mut [u32]) {
    // Two tables, so that consecutive increments of the same bin do not depend on each other.
    let mut other = [0u32; BINS];
    for (weights, mask) in words(weights, candidates) {
        if mask == u64::MAX {
            for pair in weights.chunks_exact(2) {
                counts[(magnitude(pair[0]) >> LOW_BITS) as usize] += 1;
                other[(magnitude(pair[1]) >> LOW_BITS) as usize] += 1;
            }
        } else {
            let mut left = mask;
            while left != 0 {
                counts
                    [(magnitude(weights[left.trailing_zeros() as usize]) >> LOW_BITS) as usize] +=
                    1;
                left &= left - 1;
            }
        }
    }
    for (count, other) in counts.iter_mut().zip(other) {
        *count += other;
    }
}

vectorised! {
    fn gather_bin(weights: &[f32], candidates: Option<&[u64]>, bin: usize, keys: &mut Vec<u32>) = gather_bin_body;
}

#[inline(always)]
fn gather_bin_body<const SET: u8>(
    weights: &[f32],
    candidates: Option<&[u64]>,
    bin: usize,
    keys: &mut Vec<u32>,
) {
    let bin = bin as u32;
    let bounds = [
        (bin << LOW_BITS).wrapping_sub(1),
        ((bin + 1) << LOW_BITS) - 1,
    ];
    for (weights, mask) in words(weights, candidates) {
        let [from, to] = above_of::<SET, 2>(weights, bounds);
        // No magnitude is below the first bin.
        let from = if bin == 0 { u64::MAX } else { from };
        let mut left = from & !to & mask;
        while left != 0 {
            keys.push(magnitude(weights[left.trailing_zeros() as usize]));
            left &= left - 1;
        }
    }
}

vectorised! {
    fn write_words(weights: &[f32], candidates: Option<&[u64]>, bounds: [u32; 2], real: &mut [u64], counts: &mut Counts) = write_words_body;
}

#[inline(always)]
fn write_words_body<const SET: u8>(
    weights: &[f32],
    candidates: Option<&[u64]>,
    [threshold, contends]: [u32; 2],
    real: &mut [u64],
    counts: &mut Counts,
) {
    for ((weights, mask), real) in words(weights, candidates).zip(real) {
        let keys = keys_of(weights);
        let bounds = [
            threshold.wrapping_sub(1),
            threshold,
            contends.wrapping_sub(1),
        ];
        let [from, over, contending] = above_of::<SET, 3>(weights, bounds);
        // Every magnitude is at least zero.
        let from = if threshold == 0 { u64::MAX } else { from };
        let contending = if contends == 0 { u64::MAX } else { contending };
        let kept = from & mask;
        let left = mask & !kept;
        let mut nearest = 0;
        if mask == u64::MAX {
            // All entries are candidates: those below the threshold are not kept. Plus one, so that a magnitude of zero differs from none.
            for &key in &keys {
                nearest = nearest.max(if key < threshold { key + 1 } else { 0 });
            }
        } else {
            for (i, &key) in keys.iter().enumerate() {
                nearest = nearest.max(if left >> i & 1 == 1 { key + 1 } else { 0 });
            }
        }
        counts.equal += (kept & !over).count_ones() as usize;
        counts.contenders += (contending & left).count_ones() as usize;
        counts.nearest = counts.nearest.max(nearest);
        *real = kept;
    }
}

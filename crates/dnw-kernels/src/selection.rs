//! The k entries of largest magnitude, without sorting.
//!
//! The bits of |w| order as the magnitudes do. The k-th is found by a histogram of their leading bits and a search among the few that
//! share its bin; a second sweep writes one bit per entry. Where a guess is at hand (the threshold of the update before, which few
//! weights cross), one sweep is enough ([`Survey`]), and an update makes it while it has the weights in hand. All sums are of whole
//! numbers, so that any number of threads gives the same.

use rayon::prelude::*;

use crate::simd::vectorised;

mod outcome;
mod survey;
mod words;

pub use outcome::{Changes, Kept, NotANumber};
pub use survey::{Lookout, Survey};
pub(crate) use words::CHUNK;

use words::{INFINITY, above_of, keys_of, magnitude, nth_largest, push, word_of, words};

/// Bits below those that the histogram counts by.
const LOW: u32 = 20;
const BINS: usize = 1 << (31 - LOW);

/// Sets the bits in `real` of the `k` candidates of largest magnitude and clears all others. Of equal ones the later stays. `candidates`
/// and `real` hold an entry a bit, the first lowest; all are candidates where none are given.
///
/// # Errors
/// [`NotANumber`] if a candidate is none; `real` is then as it was.
///
/// # Panics
/// If `k` is larger than the number of candidates, or a length does not fit.
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
    let (threshold, equal_kept) = chunks.by_histogram(k)?;
    Ok(chunks.write(threshold, equal_kept, k, real))
}

/// How the choice of [`select_top_k`] differs from the mask `before`, a byte an entry, zero for no. A `survey` of the same weights,
/// candidates and mask makes it quicker; nothing else depends on it.
///
/// # Errors
/// [`NotANumber`] if a candidate is none.
///
/// # Panics
/// As [`select_top_k`].
pub fn changes(
    weights: &[f32],
    candidates: Option<&[u64]>,
    k: usize,
    survey: Option<Survey>,
    before: &[u8],
) -> Result<Changes, NotANumber> {
    assert_eq!(before.len(), weights.len(), "length of the mask");
    Chunks::new(weights, candidates, k);
    let survey = survey.filter(|survey| survey.entries() == weights.len());
    if let Some(found) = survey.and_then(|survey| survey.settle(k)) {
        return Ok(found);
    }
    let mut real = vec![0; weights.len().div_ceil(64)];
    let kept = select_top_k(weights, candidates, k, &mut real)?;
    let (born, died) = swaps(before, &real);
    Ok(Changes { kept, born, died })
}

/// The entries that `real` has and `before` has not, and the other way round, each ascending. `before` holds a byte an entry, zero for no;
/// `real` a bit.
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
    let (born, died): (Vec<_>, Vec<_>) = found.into_iter().map(|[born, died]| (born, died)).unzip();
    (born.concat(), died.concat())
}

vectorised! {
    fn differences(first: usize, before: &[u8], real: &[u64], changed: &mut [Vec<usize>; 2]) = differences_body;
}

#[inline(always)]
fn differences_body<const SET: u8>(
    first: usize,
    before: &[u8],
    real: &[u64],
    [born, died]: &mut [Vec<usize>; 2],
) {
    for (word, (before, &real)) in before.chunks(64).zip(real).enumerate() {
        let before = word_of::<SET>(before);
        push(real & !before, first + 64 * word, born);
        push(before & !real, first + 64 * word, died);
    }
}

/// The entries to choose from.
#[derive(Clone, Copy)]
struct Chunks<'a> {
    weights: &'a [f32],
    candidates: Option<&'a [u64]>,
}

impl<'a> Chunks<'a> {
    /// Checks that there are `k`.
    fn new(weights: &'a [f32], candidates: Option<&'a [u64]>, k: usize) -> Self {
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

    /// The first candidate that is not a number.
    fn not_a_number(self) -> Option<NotANumber> {
        let is_none = |&entry: &usize| {
            let is_candidate = self
                .candidates
                .is_none_or(|words| words[entry / 64] >> (entry % 64) & 1 == 1);
            is_candidate && self.weights[entry].is_nan()
        };
        (0..self.weights.len())
            .find(is_none)
            .map(|entry| NotANumber { entry })
    }

    fn by_histogram(self, k: usize) -> Result<(u32, usize), NotANumber> {
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
        let strange = (INFINITY >> LOW) as usize;
        if counts[strange..].iter().any(|&count| count > 0)
            && let Some(error) = self.not_a_number()
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

    /// Writes the choice: all above the threshold, and the last so many of those that equal it.
    fn write(self, threshold: u32, equal_kept: usize, k: usize, real: &mut [u64]) -> Kept {
        let contends = match k {
            0 => u32::MAX,
            _ => magnitude(0.9 * f32::from_bits(threshold)),
        };
        let seen = self
            .all()
            .zip(real.par_chunks_mut(CHUNK / 64))
            .map(|((weights, candidates), real)| {
                let mut seen = Seen::default();
                write_words(weights, candidates, [threshold, contends], real, &mut seen);
                seen
            })
            .reduce(Seen::default, Seen::and);
        let mut too_many = if k == 0 { 0 } else { seen.equal - equal_kept };
        let mut kept = Kept {
            threshold: if k == 0 {
                f32::INFINITY
            } else {
                f32::from_bits(threshold)
            },
            nearest: seen.nearest.checked_sub(1).map(f32::from_bits),
            contenders: seen.contenders + too_many,
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

/// What a sweep saw.
#[derive(Clone, Copy, Default)]
struct Seen {
    equal: usize,
    contenders: usize,
    /// The largest bits of a candidate that is not kept, and one more.
    nearest: u32,
}

impl Seen {
    fn and(self, other: Self) -> Self {
        Self {
            equal: self.equal + other.equal,
            contenders: self.contenders + other.contenders,
            nearest: self.nearest.max(other.nearest),
        }
    }
}

fn count(weights: &[f32], candidates: Option<&[u64]>, counts: &mut [u32]) {
    // Two tables, so that equal bins in a row do not wait for each other.
    let mut other = [0u32; BINS];
    for (weights, mask) in words(weights, candidates) {
        if mask == u64::MAX {
            for pair in weights.chunks_exact(2) {
                counts[(magnitude(pair[0]) >> LOW) as usize] += 1;
                other[(magnitude(pair[1]) >> LOW) as usize] += 1;
            }
        } else {
            let mut left = mask;
            while left != 0 {
                counts[(magnitude(weights[left.trailing_zeros() as usize]) >> LOW) as usize] += 1;
                left &= left - 1;
            }
        }
    }
    for (count, other) in counts.iter_mut().zip(other) {
        *count += other;
    }
}

vectorised! {
    fn gather_bin(weights: &[f32], candidates: Option<&[u64]>, bin: usize, found: &mut Vec<u32>) = gather_bin_body;
}

#[inline(always)]
fn gather_bin_body<const SET: u8>(
    weights: &[f32],
    candidates: Option<&[u64]>,
    bin: usize,
    found: &mut Vec<u32>,
) {
    let bin = bin as u32;
    let bounds = [(bin << LOW).wrapping_sub(1), ((bin + 1) << LOW) - 1];
    for (weights, mask) in words(weights, candidates) {
        let [from, to] = above_of::<SET, 2>(weights, bounds);
        // Nothing is below the first bin.
        let from = if bin == 0 { u64::MAX } else { from };
        let mut left = from & !to & mask;
        while left != 0 {
            found.push(magnitude(weights[left.trailing_zeros() as usize]));
            left &= left - 1;
        }
    }
}

vectorised! {
    fn write_words(weights: &[f32], candidates: Option<&[u64]>, bounds: [u32; 2], real: &mut [u64], seen: &mut Seen) = write_words_body;
}

#[inline(always)]
fn write_words_body<const SET: u8>(
    weights: &[f32],
    candidates: Option<&[u64]>,
    [threshold, contends]: [u32; 2],
    real: &mut [u64],
    seen: &mut Seen,
) {
    for ((weights, mask), real) in words(weights, candidates).zip(real) {
        let keys = keys_of(weights);
        let bounds = [
            threshold.wrapping_sub(1),
            threshold,
            contends.wrapping_sub(1),
        ];
        let [from, over, contending] = above_of::<SET, 3>(weights, bounds);
        // All are zero or more.
        let from = if threshold == 0 { u64::MAX } else { from };
        let contending = if contends == 0 { u64::MAX } else { contending };
        let kept = from & mask;
        let left = mask & !kept;
        let mut nearest = 0;
        if mask == u64::MAX {
            // Of all candidates those below the threshold are left. One more, so that a magnitude of zero differs from none.
            for &key in &keys {
                nearest = nearest.max(if key < threshold { key + 1 } else { 0 });
            }
        } else {
            for (i, &key) in keys.iter().enumerate() {
                nearest = nearest.max(if left >> i & 1 == 1 { key + 1 } else { 0 });
            }
        }
        seen.equal += (kept & !over).count_ones() as usize;
        seen.contenders += (contending & left).count_ones() as usize;
        seen.nearest = seen.nearest.max(nearest);
        *real = kept;
    }
}

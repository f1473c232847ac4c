//! The k entries of largest magnitude, without sorting.
//!
//! The bits of |w| order as the magnitudes do. The k-th is found by a histogram of their leading bits and a search among the few that
//! share its bin; a second sweep writes one bit per entry. Where a guess is at hand (the threshold of the update before, which few
//! weights cross), one sweep is enough: what is far from it is settled on sight, and only those near it are looked at again. All sums
//! are of whole numbers, so that any number of threads gives the same.

use rayon::prelude::*;

use crate::simd::{above, not_zero, vectorised};

/// A weight is not a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotANumber {
    /// The first such entry.
    pub entry: usize,
}

/// What a choice found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kept {
    /// The smallest magnitude that is kept; infinite if none is.
    pub threshold: f32,
    /// The largest magnitude among the candidates that are not kept.
    pub nearest: Option<f32>,
    /// Candidates that are not kept, of at least nine tenths of the threshold.
    pub contenders: usize,
}

/// Entries that a task goes through at once: a whole number of words.
const CHUNK: usize = 1 << 14;
/// Bits below those that the histogram counts by.
const LOW: u32 = 20;
const BINS: usize = 1 << (31 - LOW);
/// The bits of infinity: what is above is not a number.
const INFINITY: u32 = 0x7f80_0000;
/// How far from the guess the k-th is looked for: a 64th of an octave.
const NEAR: u32 = 1 << 17;

#[inline(always)]
fn magnitude(weight: f32) -> u32 {
    weight.to_bits() & 0x7fff_ffff
}

/// Sets the bits in `real` of the `k` candidates of largest magnitude and clears all others. Of equal ones the later stays. `candidates`
/// and `real` hold an entry a bit, the first lowest; all are candidates where none are given.
///
/// # Errors
/// [`NotANumber`] if a candidate is none; `real` is then as it was.
///
/// # Panics
/// If `k` is larger than the number of candidates, or a length does not fit.
pub fn keep_largest(
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

/// What a choice changes.
#[derive(Clone, Debug, PartialEq)]
pub struct Changes {
    /// What was found.
    pub kept: Kept,
    /// Entries that are chosen and were not before, ascending.
    pub born: Vec<usize>,
    /// Entries that were and are no longer, ascending.
    pub died: Vec<usize>,
}

/// How the choice of [`keep_largest`] differs from the mask `before`, a byte an entry, zero for no. A `guess` at the threshold makes it
/// quicker, whatever it is.
///
/// # Errors
/// [`NotANumber`] if a candidate is none.
///
/// # Panics
/// As [`keep_largest`].
pub fn changes(
    weights: &[f32],
    candidates: Option<&[u64]>,
    k: usize,
    guess: Option<f32>,
    before: &[u8],
) -> Result<Changes, NotANumber> {
    assert_eq!(before.len(), weights.len(), "length of the mask");
    let chunks = Chunks::new(weights, candidates, k);
    if let Some(found) = guess.and_then(|guess| chunks.near(magnitude(guess), k, before)) {
        return Ok(found);
    }
    let mut real = vec![0; weights.len().div_ceil(64)];
    let kept = keep_largest(weights, candidates, k, &mut real)?;
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

/// Adds the places of the bits of a word.
#[inline(always)]
fn push(mut word: u64, first: usize, places: &mut Vec<usize>) {
    while word != 0 {
        places.push(first + word.trailing_zeros() as usize);
        word &= word - 1;
    }
}

/// A bit for each byte that is not zero.
#[inline(always)]
fn word_of<const SET: u8>(bytes: &[u8]) -> u64 {
    if let Ok(bytes) = bytes.try_into() {
        return not_zero::<SET>(bytes);
    }
    let mut padded = [0; 64];
    padded[..bytes.len()].copy_from_slice(bytes);
    not_zero::<SET>(&padded)
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

    /// What changes, if the threshold is near the guess, something near it is left out, and all are numbers.
    fn near(self, guess: u32, k: usize, before: &[u8]) -> Option<Changes> {
        let band = Band::around(guess)?;
        let mut seen: Vec<Near> = self
            .all()
            .zip(before.par_chunks(CHUNK))
            .map(|((weights, candidates), before)| {
                let mut seen = Near::default();
                look_near(weights, candidates, before, band, &mut seen);
                seen
            })
            .collect();
        if seen.iter().any(|seen| seen.strange) {
            return None;
        }
        let wanted = k.checked_sub(seen.iter().map(|seen| seen.above).sum())?;
        let keys = seen.iter().flat_map(|seen| &seen.near);
        let mut keys: Vec<u32> = keys.map(|near| near.key).collect();
        // Of those near it the last is kept and another is not.
        if wanted == 0 || wanted >= keys.len() {
            return None;
        }
        let (threshold, equal_kept) = nth_largest(&mut keys, wanted);
        let equal = keys.iter().filter(|&&key| key == threshold).count();
        let contends = magnitude(0.9 * f32::from_bits(threshold));
        let (mut too_many, mut nearest, mut contending) = (equal - equal_kept, 0, 0);
        let (mut born, mut died) = (Vec::new(), Vec::new());
        for (chunk, seen) in seen.iter_mut().enumerate() {
            for near in &seen.near {
                let is_left_over = near.key == threshold && too_many > 0;
                too_many -= usize::from(is_left_over);
                let is_kept = near.key >= threshold && !is_left_over;
                if !is_kept {
                    nearest = nearest.max(near.key);
                }
                match (near.was, is_kept) {
                    (false, true) => seen.born.push(near.place as usize),
                    (true, false) => seen.died.push(near.place as usize),
                    _ => {}
                }
            }
            contending +=
                seen.contending + seen.close.iter().filter(|&&key| key >= contends).count();
            for (of_chunk, all) in [(&mut seen.born, &mut born), (&mut seen.died, &mut died)] {
                of_chunk.sort_unstable();
                all.extend(of_chunk.iter().map(|place| chunk * CHUNK + place));
            }
        }
        let kept = Kept {
            threshold: f32::from_bits(threshold),
            nearest: Some(f32::from_bits(nearest)),
            // All that are kept are among them.
            contenders: contending - k,
        };
        Some(Changes { kept, born, died })
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

/// The n-th largest (from one), and how many that equal it are among the n largest.
fn nth_largest(keys: &mut [u32], n: usize) -> (u32, usize) {
    let place = keys.len() - n;
    let (_, &mut nth, above) = keys.select_nth_unstable(place);
    (nth, n - above.iter().filter(|&&key| key > nth).count())
}

/// Each 64 entries with the bits of those that are candidates.
#[inline(always)]
fn words<'a>(
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

/// Where a threshold may lie and be found in one sweep: above the first, and not above the second. And where nine tenths of it lie then,
/// the same.
#[derive(Clone, Copy)]
struct Band {
    threshold: [u32; 2],
    contends: [u32; 2],
}

impl Band {
    /// None where a guess is so small, or so large, that there is no room around it.
    fn around(guess: u32) -> Option<Self> {
        let (low, high) = (guess.checked_sub(NEAR)?, guess + NEAR);
        let contends = |key: u32| magnitude(0.9 * f32::from_bits(key));
        let first = contends(low).checked_sub(1)?;
        (high < INFINITY).then(|| Self {
            threshold: [low, high],
            contends: [first, contends(high)],
        })
    }
}

/// A candidate near the guess.
struct Candidate {
    key: u32,
    /// Within its chunk.
    place: u32,
    /// Whether it was chosen before.
    was: bool,
}

/// What a chunk has above a band, in it, and beyond all numbers.
#[derive(Default)]
struct Near {
    above: usize,
    /// Those that contend, or are kept, wherever in the band the threshold is.
    contending: usize,
    strange: bool,
    near: Vec<Candidate>,
    /// Those that contend or do not, as the threshold is.
    close: Vec<u32>,
    /// Changes that do not depend on where in the band the threshold is.
    born: Vec<usize>,
    died: Vec<usize>,
}

vectorised! {
    fn look_near(weights: &[f32], candidates: Option<&[u64]>, before: &[u8], band: Band, seen: &mut Near) = look_near_body;
}

#[inline(always)]
fn look_near_body<const SET: u8>(
    weights: &[f32],
    candidates: Option<&[u64]>,
    before: &[u8],
    band: Band,
    seen: &mut Near,
) {
    let ([low, high], [contends_low, contends_high]) = (band.threshold, band.contends);
    let bounds = [low, high, contends_low, contends_high, INFINITY];
    for ((first, (weights, mask)), before) in (0..)
        .step_by(64)
        .zip(words(weights, candidates))
        .zip(before.chunks(64))
    {
        let before = word_of::<SET>(before);
        let found = above_of::<SET, 5>(weights, bounds).map(|word| word & mask);
        let [low, high, contends_low, contends_high, strange] = found;
        seen.above += high.count_ones() as usize;
        seen.contending += contends_high.count_ones() as usize;
        seen.strange |= strange != 0;
        push(high & !before, first, &mut seen.born);
        push(before & !low, first, &mut seen.died);
        let mut left = low & !high;
        while left != 0 {
            let place = left.trailing_zeros();
            seen.near.push(Candidate {
                key: magnitude(weights[place as usize]),
                place: first as u32 + place,
                was: before >> place & 1 == 1,
            });
            left &= left - 1;
        }
        let mut left = contends_low & !contends_high;
        while left != 0 {
            seen.close
                .push(magnitude(weights[left.trailing_zeros() as usize]));
            left &= left - 1;
        }
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

/// The bits of up to 64 magnitudes; zeros behind them.
#[inline(always)]
fn keys_of(weights: &[f32]) -> [u32; 64] {
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
fn above_of<const SET: u8, const N: usize>(weights: &[f32], bounds: [u32; N]) -> [u64; N] {
    if let Ok(weights) = weights.try_into() {
        return above::<SET, N>(weights, bounds);
    }
    let mut padded = [0.0; 64];
    padded[..weights.len()].copy_from_slice(weights);
    above::<SET, N>(&padded, bounds)
}

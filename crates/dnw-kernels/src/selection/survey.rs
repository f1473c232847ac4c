//! Selection in one pass over the weights, given a guess of the threshold.
//!
//! Few weights cross the threshold in one SGD step, so the previous threshold is a good guess. One pass decides all weights far from the
//! guess and collects those near it. If the k-th largest is among the collected weights, a search among them completes the selection.
//! Otherwise the selection is done without the survey.

use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use super::magnitudes::{CHUNK, INFINITY, above_of, magnitude, nth_largest, words};
use super::outcome::{Changes, Kept};
use super::swaps::{push, word_of};
use crate::simd::vectorised;

/// The half width of the range around the guess: a 64th of an octave.
const NEAR: u32 = 1 << 17;

/// The range of thresholds that a survey covers, with the candidates and the mask before.
#[derive(Clone, Copy, Debug)]
pub struct SurveyRange<'a> {
    candidates: Option<&'a [u64]>,
    before: &'a [u8],
    band: Band,
}

/// Magnitude bits between which the threshold may be: above the first, at most the second. And the same for 0.9 times the threshold.
#[derive(Clone, Copy, Debug)]
struct Band {
    threshold: [u32; 2],
    contends: [u32; 2],
}

/// The result of a survey. It is valid for the weights, candidates and mask that were surveyed.
#[derive(Debug)]
pub struct Survey {
    entries: usize,
    scratch: Scratch,
}

/// Scratch memory of a survey. It is pooled, so that an SGD step does not allocate.
#[derive(Debug, Default)]
struct Scratch {
    chunks: Vec<ChunkSurvey>,
    /// The magnitudes near the guess.
    keys: Vec<u32>,
}

/// The maximum number of pooled scratch buffers. A large network has about fifty wired tensors, which are all surveyed before the first
/// selection.
const MAX_POOLED: usize = 256;
static POOL: Mutex<Vec<Scratch>> = Mutex::new(Vec::new());

impl Drop for Survey {
    fn drop(&mut self) {
        // A panic elsewhere leaves the pool consistent.
        let mut pooled = POOL.lock().unwrap_or_else(PoisonError::into_inner);
        if pooled.len() < MAX_POOLED {
            pooled.push(std::mem::take(&mut self.scratch));
        }
    }
}

/// A candidate near the guess.
#[derive(Debug)]
struct Candidate {
    key: u32,
    /// Index within its chunk.
    index: u32,
    /// Whether it was real before.
    was_real: bool,
}

/// The maximum number of candidates near the guess in a chunk. With more, the histogram is faster.
const MAX_NEAR: usize = CHUNK / 8;

/// The survey of one chunk.
#[derive(Debug, Default)]
pub(crate) struct ChunkSurvey {
    /// Candidates above the band.
    above: usize,
    /// Candidates that are kept or contenders for every threshold in the band.
    contending: usize,
    /// Whether the survey of this chunk is unusable: a candidate is NaN, or too many are near the guess.
    is_unusable: bool,
    /// Candidates within the band.
    near: Vec<Candidate>,
    /// Candidates that may be contenders, depending on the threshold.
    possible_contenders: Vec<u32>,
    /// Entries that swap in for every threshold in the band.
    swapped_in: Vec<usize>,
    /// Entries that swap out for every threshold in the band.
    swapped_out: Vec<usize>,
}

impl Band {
    /// `None` if the guess is so small or so large that the band would leave the range of finite magnitudes.
    fn around(guess: u32) -> Option<Self> {
        let (low, high) = (guess.checked_sub(NEAR)?, guess.checked_add(NEAR)?);
        let contends = |key: u32| magnitude(0.9 * f32::from_bits(key));
        let first = contends(low).checked_sub(1)?;
        (high < INFINITY).then(|| Self {
            threshold: [low, high],
            contends: [first, contends(high)],
        })
    }
}

impl<'a> SurveyRange<'a> {
    /// The range around a guess of the threshold, the smallest kept magnitude. `candidates` has one bit per entry, `None` for all entries;
    /// `before`, the mask before, has one byte per entry, nonzero for real edges. Returns `None` if the guess is too close to zero or
    /// infinity.
    ///
    /// # Panics
    /// If the lengths do not fit each other.
    pub fn around(guess: f32, candidates: Option<&'a [u64]>, before: &'a [u8]) -> Option<Self> {
        let fits = |candidates: &[u64]| candidates.len() == before.len().div_ceil(64);
        assert!(candidates.is_none_or(fits), "length of the candidates");
        let band = Band::around(magnitude(guess))?;
        Some(Self {
            candidates,
            before,
            band,
        })
    }

    /// How many weights it is for.
    pub(crate) fn entries(&self) -> usize {
        self.before.len()
    }

    /// Surveys the weights of a chunk.
    pub(crate) fn survey_chunk(&self, chunk: usize, weights: &[f32], result: &mut ChunkSurvey) {
        let first = chunk * CHUNK;
        let of_chunk = |words: &'a [u64]| &words[first / 64..][..weights.len().div_ceil(64)];
        let before = &self.before[first..][..weights.len()];
        result.clear();
        survey(
            weights,
            self.candidates.map(of_chunk),
            before,
            self.band,
            result,
        );
    }
}

impl ChunkSurvey {
    fn clear(&mut self) {
        (self.above, self.contending, self.is_unusable) = (0, 0, false);
        self.near.clear();
        self.possible_contenders.clear();
        self.swapped_in.clear();
        self.swapped_out.clear();
    }
}

impl Survey {
    /// Surveys all weights.
    ///
    /// # Panics
    /// If the number of weights differs from that of `range`.
    pub fn of(weights: &[f32], range: &SurveyRange<'_>) -> Self {
        assert_eq!(weights.len(), range.entries(), "length of the mask");
        let mut survey = Self::empty(range);
        let chunks = weights.par_chunks(CHUNK).zip(survey.chunks_mut());
        chunks
            .enumerate()
            .for_each(|(chunk, (weights, result))| range.survey_chunk(chunk, weights, result));
        survey
    }

    /// A survey without results yet.
    pub(crate) fn empty(range: &SurveyRange<'_>) -> Self {
        let scratch = POOL.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut scratch = scratch.unwrap_or_default();
        let chunks = range.entries().div_ceil(CHUNK);
        // A longer buffer is not shortened, so that it can be reused without an allocation.
        if scratch.chunks.len() < chunks {
            scratch.chunks.resize_with(chunks, ChunkSurvey::default);
        }
        Self {
            entries: range.entries(),
            scratch,
        }
    }

    /// The surveys of the chunks, to be filled by [`SurveyRange::survey_chunk`].
    pub(crate) fn chunks_mut(&mut self) -> rayon::slice::IterMut<'_, ChunkSurvey> {
        let chunks = self.entries.div_ceil(CHUNK);
        self.scratch.chunks[..chunks].par_iter_mut()
    }

    /// How many weights were surveyed.
    pub(super) fn entries(&self) -> usize {
        self.entries
    }

    /// The changes by a selection of `k` entries. `None` if the threshold is not within the band, if every entry in the band is kept, or if a
    /// candidate is NaN.
    pub(super) fn select(mut self, k: usize) -> Option<Changes> {
        let Scratch { chunks, keys } = &mut self.scratch;
        let chunks = &mut chunks[..self.entries.div_ceil(CHUNK)];
        if chunks.iter().any(|chunk| chunk.is_unusable) {
            return None;
        }
        let wanted = k.checked_sub(chunks.iter().map(|chunk| chunk.above).sum())?;
        keys.clear();
        let near = chunks.iter().flat_map(|chunk| &chunk.near);
        keys.extend(near.map(|near| near.key));
        // The band contains the last kept entry and the first one that is not.
        if wanted == 0 || wanted >= keys.len() {
            return None;
        }
        let (threshold, equal_kept) = nth_largest(keys, wanted);
        let equal = keys.iter().filter(|&&key| key == threshold).count();
        let contends = magnitude(0.9 * f32::from_bits(threshold));
        let (mut too_many, mut nearest, mut contending) = (equal - equal_kept, 0, 0);
        let (mut added, mut removed) = (Vec::new(), Vec::new());
        for (chunk, survey) in chunks.iter_mut().enumerate() {
            for near in &survey.near {
                let is_surplus = near.key == threshold && too_many > 0;
                too_many -= usize::from(is_surplus);
                let is_kept = near.key >= threshold && !is_surplus;
                if !is_kept {
                    nearest = nearest.max(near.key);
                }
                match (near.was_real, is_kept) {
                    (false, true) => survey.swapped_in.push(near.index as usize),
                    (true, false) => survey.swapped_out.push(near.index as usize),
                    _ => {}
                }
            }
            let possible = survey.possible_contenders.iter();
            contending += survey.contending + possible.filter(|&&key| key >= contends).count();
            for (of_chunk, all) in [
                (&mut survey.swapped_in, &mut added),
                (&mut survey.swapped_out, &mut removed),
            ] {
                of_chunk.sort_unstable();
                all.extend(of_chunk.iter().map(|index| chunk * CHUNK + index));
            }
        }
        let kept = Kept {
            threshold: f32::from_bits(threshold),
            nearest: Some(f32::from_bits(nearest)),
            // The count includes the k kept entries.
            contenders: contending - k,
        };
        Some(Changes {
            kept,
            added,
            removed,
        })
    }
}

vectorised! {
    fn survey(weights: &[f32], candidates: Option<&[u64]>, before: &[u8], band: Band, result: &mut ChunkSurvey) = survey_body;
}

#[inline(always)]
fn survey_body<const SET: u8>(
    weights: &[f32],
    candidates: Option<&[u64]>,
    before: &[u8],
    band: Band,
    result: &mut ChunkSurvey,
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
        let [low, high, contends_low, contends_high, not_a_number] = found;
        result.above += high.count_ones() as usize;
        result.contending += contends_high.count_ones() as usize;
        result.is_unusable |=
            not_a_number != 0 || result.near.len().max(result.possible_contenders.len()) > MAX_NEAR;
        if result.is_unusable {
            return;
        }
        push(high & !before, first, &mut result.swapped_in);
        push(before & !low, first, &mut result.swapped_out);
        let mut left = low & !high;
        while left != 0 {
            let index = left.trailing_zeros();
            result.near.push(Candidate {
                key: magnitude(weights[index as usize]),
                index: first as u32 + index,
                was_real: before >> index & 1 == 1,
            });
            left &= left - 1;
        }
        let mut left = contends_low & !contends_high;
        while left != 0 {
            result
                .possible_contenders
                .push(magnitude(weights[left.trailing_zeros() as usize]));
            left &= left - 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_survey_selects_if_the_threshold_is_near_the_guess() {
        let weights: Vec<f32> = (0..40_000).map(|i| 1.0 + 1e-4 * i as f32).collect();
        let before = vec![0; weights.len()];
        let select = |guess, k| {
            let range = SurveyRange::around(guess, None, &before).unwrap();
            Survey::of(&weights, &range).select(k)
        };
        // The k-th largest is 5 - 1e-4 k.
        let found = select(4.003, 10_000).unwrap();
        assert!((found.kept.threshold - 4.0).abs() < 1e-3);
        assert_eq!(found.added, Vec::from_iter(30_000..40_000));
        assert_eq!(select(3.0, 10_000), None);
    }

    #[test]
    fn a_survey_with_nan_or_too_many_near_entries_does_not_select() {
        let before = vec![0; 40_000];
        let select = |weights: &[f32]| {
            let range = SurveyRange::around(1.0, None, &before).unwrap();
            Survey::of(weights, &range).select(10_000)
        };
        assert_eq!(select(&vec![1.0; 40_000]), None);
        // The k-th largest is 1.
        let mut weights: Vec<f32> = (0..40_000).map(|i| i as f32 / 30_000.0).collect();
        assert!(select(&weights).is_some());
        weights[7] = f32::NAN;
        assert_eq!(select(&weights), None);
    }
}

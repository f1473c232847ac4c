//! What one sweep sees of weights, around where the threshold of a choice is guessed to lie.
//!
//! Few weights cross the threshold in an update. So what is far from the last one is settled on sight, and what is near it is collected.
//! If the k-th is among these, a search among them ends the choice; if it is not, the choice is made without the survey.

use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use super::outcome::{Changes, Kept};
use super::words::{CHUNK, INFINITY, above_of, magnitude, nth_largest, push, word_of, words};
use crate::simd::vectorised;

/// How far from the guess the k-th is looked for: a 64th of an octave.
const NEAR: u32 = 1 << 17;

/// Where a survey looks, and what it compares with.
#[derive(Clone, Copy, Debug)]
pub struct Lookout<'a> {
    candidates: Option<&'a [u64]>,
    before: &'a [u8],
    band: Band,
}

/// Where a threshold may lie and be found in one sweep: above the first, and not above the second. And where nine tenths of it lie then,
/// the same.
#[derive(Clone, Copy, Debug)]
struct Band {
    threshold: [u32; 2],
    contends: [u32; 2],
}

/// What was seen. It holds for the weights, the candidates and the mask as they were then.
#[derive(Debug)]
pub struct Survey {
    entries: usize,
    scratch: Scratch,
}

/// Scratch memory of a survey. It is pooled, so that an update allocates none.
#[derive(Debug, Default)]
struct Scratch {
    chunks: Vec<View>,
    /// The magnitudes near the guess.
    keys: Vec<u32>,
}

/// Rooms that are kept: a large network has some fifty wired tensors, which are all looked at before any is chosen from.
const KEPT: usize = 256;
static POOL: Mutex<Vec<Scratch>> = Mutex::new(Vec::new());

impl Drop for Survey {
    fn drop(&mut self) {
        // A panic elsewhere leaves the pool consistent.
        let mut pooled = POOL.lock().unwrap_or_else(PoisonError::into_inner);
        if pooled.len() < KEPT {
            pooled.push(std::mem::take(&mut self.scratch));
        }
    }
}

/// A candidate near the guess.
#[derive(Debug)]
struct Candidate {
    key: u32,
    /// Within its chunk.
    place: u32,
    /// Whether it was chosen before.
    was: bool,
}

/// Candidates near the guess that a chunk may have. Where magnitudes crowd, a histogram is quicker than a list.
const CROWD: usize = CHUNK / 8;

/// What a chunk has above a band and in it.
#[derive(Debug, Default)]
pub(crate) struct View {
    above: usize,
    /// Those that contend, or are kept, wherever in the band the threshold is.
    contending: usize,
    /// Whether the chunk says nothing: something in it is no number, or a crowd is near the guess.
    is_void: bool,
    near: Vec<Candidate>,
    /// Those that contend or do not, as the threshold is.
    close: Vec<u32>,
    /// Changes that do not depend on where in the band the threshold is.
    born: Vec<usize>,
    died: Vec<usize>,
}

impl Band {
    /// None where a guess is so small, or so large, that there is no room around it.
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

impl<'a> Lookout<'a> {
    /// Around a guess at the smallest magnitude that will be kept, among the `candidates` (a bit each; all entries where none are given),
    /// and beside the mask `before` (a byte an entry, zero for no). None where there is no room around the guess.
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

    /// How many weights it looks at.
    pub(crate) fn entries(&self) -> usize {
        self.before.len()
    }

    /// Looks at the weights of a chunk.
    pub(crate) fn look(&self, chunk: usize, weights: &[f32], seen: &mut View) {
        let first = chunk * CHUNK;
        let of_chunk = |words: &'a [u64]| &words[first / 64..][..weights.len().div_ceil(64)];
        let before = &self.before[first..][..weights.len()];
        seen.clear();
        look(
            weights,
            self.candidates.map(of_chunk),
            before,
            self.band,
            seen,
        );
    }
}

impl View {
    fn clear(&mut self) {
        (self.above, self.contending, self.is_void) = (0, 0, false);
        self.near.clear();
        self.close.clear();
        self.born.clear();
        self.died.clear();
    }
}

impl Survey {
    /// Looks at all weights.
    ///
    /// # Panics
    /// If there are more or fewer than the lookout is for.
    pub fn of(weights: &[f32], lookout: &Lookout<'_>) -> Self {
        assert_eq!(weights.len(), lookout.entries(), "length of the mask");
        let mut survey = Self::blank(lookout);
        let chunks = weights.par_chunks(CHUNK).zip(survey.views());
        let look = |(chunk, (weights, view))| lookout.look(chunk, weights, view);
        chunks.enumerate().for_each(look);
        survey
    }

    /// Before anything was seen.
    pub(crate) fn blank(lookout: &Lookout<'_>) -> Self {
        let scratch = POOL.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut scratch = scratch.unwrap_or_default();
        let chunks = lookout.entries().div_ceil(CHUNK);
        // One that had more keeps them for the next that has.
        if scratch.chunks.len() < chunks {
            scratch.chunks.resize_with(chunks, View::default);
        }
        Self {
            entries: lookout.entries(),
            scratch,
        }
    }

    /// What is seen of each chunk, for those who look.
    pub(crate) fn views(&mut self) -> rayon::slice::IterMut<'_, View> {
        let chunks = self.entries.div_ceil(CHUNK);
        self.scratch.chunks[..chunks].par_iter_mut()
    }

    /// Of how many weights it is.
    pub(super) fn entries(&self) -> usize {
        self.entries
    }

    /// What the choice of `k` changes, if the threshold is near the guess, something near it is left out, and all are numbers.
    pub(super) fn settle(mut self, k: usize) -> Option<Changes> {
        let Scratch { chunks, keys } = &mut self.scratch;
        let seen = &mut chunks[..self.entries.div_ceil(CHUNK)];
        if seen.iter().any(|seen| seen.is_void) {
            return None;
        }
        let wanted = k.checked_sub(seen.iter().map(|seen| seen.above).sum())?;
        keys.clear();
        keys.extend(seen.iter().flat_map(|seen| &seen.near).map(|near| near.key));
        // Of those near it the last is kept and another is not.
        if wanted == 0 || wanted >= keys.len() {
            return None;
        }
        let (threshold, equal_kept) = nth_largest(keys, wanted);
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
}

vectorised! {
    fn look(weights: &[f32], candidates: Option<&[u64]>, before: &[u8], band: Band, seen: &mut View) = look_body;
}

#[inline(always)]
fn look_body<const SET: u8>(
    weights: &[f32],
    candidates: Option<&[u64]>,
    before: &[u8],
    band: Band,
    seen: &mut View,
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
        seen.is_void |= strange != 0 || seen.near.len().max(seen.close.len()) > CROWD;
        if seen.is_void {
            return;
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_near_the_guess_is_settled_and_one_far_from_it_is_not() {
        let weights: Vec<f32> = (0..40_000).map(|i| 1.0 + 1e-4 * i as f32).collect();
        let before = vec![0; weights.len()];
        let settle = |guess, k| {
            let lookout = Lookout::around(guess, None, &before).unwrap();
            Survey::of(&weights, &lookout).settle(k)
        };
        // The k-th is 5 - 1e-4 k.
        let found = settle(4.003, 10_000).unwrap();
        assert!((found.kept.threshold - 4.0).abs() < 1e-3);
        assert_eq!(found.born, Vec::from_iter(30_000..40_000));
        assert_eq!(settle(3.0, 10_000), None);
    }

    #[test]
    fn a_crowd_and_what_is_no_number_are_left_to_the_histogram() {
        let before = vec![0; 40_000];
        let settle = |weights: &[f32]| {
            let lookout = Lookout::around(1.0, None, &before).unwrap();
            Survey::of(weights, &lookout).settle(10_000)
        };
        assert_eq!(settle(&vec![1.0; 40_000]), None);
        // The k-th is 1.
        let mut weights: Vec<f32> = (0..40_000).map(|i| i as f32 / 30_000.0).collect();
        assert!(settle(&weights).is_some());
        weights[7] = f32::NAN;
        assert_eq!(settle(&weights), None);
    }
}

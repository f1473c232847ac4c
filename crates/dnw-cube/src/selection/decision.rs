//! What the host decides of a selection: which of the listed entries swap.

use super::kernels::{CONTENDS, REAL, UNCOUNTED, slot};

/// The error of a selection whose candidates contain NaN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotANumber {
    /// The first candidate that is NaN.
    pub entry: usize,
}

/// A selection, as the difference from the mask before it.
#[derive(Clone, Debug, PartialEq)]
pub struct Selection {
    /// Entries that swap in, ascending, with their magnitudes.
    pub added: Vec<(usize, f32)>,
    /// Entries that swap out, ascending, with their magnitudes.
    pub removed: Vec<(usize, f32)>,
    /// The smallest selected magnitude; infinite if nothing is selected.
    pub threshold: f32,
    /// The largest magnitude of the candidates that are not selected.
    pub nearest: Option<f32>,
    /// How many candidates are not selected but have at least 0.9 times the threshold.
    pub contenders: usize,
}

/// The entries that the device listed, and what it counted.
#[derive(Default)]
pub(super) struct Listed {
    entries: Vec<Entry>,
    /// One more than the bits of the largest magnitude that is certainly not selected, or zero.
    nearest: u32,
    contenders: u32,
}

#[derive(Clone, Copy)]
struct Entry {
    entry: u32,
    is_real: bool,
    /// The bits of its magnitude.
    bits: u32,
}

impl Listed {
    /// From the state of a tensor and the words of its list.
    pub(super) fn new(state: &[u32], words: &[u32]) -> Self {
        let pairs = words.chunks_exact(2);
        let entries = pairs.map(|pair| Entry {
            entry: pair[0] & !REAL,
            is_real: pair[0] & REAL != 0,
            bits: pair[1],
        });
        Self {
            entries: entries.collect(),
            nearest: state[slot::NEAREST],
            contenders: state[slot::CONTENDERS],
        }
    }

    /// Adds those of another part of the tensor.
    pub(super) fn extend(&mut self, part: Self) {
        self.entries.extend(part.entries);
        self.nearest = self.nearest.max(part.nearest);
        self.contenders += part.contenders;
    }

    /// Selects among the entries that share the digits found on the device. `candidates`: a bit per entry; all where it is `None`.
    pub(super) fn decide(
        mut self,
        candidates: Option<&[u32]>,
        state: &[u32],
    ) -> Result<Selection, NotANumber> {
        if state[slot::FIRST_NAN] != u32::MAX {
            let entry = state[slot::FIRST_NAN] as usize;
            return Err(NotANumber { entry });
        }
        let is_candidate = |entry: u32| {
            let is_set = |bits: &[u32]| bits[entry as usize / 32] >> (entry % 32) & 1 != 0;
            candidates.is_none_or(is_set)
        };
        let k = state[slot::K];
        self.entries.sort_unstable_by_key(|listed| listed.entry);
        let digits = state[slot::DIGITS];
        let has_digits = |listed: &Entry| listed.bits >> UNCOUNTED == digits;
        // Of equal magnitudes the later entry is larger.
        let mut undecided: Vec<(u32, u32)> = self
            .entries
            .iter()
            .filter(|listed| has_digits(listed) && is_candidate(listed.entry))
            .map(|listed| (listed.bits, listed.entry))
            .collect();
        undecided.sort_unstable();
        let remaining = state[slot::REMAINING] as usize;
        // Without a budget nothing is selected.
        let least = match k {
            0 => (u32::MAX, u32::MAX),
            _ => undecided[undecided.len() - remaining],
        };
        let threshold = f32::from_bits(least.0);
        let contends = (CONTENDS * threshold).to_bits();
        // From here on the device has counted the contenders that do not share the digits.
        let counted = CONTENDS * f32::from_bits(digits << UNCOUNTED | ((1 << UNCOUNTED) - 1));
        let (mut added, mut removed) = (Vec::new(), Vec::new());
        for listed in &self.entries {
            let &Entry {
                entry,
                is_real,
                bits,
            } = listed;
            let is_candidate = is_candidate(entry);
            let is_selected = is_candidate && (bits, entry) >= least;
            let with_magnitude = (entry as usize, f32::from_bits(bits));
            match (is_real, is_selected) {
                (false, true) => added.push(with_magnitude),
                (true, false) => removed.push(with_magnitude),
                _ => {}
            }
            if is_candidate && !is_selected {
                self.nearest = self.nearest.max(bits + 1);
                let is_counted = !has_digits(listed) && bits >= counted.to_bits();
                if k > 0 && bits >= contends && !is_counted {
                    self.contenders += 1;
                }
            }
        }
        Ok(Selection {
            added,
            removed,
            threshold: match k {
                0 => f32::INFINITY,
                _ => threshold,
            },
            nearest: self.nearest.checked_sub(1).map(f32::from_bits),
            contenders: self.contenders as usize,
        })
    }
}

//! Which edges are real.
//!
//! A [`Wiring`] is the set of edges that take part in the forward pass: one bit per entry of a weight tensor,
//! row-major. It is selected once after each optimizer update and is state from then on: the forward pass and
//! evaluation read it, files store it. The swaps between two updates are the bits in which two wirings
//! differ.

use serde::{Deserialize, Serialize};

use crate::WiringError;

/// The set of real edges of one weight tensor.
///
/// ```
/// use dnw_core::Wiring;
///
/// let before = Wiring::from_entries(6, [0, 4]);
/// let after = Wiring::from_entries(6, [1, 4]);
/// assert_eq!(after.difference(&before).iter().collect::<Vec<_>>(), [1]); // added
/// assert_eq!(before.difference(&after).iter().collect::<Vec<_>>(), [0]); // removed
/// assert_eq!(Wiring::from_bytes(&after.to_bytes())?, after);
/// # Ok::<(), dnw_core::WiringError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Vec<u8>", try_from = "Vec<u8>")]
pub struct Wiring {
    entries: usize,
    words: Vec<u64>,
}

/// The largest tensor size accepted from stored bytes: 2^32 entries.
const MOST_ENTRIES: u64 = 1 << 32;

impl Wiring {
    /// No edge of `entries` is real.
    pub fn empty(entries: usize) -> Self {
        Self {
            entries,
            words: vec![0; entries.div_ceil(64)],
        }
    }

    /// Every edge of `entries` is real.
    pub fn full(entries: usize) -> Self {
        Self::from_mask((0..entries).map(|_| true))
    }

    /// The edges whose flag is set.
    pub fn from_mask(mask: impl IntoIterator<Item = bool>) -> Self {
        let (mut words, mut entries) = (Vec::new(), 0);
        for real in mask {
            if entries % 64 == 0 {
                words.push(0);
            }
            words[entries / 64] |= u64::from(real) << (entries % 64);
            entries += 1;
        }
        Self { entries, words }
    }

    /// The edges at the entries `real` of a tensor with `entries` entries.
    ///
    /// # Panics
    /// If an entry lies outside the tensor.
    pub fn from_entries(entries: usize, real: impl IntoIterator<Item = usize>) -> Self {
        let mut wiring = Self::empty(entries);
        for entry in real {
            wiring.insert(entry);
        }
        wiring
    }

    /// Makes the edge at `entry` real.
    ///
    /// # Panics
    /// If the entry lies outside the tensor.
    pub fn insert(&mut self, entry: usize) {
        assert!(entry < self.entries, "entry {entry} of {}", self.entries);
        self.words[entry / 64] |= 1 << (entry % 64);
    }

    /// The number of entries of the tensor, real or not.
    pub fn entries(&self) -> usize {
        self.entries
    }

    /// One bit per entry, lowest bit first.
    pub(crate) fn words(&self) -> &[u64] {
        &self.words
    }

    /// The number of real edges.
    pub fn count(&self) -> usize {
        self.words
            .iter()
            .map(|word| word.count_ones() as usize)
            .sum()
    }

    /// Whether the edge at `entry` is real; false outside the tensor.
    pub fn contains(&self, entry: usize) -> bool {
        entry < self.entries && self.words[entry / 64] >> (entry % 64) & 1 == 1
    }

    /// The real entries, ascending.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.words.iter().enumerate().flat_map(|(i, &word)| {
            std::iter::successors((word != 0).then_some(word), |word| {
                let rest = word & (word - 1);
                (rest != 0).then_some(rest)
            })
            .map(move |word| 64 * i + word.trailing_zeros() as usize)
        })
    }

    /// The real edges of a `[targets, sources]` tensor, target by target: `(target, source)`.
    ///
    /// # Panics
    /// If `sources` is zero.
    pub fn iter_by_target(&self, sources: usize) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.iter()
            .map(move |entry| (entry / sources, entry % sources))
    }

    /// One flag per entry.
    pub fn to_mask(&self) -> Vec<bool> {
        (0..self.entries)
            .map(|entry| self.contains(entry))
            .collect()
    }

    /// The edges that are real here and not in `other`.
    ///
    /// # Panics
    /// If the tensors differ in size.
    pub fn difference(&self, other: &Self) -> Self {
        self.combine(other, |a, b| a & !b)
    }

    /// The edges that are real in both.
    ///
    /// # Panics
    /// If the tensors differ in size.
    pub fn intersection(&self, other: &Self) -> Self {
        self.combine(other, |a, b| a & b)
    }

    /// The edges that are real in either.
    ///
    /// # Panics
    /// If the tensors differ in size.
    pub fn union(&self, other: &Self) -> Self {
        self.combine(other, |a, b| a | b)
    }

    fn combine(&self, other: &Self, bits: impl Fn(u64, u64) -> u64) -> Self {
        assert_eq!(self.entries, other.entries, "wirings of different tensors");
        let words = self
            .words
            .iter()
            .zip(&other.words)
            .map(|(&a, &b)| bits(a, b))
            .collect();
        Self {
            entries: self.entries,
            words,
        }
    }

    /// A compact encoding: the number of entries as a varint, one byte for the layout, then the smaller of
    /// two layouts: the bitset (0), or the gaps between real entries as varints (1).
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        varint(&mut bytes, self.entries as u64);
        let bitset_len = self.entries.div_ceil(8);
        let mut gaps = Vec::new();
        let mut next = 0;
        for entry in self.iter() {
            varint(&mut gaps, (entry - next) as u64);
            next = entry + 1;
            if gaps.len() >= bitset_len {
                break;
            }
        }
        if gaps.len() < bitset_len {
            bytes.push(1);
            bytes.extend(gaps);
        } else {
            bytes.push(0);
            let words = self.words.iter().flat_map(|word| word.to_le_bytes());
            bytes.extend(words.take(bitset_len));
        }
        bytes
    }

    /// Decodes the bytes of [`to_bytes`](Self::to_bytes).
    ///
    /// # Errors
    /// [`WiringError::Bytes`] if the bytes are truncated, contain an edge outside the tensor, or state more
    /// than 2^32 entries. Memory is limited to 512 MiB for any input.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, WiringError> {
        let mut rest = bytes;
        let entries = read_varint(&mut rest).ok_or(WiringError::Bytes("the size is missing"))?;
        if entries > MOST_ENTRIES {
            return Err(WiringError::Bytes("the size is out of bounds"));
        }
        let entries = entries as usize;
        let (&layout, mut rest) = rest
            .split_first()
            .ok_or(WiringError::Bytes("the layout is missing"))?;
        match layout {
            0 if rest.len() == entries.div_ceil(8) => {
                let wiring = Self::from_mask((0..entries).map(|i| rest[i / 8] >> (i % 8) & 1 == 1));
                let beyond = rest
                    .last()
                    .is_some_and(|last| !entries.is_multiple_of(8) && last >> (entries % 8) != 0);
                if beyond {
                    Err(WiringError::Bytes("an edge lies outside the tensor"))
                } else {
                    Ok(wiring)
                }
            }
            0 => Err(WiringError::Bytes("the bitset has the wrong length")),
            1 => {
                let mut wiring = Self::empty(entries);
                let mut next = 0u64;
                while !rest.is_empty() {
                    let gap = read_varint(&mut rest)
                        .ok_or(WiringError::Bytes("a varint is truncated"))?;
                    let entry = next.saturating_add(gap);
                    if entry >= entries as u64 {
                        return Err(WiringError::Bytes("an edge lies outside the tensor"));
                    }
                    wiring.insert(entry as usize);
                    next = entry + 1;
                }
                Ok(wiring)
            }
            _ => Err(WiringError::Bytes("the layout is unknown")),
        }
    }
}

impl std::fmt::Debug for Wiring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Wiring({} of {})", self.count(), self.entries)
    }
}

impl From<Wiring> for Vec<u8> {
    fn from(wiring: Wiring) -> Self {
        wiring.to_bytes()
    }
}

impl TryFrom<Vec<u8>> for Wiring {
    type Error = WiringError;

    fn try_from(bytes: Vec<u8>) -> Result<Self, WiringError> {
        Self::from_bytes(&bytes)
    }
}

fn varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn read_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        if shift == 63 && byte > 1 {
            return None;
        }
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn encoding_and_decoding_returns_the_same_wiring(mask in proptest::collection::vec(proptest::bool::weighted(0.2), 0..500)) {
            let wiring = Wiring::from_mask(mask.iter().copied());
            prop_assert_eq!(wiring.count(), mask.iter().filter(|&&m| m).count());
            prop_assert_eq!(&Wiring::from_bytes(&wiring.to_bytes()).unwrap(), &wiring);
            prop_assert_eq!(wiring.to_mask(), mask);
        }

        #[test]
        fn damaged_bytes_are_an_error_or_a_wiring_but_never_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            // Sizes are kept small here; the bound itself has its own test.
            if read_varint(&mut bytes.as_slice()).is_some_and(|size| size < 1 << 20)
                && let Ok(wiring) = Wiring::from_bytes(&bytes)
            {
                prop_assert!(wiring.iter().all(|entry| entry < wiring.entries()));
            }
        }
    }

    #[test]
    fn a_claimed_size_out_of_bounds_is_refused_before_it_is_allocated() {
        let mut bytes = Vec::new();
        varint(&mut bytes, u64::MAX);
        bytes.push(1);
        assert!(Wiring::from_bytes(&bytes).is_err());
    }

    #[test]
    fn a_sparse_wiring_takes_about_a_byte_an_edge() {
        let wiring = Wiring::from_entries(640_000, (0..6400).map(|i| 100 * i));
        assert!(wiring.to_bytes().len() < 6410);
    }

    #[test]
    fn edges_are_visited_target_by_target() {
        let wiring = Wiring::from_entries(6, [5, 0, 2]);
        assert_eq!(
            wiring.iter_by_target(3).collect::<Vec<_>>(),
            [(0, 0), (0, 2), (1, 2)]
        );
    }
}

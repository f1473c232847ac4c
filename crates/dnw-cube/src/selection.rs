//! The k entries of largest magnitude of each of several tensors, by a radix search on the device.
//!
//! The bits of |w|, read as an integer, have the same order as the magnitudes. Two passes build histograms of digits of 11 and 10 bits,
//! the highest digit first, the second over the entries that share the digit found before. After each pass a small kernel finds the digit of the
//! k-th largest, for all tensors at once. Then only a few entries share both digits with it. A third pass lists them, and the entries that swap
//! for certain, in any order. The host reads the states of all tensors, and then the lists, never the weights: twice for any number of tensors,
//! because each time it waits for the GPU. It finds the k-th largest among the entries of its list; of equal entries it selects the last.
//!
//! A list has room for one entry in sixteen. A first selection, or many equal weights, may need more. The third pass is then repeated for that
//! tensor, in parts, each of whose lists is long enough.
//!
//! Atomic operations are counts and maxima of integers, whose result does not depend on the order, and the host sorts the lists.

use std::ops::Range;

use cubecl::ir::ElemType;
use cubecl::prelude::*;

use crate::buffer::{Buffer, WORKGROUP_SIZE};

mod decision;
mod kernels;

use decision::Listed;
pub use decision::{NotANumber, Selection};
use kernels::{BINS, DIGITS, count_digits, find_digit, list_changes, slot};

/// Entries for which there is one more workgroup.
const ENTRIES_PER_WORKGROUP: u32 = 8192;
/// Entries in a part of a tensor that needs a longer list. A device limits the size of a buffer.
const PART: u32 = 1 << 22;

/// What to select of a tensor.
#[derive(Clone, Debug)]
pub struct Wanted<'a> {
    /// The weights, `[entries]` of type `f32`.
    pub weights: Buffer,
    /// The mask before, `[entries]`, nonzero for real edges.
    pub real: Buffer,
    /// The entries that may be selected, one bit per entry, the first lowest; `None` for all entries.
    pub candidates: Option<&'a [u32]>,
    /// How many entries to select.
    pub k: usize,
}

impl Wanted<'_> {
    fn entries(&self) -> u32 {
        i32::try_from(self.weights.length()).expect("at most i32::MAX entries") as u32
    }

    fn words(&self) -> usize {
        self.weights.length().div_ceil(32)
    }

    /// Workgroups for so many entries: one for some thousand, up to as many as fill a large GPU.
    fn workgroups(entries: u32) -> CubeCount {
        CubeCount::Static(entries.div_ceil(ENTRIES_PER_WORKGROUP).clamp(1, 1024), 1, 1)
    }

    fn check(&self) {
        let entries = self.weights.length();
        assert_eq!(self.real.length(), entries, "length of the mask");
        let words = self.candidates.map_or(self.words(), <[u32]>::len);
        assert_eq!(words, self.words(), "length of the candidates");
        let count = match self.candidates {
            Some(bits) => bits.iter().map(|word| word.count_ones() as usize).sum(),
            None => entries,
        };
        assert!(self.k <= count, "{} of {count} candidates", self.k);
    }
}

/// A tensor in a selection.
struct Pass<'a> {
    wanted: &'a Wanted<'a>,
    /// Its place among all tensors.
    tensor: u32,
    candidates: Buffer,
    list: Buffer,
}

/// Selects the `k` candidates of largest magnitude of each tensor and returns the difference from the mask before. Of equal magnitudes the
/// later entry is selected. `store`: the type of the masks' elements.
///
/// # Errors
/// [`NotANumber`] for a tensor with a candidate that is NaN.
///
/// # Panics
/// If there are fewer than `k` candidates, the lengths do not fit, or there are more than `i32::MAX` entries.
pub fn select_top_k(
    client: &Client,
    tensors: &[Wanted<'_>],
    store: ElemType,
) -> Vec<Result<Selection, NotANumber>> {
    if tensors.is_empty() {
        return Vec::new();
    }
    let mut initial = Vec::new();
    let mut passes = Vec::new();
    for (tensor, wanted) in tensors.iter().enumerate() {
        wanted.check();
        let mut state = [0u32; slot::COUNT];
        state[slot::FIRST_NAN] = u32::MAX;
        state[slot::REMAINING] = wanted.k as u32;
        state[slot::K] = wanted.k as u32;
        initial.extend(state);
        let entries = wanted.weights.length();
        passes.push(Pass {
            wanted,
            tensor: tensor as u32,
            candidates: Buffer::from_slice(client, wanted.candidates.unwrap_or(&[0])),
            list: Buffer::uninitialised(client, 2 * (entries / 16).max(entries.min(1024))),
        });
    }
    let state = Buffer::from_slice(client, &initial);
    let bins = Buffer::from_slice(client, &vec![0; BINS * tensors.len()]);
    for digit in DIGITS {
        for pass in &passes {
            pass.count(client, &state, &bins, digit);
        }
        // SAFETY: there is a workgroup per tensor, and each has a state and bins.
        unsafe {
            find_digit::launch_unchecked(
                client,
                CubeCount::Static(tensors.len() as u32, 1, 1),
                CubeDim::new_1d(WORKGROUP_SIZE),
                state.arg(1),
                bins.arg(1),
                digit.1,
            );
        }
    }
    for pass in &passes {
        let all = 0..pass.wanted.entries();
        pass.list(client, &state, &pass.list, all, store);
    }
    let states = state.read(client);
    let states = states.chunks_exact(slot::COUNT);
    let words = |state: &[u32]| 2 * state[slot::LISTED] as usize;
    let fits = |pass: &Pass<'_>, state: &[u32]| words(state) <= pass.list.length();
    let both = || passes.iter().zip(states.clone());
    let short = both().filter(|(pass, state)| fits(pass, state));
    let mut lists = Buffer::read_beginnings(
        client,
        short.map(|(pass, state)| (&pass.list, words(state))),
    )
    .into_iter();
    let selections = both().map(|(pass, state)| {
        let listed = match fits(pass, state) {
            true => Listed::new(state, &lists.next().expect("one for each that fits")),
            false => pass.list_in_parts(client, state, store),
        };
        listed.decide(pass.wanted.candidates, state)
    });
    selections.collect()
}

impl Pass<'_> {
    fn all(&self) -> bool {
        self.wanted.candidates.is_none()
    }

    /// Counts a digit's values.
    fn count(&self, client: &Client, state: &Buffer, bins: &Buffer, (shift, width): (u32, u32)) {
        let bins = bins.part(self.tensor as usize * BINS, BINS);
        // SAFETY: entries and bins are checked against their numbers.
        unsafe {
            count_digits::launch_unchecked(
                client,
                Wanted::workgroups(self.wanted.entries()),
                CubeDim::new_1d(WORKGROUP_SIZE),
                self.wanted.weights.arg(1),
                self.candidates.arg(1),
                state.arg(1),
                bins.arg(1),
                self.wanted.entries(),
                self.tensor,
                self.all(),
                shift,
                width,
            );
        }
    }

    /// Lists the changes of these entries.
    fn list(
        &self,
        client: &Client,
        state: &Buffer,
        list: &Buffer,
        entries: Range<u32>,
        store: ElemType,
    ) {
        // The state of a tensor by itself is at the beginning.
        let tensor = match state.length() {
            slot::COUNT => 0,
            _ => self.tensor,
        };
        // SAFETY: entries and positions in the list are checked against their numbers.
        unsafe {
            list_changes::launch_unchecked(
                client,
                Wanted::workgroups(entries.end - entries.start),
                CubeDim::new_1d(WORKGROUP_SIZE),
                self.wanted.weights.arg(1),
                self.candidates.arg(1),
                self.wanted.real.arg(1),
                state.arg(1),
                list.arg(1),
                entries.start,
                entries.end,
                tensor,
                self.all(),
                store,
            );
        }
    }

    /// What [`list`](Self::list) would have listed with a longer list.
    fn list_in_parts(&self, client: &Client, found: &[u32], store: ElemType) -> Listed {
        let mut initial = found.to_vec();
        for counted in [slot::NEAREST, slot::CONTENDERS, slot::LISTED] {
            initial[counted] = 0;
        }
        let entries = self.wanted.entries();
        let list = Buffer::uninitialised(client, 2 * entries.min(PART) as usize);
        let mut all = Listed::default();
        for first in (0..entries).step_by(PART as usize) {
            let state = Buffer::from_slice(client, &initial);
            let part = first..entries.min(first.saturating_add(PART));
            self.list(client, &state, &list, part, store);
            let state = state.read(client);
            let words = 2 * state[slot::LISTED] as usize;
            let lists = Buffer::read_beginnings(client, [(&list, words)].into_iter());
            all.extend(Listed::new(&state, &lists[0]));
        }
        all
    }
}

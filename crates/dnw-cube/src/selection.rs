//! The k entries of largest magnitude of each of several tensors, by a radix search on the device.
//!
//! The bits of |w|, read as an integer, have the same order as the magnitudes. Three passes build histograms of digits of 11, 10 and 10 bits,
//! the highest digit first, each over the entries that share the digits found before. After each pass a small kernel finds the digit of the
//! k-th largest, for all tensors at once. A fourth pass writes the bits of the mask that change and counts them. The host reads the states of
//! all tensors, and then the entries that changed, never the weights: twice for any number of tensors, because each time it waits for the GPU.
//!
//! If more entries equal the k-th largest than remain to be selected, the last of them are selected. This is rare, and the host sees it in
//! the state; the fourth pass is then repeated for that tensor, after its equal entries have been counted per block.
//!
//! Atomic operations are counts and maxima of integers, whose result does not depend on the order.

use cubecl::ir::ElemType;
use cubecl::prelude::*;

use crate::buffer::{Buffer, WORKGROUP_SIZE};

mod kernels;

use kernels::{
    BINS, BLOCK, DIGITS, compare, count_digits, count_equal, find_digit, list_entries, slot,
    sum_before,
};

/// The most entries that are listed at once, except those of one tensor.
const LISTED: u32 = 1 << 22;

/// The error of a selection whose candidates contain NaN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotANumber {
    /// The first candidate that is NaN.
    pub entry: usize,
}

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

    fn blocks(&self) -> usize {
        self.weights.length().div_ceil(BLOCK).max(1)
    }

    /// One workgroup per block and side.
    fn workgroups(&self, sides: usize) -> CubeCount {
        let blocks = sides * self.blocks();
        CubeCount::Static(blocks.min(32_768) as u32, blocks.div_ceil(32_768) as u32, 1)
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

/// A tensor, and what the fourth pass writes of it.
struct Pass<'a> {
    wanted: &'a Wanted<'a>,
    /// Its place among all tensors.
    tensor: u32,
    candidates: Buffer,
    changed: Buffer,
    /// Where its counts begin among those of all tensors.
    first_count: u32,
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
    let (mut passes, mut counts) = (Vec::new(), 0);
    for (tensor, wanted) in tensors.iter().enumerate() {
        wanted.check();
        let mut state = [0u32; slot::COUNT];
        state[slot::FIRST_NAN] = u32::MAX;
        state[slot::REMAINING] = wanted.k as u32;
        state[slot::K] = wanted.k as u32;
        initial.extend(state);
        passes.push(Pass {
            wanted,
            tensor: tensor as u32,
            candidates: Buffer::from_slice(client, wanted.candidates.unwrap_or(&[0])),
            changed: Buffer::uninitialised(client, 2 * wanted.words()),
            first_count: counts,
        });
        counts += 2 * wanted.blocks() as u32;
    }
    let state = Buffer::from_slice(client, &initial);
    let bins = Buffer::from_slice(client, &vec![0; BINS * tensors.len()]);
    let [counts, before] = [(); 2].map(|()| Buffer::uninitialised(client, counts as usize));
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
        pass.compare(client, &state, &counts, None, store);
    }
    let mut found = state.read(client);
    for (pass, found) in passes.iter().zip(found.chunks_exact_mut(slot::COUNT)) {
        if found[slot::REMAINING] < found[slot::EQUAL] {
            let again = pass.compare_in_order(client, found, &counts, store);
            found.copy_from_slice(&again);
        }
    }
    let states: Vec<&[u32]> = found.chunks_exact(slot::COUNT).collect();
    let swapped = |state: &[u32]| state[slot::SWAPPED_IN] + state[slot::SWAPPED_OUT];
    if states.iter().any(|state| swapped(state) > 0) {
        sum(client, &counts, &before);
    }
    // In training a few thousand entries change, but a first selection may change nearly all, and a device limits the size of a buffer.
    let (mut pairs, mut done) = (Vec::new(), 0);
    while done < passes.len() {
        let (first, mut total) = (done, 0);
        while done < passes.len() && (total == 0 || total + swapped(states[done]) <= LISTED) {
            total += swapped(states[done]);
            done += 1;
        }
        if total == 0 {
            continue;
        }
        let [entries, magnitudes] = [(); 2].map(|()| Buffer::uninitialised(client, total as usize));
        let listed = [&entries, &magnitudes];
        for (pass, state) in passes[first..done].iter().zip(&states[first..done]) {
            if swapped(state) > 0 {
                pass.list(client, &before, listed, pairs.len() as u32);
            }
        }
        let [entries, magnitudes] = Buffer::read_both(client, listed);
        pairs.extend(entries.into_iter().zip(magnitudes));
    }
    let mut pairs = pairs
        .into_iter()
        .map(|(entry, bits)| (entry as usize, f32::from_bits(bits)));
    let mut next = |count: u32| pairs.by_ref().take(count as usize).collect::<Vec<_>>();
    let selections = states.iter().map(|state| {
        let (added, removed) = (
            next(state[slot::SWAPPED_IN]),
            next(state[slot::SWAPPED_OUT]),
        );
        if state[slot::FIRST_NAN] != u32::MAX {
            let entry = state[slot::FIRST_NAN] as usize;
            return Err(NotANumber { entry });
        }
        Ok(Selection {
            added,
            removed,
            threshold: match state[slot::K] {
                0 => f32::INFINITY,
                _ => f32::from_bits(state[slot::DIGITS]),
            },
            nearest: state[slot::NEAREST].checked_sub(1).map(f32::from_bits),
            contenders: state[slot::CONTENDERS] as usize,
        })
    });
    selections.collect()
}

/// Writes the exclusive prefix sum of `counts` to `before`.
fn sum(client: &Client, counts: &Buffer, before: &Buffer) {
    // SAFETY: blocks are checked against their number.
    unsafe {
        sum_before::launch_unchecked(
            client,
            CubeCount::Static(1, 1, 1),
            CubeDim::new_1d(WORKGROUP_SIZE),
            counts.arg(1),
            before.arg(1),
        );
    }
}

impl Pass<'_> {
    fn all(&self) -> bool {
        self.wanted.candidates.is_none()
    }

    /// Counts a digit's values.
    fn count(&self, client: &Client, state: &Buffer, bins: &Buffer, (shift, width): (u32, u32)) {
        // A workgroup for some thousand entries, up to as many as fill a large GPU.
        let workgroups = self.wanted.blocks().min(1024) as u32;
        // SAFETY: entries and bins are checked against their numbers.
        unsafe {
            count_digits::launch_unchecked(
                client,
                CubeCount::Static(workgroups, 1, 1),
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

    /// Finds the entries that change. `equal`: how many equal the threshold in each block, and in those before it, if that matters.
    fn compare(
        &self,
        client: &Client,
        state: &Buffer,
        counts: &Buffer,
        equal: Option<[&Buffer; 2]>,
        store: ElemType,
    ) {
        // Kernels have all arguments; the counts are not read where they are not given.
        let [in_blocks, before] = equal.unwrap_or([&self.candidates; 2]);
        // The state of a tensor by itself is at the beginning.
        let tensor = match state.length() {
            slot::COUNT => 0,
            _ => self.tensor,
        };
        // SAFETY: entries, words and blocks are checked against their numbers.
        unsafe {
            compare::launch_unchecked(
                client,
                self.wanted.workgroups(1),
                CubeDim::new_1d(WORKGROUP_SIZE),
                self.wanted.weights.arg(1),
                self.candidates.arg(1),
                self.wanted.real.arg(1),
                in_blocks.arg(1),
                before.arg(1),
                state.arg(1),
                self.changed.arg(1),
                counts.arg(1),
                self.wanted.entries(),
                tensor,
                self.first_count,
                self.all(),
                equal.is_some(),
                store,
            );
        }
    }

    /// [`compare`](Self::compare) where only the last of the entries that equal the threshold are selected. Returns the state of the tensor.
    fn compare_in_order(
        &self,
        client: &Client,
        found: &[u32],
        counts: &Buffer,
        store: ElemType,
    ) -> Vec<u32> {
        let [equal, before] = [(); 2].map(|()| Buffer::uninitialised(client, self.wanted.blocks()));
        // SAFETY: entries and blocks are checked against their numbers.
        unsafe {
            count_equal::launch_unchecked(
                client,
                self.wanted.workgroups(1),
                CubeDim::new_1d(WORKGROUP_SIZE),
                self.wanted.weights.arg(1),
                self.candidates.arg(1),
                equal.arg(1),
                self.wanted.entries(),
                found[slot::DIGITS],
                self.all(),
            );
        }
        sum(client, &equal, &before);
        let mut state = found.to_vec();
        for counted in [
            slot::NEAREST,
            slot::CONTENDERS,
            slot::SWAPPED_IN,
            slot::SWAPPED_OUT,
        ] {
            state[counted] = 0;
        }
        let state = Buffer::from_slice(client, &state);
        self.compare(client, &state, counts, Some([&equal, &before]), store);
        state.read(client)
    }

    /// Lists what changes into the entries and magnitudes of `listed`, which begin after the first `skipped` of all tensors.
    fn list(&self, client: &Client, before: &Buffer, listed: [&Buffer; 2], skipped: u32) {
        // SAFETY: the kernel writes as many entries as were counted.
        unsafe {
            list_entries::launch_unchecked(
                client,
                self.wanted.workgroups(2),
                CubeDim::new_1d(WORKGROUP_SIZE),
                self.wanted.weights.arg(1),
                self.changed.arg(1),
                before.arg(1),
                listed[0].arg(1),
                listed[1].arg(1),
                self.wanted.words() as u32,
                self.first_count,
                skipped,
            );
        }
    }
}

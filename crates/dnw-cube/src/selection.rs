//! The k entries of largest magnitude, by a radix search on the device.
//!
//! The bits of |w|, read as an integer, have the same order as the magnitudes. Three passes build histograms of digits of 11, 10 and 10 bits,
//! the highest digit first, each over the entries that share the digits found before. After each pass a small kernel finds the digit of the
//! k-th largest. A fourth pass counts the entries equal to the k-th per block, so that the fifth pass knows which of them to keep; it writes
//! the bits of the mask that change and counts them. The host reads back eight integers and the entries that changed, never the weights.
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

/// The error of a selection whose candidates contain NaN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotANumber {
    /// The first candidate that is NaN.
    pub entry: usize,
}

/// What to select.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The entries that may be selected, one bit per entry, the first lowest; `None` for all entries.
    pub candidates: Option<&'a [u32]>,
    /// How many entries to select.
    pub k: usize,
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

/// Selects the `k` candidates of largest magnitude and returns the difference from `real`, the mask before. Of equal magnitudes the later entry
/// is selected.
///
/// # Shapes
/// `weights`: `[entries]` of type `f32`; `real`: `[entries]` of type `store`, nonzero for real edges.
///
/// # Errors
/// [`NotANumber`] if a candidate is NaN.
///
/// # Panics
/// If there are fewer than `k` candidates, the lengths do not fit, or there are more than `i32::MAX` entries.
pub fn select_top_k(
    client: &Client,
    weights: &Buffer,
    real: &Buffer,
    store: ElemType,
    wanted: Wanted<'_>,
) -> Result<Selection, NotANumber> {
    let entries = weights.length();
    assert_eq!(real.length(), entries, "length of the mask");
    let entries = i32::try_from(entries).expect("at most i32::MAX entries") as u32;
    let words = entries.div_ceil(32) as usize;
    let all = wanted.candidates.is_none();
    let candidate_words = wanted.candidates.unwrap_or(&[0]);
    assert!(
        all || candidate_words.len() == words,
        "length of the candidates"
    );
    let count = match wanted.candidates {
        Some(bits) => bits.iter().map(|word| word.count_ones() as usize).sum(),
        None => entries as usize,
    };
    assert!(wanted.k <= count, "{} of {count} candidates", wanted.k);

    let candidates = Buffer::from_slice(client, candidate_words);
    let mut initial = [0u32; slot::COUNT];
    initial[slot::FIRST_NAN] = u32::MAX;
    initial[slot::REMAINING] = wanted.k as u32;
    let state = Buffer::from_slice(client, &initial);
    let bins = Buffer::from_slice(client, &[0; BINS]);
    let blocks = (entries as usize).div_ceil(BLOCK).max(1);
    let workgroup = CubeDim::new_1d(WORKGROUP_SIZE);
    let one = CubeCount::Static(1, 1, 1);
    // A workgroup for some thousand entries, up to as many as fill a large GPU.
    let unordered = CubeCount::Static(blocks.min(1024) as u32, 1, 1);
    let ordered =
        || CubeCount::Static(blocks.min(32_768) as u32, blocks.div_ceil(32_768) as u32, 1);

    for (shift, width) in DIGITS {
        // SAFETY: entries and bins are checked against their numbers.
        unsafe {
            count_digits::launch_unchecked(
                client,
                unordered.clone(),
                workgroup,
                weights.arg(1),
                candidates.arg(1),
                state.arg(1),
                bins.arg(1),
                entries,
                all,
                shift,
                width,
            );
            find_digit::launch_unchecked(
                client,
                one.clone(),
                workgroup,
                state.arg(1),
                bins.arg(1),
                wanted.k as u32,
                width,
            );
        }
    }
    let equal = Buffer::uninitialised(client, blocks);
    let equal_before = Buffer::uninitialised(client, blocks);
    let changed = [
        Buffer::uninitialised(client, words),
        Buffer::uninitialised(client, words),
    ];
    let counts = [
        Buffer::uninitialised(client, blocks),
        Buffer::uninitialised(client, blocks),
    ];
    let before = [
        Buffer::uninitialised(client, blocks),
        Buffer::uninitialised(client, blocks),
    ];
    // SAFETY: entries, words and blocks are checked against their numbers.
    unsafe {
        count_equal::launch_unchecked(
            client,
            ordered(),
            workgroup,
            weights.arg(1),
            candidates.arg(1),
            state.arg(1),
            equal.arg(1),
            entries,
            all,
        );
        sum_before::launch_unchecked(
            client,
            one.clone(),
            workgroup,
            equal.arg(1),
            equal_before.arg(1),
            state.arg(1),
            slot::EQUAL as u32,
        );
        compare::launch_unchecked(
            client,
            ordered(),
            workgroup,
            weights.arg(1),
            candidates.arg(1),
            real.arg(1),
            equal.arg(1),
            equal_before.arg(1),
            state.arg(1),
            changed[0].arg(1),
            changed[1].arg(1),
            counts[0].arg(1),
            counts[1].arg(1),
            entries,
            u32::from(wanted.k == 0),
            all,
            store,
        );
        for (side, total) in [slot::SWAPPED_IN, slot::SWAPPED_OUT]
            .into_iter()
            .enumerate()
        {
            sum_before::launch_unchecked(
                client,
                one.clone(),
                workgroup,
                counts[side].arg(1),
                before[side].arg(1),
                state.arg(1),
                total as u32,
            );
        }
    }
    let found = state.read(client);
    if found[slot::FIRST_NAN] != u32::MAX {
        let entry = found[slot::FIRST_NAN] as usize;
        return Err(NotANumber { entry });
    }
    let list = |side: usize, total: usize| {
        if total == 0 {
            return Vec::new();
        }
        let listed = [
            Buffer::uninitialised(client, total),
            Buffer::uninitialised(client, total),
        ];
        // SAFETY: the kernel writes as many entries as were counted.
        unsafe {
            list_entries::launch_unchecked(
                client,
                ordered(),
                workgroup,
                weights.arg(1),
                changed[side].arg(1),
                counts[side].arg(1),
                before[side].arg(1),
                listed[0].arg(1),
                listed[1].arg(1),
            );
        }
        let [entries, magnitudes] = listed.map(|buffer| buffer.read(client));
        let magnitudes = magnitudes.into_iter().map(f32::from_bits);
        let entries = entries.into_iter().map(|entry| entry as usize);
        entries.zip(magnitudes).collect()
    };
    Ok(Selection {
        added: list(0, found[slot::SWAPPED_IN] as usize),
        removed: list(1, found[slot::SWAPPED_OUT] as usize),
        threshold: match wanted.k {
            0 => f32::INFINITY,
            _ => f32::from_bits(found[slot::DIGITS]),
        },
        nearest: found[slot::NEAREST].checked_sub(1).map(f32::from_bits),
        contenders: found[slot::CONTENDERS] as usize,
    })
}

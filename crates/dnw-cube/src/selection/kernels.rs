//! The compute kernels of a selection, and the state that they share.

use cubecl::prelude::*;

use crate::buffer::WORKGROUP_SIZE;

/// Indices into the state of a tensor that the kernels share. The states of all tensors are one after the other.
pub(super) mod slot {
    /// The digits of the k-th largest found so far.
    pub const DIGITS: usize = 0;
    /// How many entries to select among those with these digits.
    pub const REMAINING: usize = 1;
    /// The first candidate that is NaN.
    pub const FIRST_NAN: usize = 2;
    /// One more than the bits of the largest candidate that is certainly not selected; zero if there is none.
    pub const NEAREST: usize = 3;
    /// How many candidates are certainly contenders.
    pub const CONTENDERS: usize = 4;
    /// How many entries are listed, or would be if the list were long enough.
    pub const LISTED: usize = 5;
    /// How many entries to select.
    pub const K: usize = 6;
    /// The length of a tensor's state.
    pub const COUNT: usize = 7;
}

/// The digits of a magnitude that are counted, the highest first: lowest bit and width in bits.
pub(super) const DIGITS: [(u32, u32); 2] = [(20, 11), (UNCOUNTED, 10)];
/// The bits below them.
pub(super) const UNCOUNTED: u32 = 10;
/// The number of values of the widest digit.
pub(super) const BINS: usize = 1 << 11;
/// The bit that marks real edges in a list of entries, of which there are at most `i32::MAX`.
pub(super) const REAL: u32 = 1 << 31;
/// The bits of infinity. Larger bits are NaN.
const INFINITY: u32 = 0x7f80_0000;
/// Contenders have at least this share of the threshold.
pub(super) const CONTENDS: f32 = 0.9;

#[cube]
fn magnitude(weight: f32) -> u32 {
    u32::reinterpret(weight) & 0x7fff_ffff
}

#[cube]
fn is_candidate(candidates: &[u32], entry: u32, #[comptime] all: bool) -> bool {
    if comptime!(all) {
        true.runtime()
    } else {
        (candidates[(entry / 32) as usize] >> (entry % 32)) & 1 != 0
    }
}

/// The histogram of the next digit of a tensor over the candidates that have the digits found so far.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
pub(super) fn count_digits(
    weights: &[f32],
    candidates: &[u32],
    state: &[Atomic<u32>],
    bins: &[Atomic<u32>],
    entries: u32,
    tensor: u32,
    #[comptime] all: bool,
    #[comptime] shift: u32,
    #[comptime] width: u32,
) {
    let size = comptime!(1u32 << width);
    let counts = Shared::<[Atomic<u32>]>::new_slice(size as usize);
    let mut bin = UNIT_POS;
    while bin < size {
        counts[bin as usize].store(0u32);
        bin += CUBE_DIM;
    }
    sync_cube();
    let base = (tensor * comptime!(slot::COUNT as u32)) as usize;
    let digits = state[base + slot::DIGITS].load();
    let mut entry = ABSOLUTE_POS as u32;
    while entry < entries {
        if is_candidate(candidates, entry, all) {
            let bits = magnitude(weights[entry as usize]);
            let mut above = 0u32;
            if comptime!(shift + width < 31) {
                above = bits >> comptime!(shift + width);
            }
            if above == digits {
                counts[((bits >> shift) & (size - 1)) as usize].fetch_add(1u32);
            }
            if comptime!(shift + width == 31) {
                if bits > INFINITY {
                    state[base + slot::FIRST_NAN].fetch_min(entry);
                }
            }
        }
        entry += CUBE_COUNT as u32 * CUBE_DIM;
    }
    sync_cube();
    let mut bin = UNIT_POS;
    while bin < size {
        let count = counts[bin as usize].load();
        if count > 0 {
            bins[bin as usize].fetch_add(count);
        }
        bin += CUBE_DIM;
    }
}

/// Finds the digit of the k-th largest and clears the histogram for the next digit. One workgroup per tensor.
#[cube(launch_unchecked)]
pub(super) fn find_digit(state: &mut [u32], bins: &mut [u32], #[comptime] width: u32) {
    let size = comptime!(1u32 << width);
    let per_thread = comptime!(size / WORKGROUP_SIZE);
    let base = CUBE_POS * comptime!(slot::COUNT);
    let first = CUBE_POS as u32 * comptime!(BINS as u32);
    let mut sums = Shared::<[u32]>::new_slice(comptime!(WORKGROUP_SIZE as usize));
    // Threads process the digit's values from the largest down.
    let top = first + size - 1 - UNIT_POS * per_thread;
    let mut sum = 0u32;
    for step in 0..per_thread {
        sum += bins[(top - step) as usize];
    }
    sums[UNIT_POS as usize] = sum;
    sync_cube();
    if UNIT_POS == 0 {
        let mut left = state[base + slot::REMAINING];
        let mut thread = 0u32;
        while thread < comptime!(WORKGROUP_SIZE - 1) && sums[thread as usize] < left {
            left -= sums[thread as usize];
            thread += 1;
        }
        let mut digit = size - 1 - thread * per_thread;
        let last = digit + 1 - per_thread;
        while digit > last && bins[(first + digit) as usize] < left {
            left -= bins[(first + digit) as usize];
            digit -= 1;
        }
        // With k = 0 the threshold has the largest digits, so that nothing is above it.
        if state[base + slot::K] == 0 {
            digit = size - 1;
        }
        state[base + slot::DIGITS] = (state[base + slot::DIGITS] << width) | digit;
        state[base + slot::REMAINING] = left;
    }
    sync_cube();
    for step in 0..per_thread {
        bins[(top - step) as usize] = 0u32;
    }
}

/// Lists the entries in `range` that the host has to see: those that swap for certain, and those about whom the digits found so far do not
/// decide, because they share them or may or may not be contenders. An entry is two words: its number, with [`REAL`] where it is a real edge, and
/// its magnitude. The order is any. What certainly is not selected is counted.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
pub(super) fn list_changes<B: Int>(
    weights: &[f32],
    candidates: &[u32],
    real: &[B],
    state: &[Atomic<u32>],
    list: &mut [u32],
    first: u32,
    end: u32,
    tensor: u32,
    #[comptime] all: bool,
    #[define(B)] _store: ElemType,
) {
    // The nearest and the contenders of the workgroup.
    let counts = Shared::<[Atomic<u32>]>::new_slice(2usize);
    if UNIT_POS < 2 {
        counts[UNIT_POS as usize].store(0u32);
    }
    sync_cube();
    let base = (tensor * comptime!(slot::COUNT as u32)) as usize;
    let digits = state[base + slot::DIGITS].load();
    let lowest = digits << comptime!(UNCOUNTED);
    let highest = lowest | comptime!((1u32 << UNCOUNTED) - 1);
    let mut may_contend = magnitude(comptime!(CONTENDS) * f32::reinterpret(lowest));
    let mut contends = magnitude(comptime!(CONTENDS) * f32::reinterpret(highest));
    if state[base + slot::K].load() == 0 {
        may_contend = 0xffff_ffffu32;
        contends = 0xffff_ffffu32;
    }
    let mut nearest = 0u32;
    let mut contenders = 0u32;
    let mut entry = first + ABSOLUTE_POS as u32;
    while entry < end {
        let bits = magnitude(weights[entry as usize]);
        let mut mark = 0u32;
        if u32::cast_from(real[entry as usize]) != 0 {
            mark = comptime!(REAL).runtime();
        }
        // Other entries are not selected.
        let mut listed = mark != 0;
        if is_candidate(candidates, entry, all) {
            let digits_of_entry = bits >> comptime!(UNCOUNTED);
            if digits_of_entry > digits {
                listed = mark == 0;
            } else if digits_of_entry == digits {
                listed = true;
            } else {
                nearest = max(nearest, bits + 1);
                if bits >= contends {
                    contenders += 1;
                } else if bits >= may_contend {
                    listed = true;
                }
            }
        }
        if listed {
            let position = 2 * state[base + slot::LISTED].fetch_add(1u32);
            if position + 1 < list.len() as u32 {
                list[position as usize] = entry | mark;
                list[(position + 1) as usize] = bits;
            }
        }
        entry += CUBE_COUNT as u32 * CUBE_DIM;
    }
    if nearest != 0 {
        counts[0].fetch_max(nearest);
        counts[1].fetch_add(contenders);
    }
    sync_cube();
    if UNIT_POS == 0 {
        let nearest = counts[0].load();
        if nearest > 0 {
            state[base + slot::NEAREST].fetch_max(nearest);
            state[base + slot::CONTENDERS].fetch_add(counts[1].load());
        }
    }
}

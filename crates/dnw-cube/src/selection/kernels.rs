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
    /// One more than the bits of the largest candidate that is not selected; zero if all are selected.
    pub const NEAREST: usize = 3;
    /// How many contenders there are.
    pub const CONTENDERS: usize = 4;
    /// How many entries swap in.
    pub const SWAPPED_IN: usize = 5;
    /// How many entries swap out.
    pub const SWAPPED_OUT: usize = 6;
    /// How many entries equal the k-th largest.
    pub const EQUAL: usize = 7;
    /// How many entries to select.
    pub const K: usize = 8;
    /// The length of a tensor's state.
    pub const COUNT: usize = 9;
}

/// The digits of a magnitude, the highest first: lowest bit and width in bits.
pub(super) const DIGITS: [(u32, u32); 3] = [(20, 11), (10, 10), (0, 10)];
/// The number of values of the widest digit.
pub(super) const BINS: usize = 1 << 11;
/// Entries per workgroup in the ordered passes: one word per thread.
pub(super) const BLOCK: usize = 32 * WORKGROUP_SIZE as usize;
/// The bits of infinity. Larger bits are NaN.
const INFINITY: u32 = 0x7f80_0000;

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

/// The histogram of the next digit over the candidates that have the digits found so far.
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
            bins[(tensor * comptime!(BINS as u32) + bin) as usize].fetch_add(count);
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
        // After the last digit all of its bin equal the threshold.
        state[base + slot::EQUAL] = bins[(first + digit) as usize];
    }
    sync_cube();
    for step in 0..per_thread {
        bins[(top - step) as usize] = 0u32;
    }
}

/// The bit masks of a word's 32 entries: candidates, candidates above the threshold, candidates equal to it.
#[cube]
fn word_of(
    weights: &[f32],
    candidates: &[u32],
    word: u32,
    threshold: u32,
    entries: u32,
    #[comptime] all: bool,
) -> (u32, u32, u32) {
    let mut candidate_mask = 0u32;
    let mut above = 0u32;
    let mut equal = 0u32;
    let first = word * 32;
    for bit in 0..32u32 {
        let entry = first + bit;
        if entry < entries {
            if is_candidate(candidates, entry, all) {
                let bits = magnitude(weights[entry as usize]);
                candidate_mask |= 1u32 << bit;
                if bits > threshold {
                    above |= 1u32 << bit;
                } else if bits == threshold {
                    equal |= 1u32 << bit;
                }
            }
        }
    }
    (candidate_mask, above, equal)
}

/// Counts the candidates equal to the threshold, per block.
#[cube(launch_unchecked)]
pub(super) fn count_equal(
    weights: &[f32],
    candidates: &[u32],
    equal: &mut [u32],
    entries: u32,
    threshold: u32,
    #[comptime] all: bool,
) {
    let sum = Shared::<[Atomic<u32>]>::new_slice(1usize);
    if UNIT_POS == 0 {
        sum[0].store(0u32);
    }
    sync_cube();
    let block = CUBE_POS as u32;
    let word = block * CUBE_DIM + UNIT_POS;
    let (_candidates, _above, same) = word_of(weights, candidates, word, threshold, entries, all);
    if same != 0 {
        sum[0].fetch_add(same.count_ones());
    }
    sync_cube();
    if UNIT_POS == 0 && block < equal.len() as u32 {
        equal[block as usize] = sum[0].load();
    }
}

/// The exclusive prefix sum of the blocks' counts. Runs as one workgroup; each thread sums contiguous blocks.
#[cube(launch_unchecked)]
pub(super) fn sum_before(counts: &[u32], before: &mut [u32]) {
    let blocks = counts.len() as u32;
    let per_thread = (blocks + comptime!(WORKGROUP_SIZE - 1)) / comptime!(WORKGROUP_SIZE);
    let mut sums = Shared::<[u32]>::new_slice(comptime!(WORKGROUP_SIZE as usize));
    let first = UNIT_POS * per_thread;
    let mut sum = 0u32;
    for step in 0..per_thread {
        if first + step < blocks {
            sum += counts[(first + step) as usize];
        }
    }
    sums[UNIT_POS as usize] = sum;
    sync_cube();
    let mut sum = 0u32;
    for thread in 0..UNIT_POS {
        sum += sums[thread as usize];
    }
    for step in 0..per_thread {
        if first + step < blocks {
            before[(first + step) as usize] = sum;
            sum += counts[(first + step) as usize];
        }
    }
}

/// Computes the bits of the mask that change, and the statistics of the selection. `changed`: the words of entries that swap in, then those of
/// entries that swap out; `counts`: of each block likewise, from `first_count` on.
///
/// Where more entries equal the threshold than remain to be selected, which the state says, the last ones of them have to be selected. Then
/// `ordered` has to be set, and the equal entries of each block be known; otherwise all equal entries are selected.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
pub(super) fn compare<B: Int>(
    weights: &[f32],
    candidates: &[u32],
    real: &[B],
    equal: &[u32],
    equal_before: &[u32],
    state: &[Atomic<u32>],
    changed: &mut [u32],
    counts_of_blocks: &mut [u32],
    entries: u32,
    tensor: u32,
    first_count: u32,
    #[comptime] all: bool,
    #[comptime] ordered: bool,
    #[define(B)] _store: ElemType,
) {
    let mut equal_of_threads = Shared::<[u32]>::new_slice(comptime!(WORKGROUP_SIZE as usize));
    let counts = Shared::<[Atomic<u32>]>::new_slice(4usize);
    if UNIT_POS < 4 {
        counts[UNIT_POS as usize].store(0u32);
    }
    let base = (tensor * comptime!(slot::COUNT as u32)) as usize;
    let block = CUBE_POS as u32;
    let words = (entries + 31) / 32;
    let blocks = (words + comptime!(WORKGROUP_SIZE - 1)) / comptime!(WORKGROUP_SIZE);
    let word = block * CUBE_DIM + UNIT_POS;
    let threshold = state[base + slot::DIGITS].load();
    let (candidate_mask, above, same) = word_of(weights, candidates, word, threshold, entries, all);
    let same_here = same.count_ones();
    equal_of_threads[UNIT_POS as usize] = same_here;
    sync_cube();

    // Of the entries equal to the threshold the last are kept, as many as remain to be selected.
    let mut kept = above;
    if comptime!(ordered) {
        if block < blocks && same != 0 {
            let mut later = state[base + slot::EQUAL].load()
                - equal_before[block as usize]
                - equal[block as usize];
            let remaining = state[base + slot::REMAINING].load();
            for thread in UNIT_POS + 1..comptime!(WORKGROUP_SIZE) {
                later += equal_of_threads[thread as usize];
            }
            let mut equal_kept = 0u32;
            if remaining > later {
                equal_kept = min(remaining - later, same_here);
            }
            let mut last = same;
            let mut dropped = same_here - equal_kept;
            while dropped > 0 {
                last &= last - 1;
                dropped -= 1;
            }
            kept |= last;
        }
    } else {
        kept |= same;
    }

    let mut real_before = 0u32;
    let mut nearest = 0u32;
    let mut contenders = 0u32;
    let mut contends = magnitude(0.9f32 * f32::reinterpret(threshold));
    if state[base + slot::K].load() == 0 {
        contends = 0xffff_ffffu32;
    }
    for bit in 0..32u32 {
        let entry = word * 32 + bit;
        if entry < entries {
            let is_real = u32::cast_from(real[entry as usize]);
            if is_real != 0 {
                real_before |= 1u32 << bit;
            }
            if ((candidate_mask & !kept) >> bit) & 1 != 0 {
                let bits = magnitude(weights[entry as usize]);
                nearest = max(nearest, bits + 1);
                if bits >= contends {
                    contenders += 1;
                }
            }
        }
    }
    let added = kept & !real_before;
    let removed = real_before & !kept;
    if word < words {
        changed[word as usize] = added;
        changed[(words + word) as usize] = removed;
    }
    if added != 0 {
        counts[0].fetch_add(added.count_ones());
    }
    if removed != 0 {
        counts[1].fetch_add(removed.count_ones());
    }
    if nearest != 0 {
        counts[2].fetch_max(nearest);
        counts[3].fetch_add(contenders);
    }
    sync_cube();
    if UNIT_POS == 0 && block < blocks {
        let swapped_in = counts[0].load();
        let swapped_out = counts[1].load();
        counts_of_blocks[(first_count + block) as usize] = swapped_in;
        counts_of_blocks[(first_count + blocks + block) as usize] = swapped_out;
        if swapped_in > 0 {
            state[base + slot::SWAPPED_IN].fetch_add(swapped_in);
        }
        if swapped_out > 0 {
            state[base + slot::SWAPPED_OUT].fetch_add(swapped_out);
        }
        let nearest = counts[2].load();
        if nearest > 0 {
            state[base + slot::NEAREST].fetch_max(nearest);
            let contenders = counts[3].load();
            if contenders > 0 {
                state[base + slot::CONTENDERS].fetch_add(contenders);
            }
        }
    }
}

/// Lists the entries of a tensor that swap in and then those that swap out, ascending, and their magnitudes. `before`: how many entries
/// of all tensors come before those of each block, from `first_count` on; the lists begin after `skipped` of them.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
pub(super) fn list_entries(
    weights: &[f32],
    changed: &[u32],
    before: &[u32],
    entries: &mut [u32],
    magnitudes: &mut [u32],
    words: u32,
    first_count: u32,
    skipped: u32,
) {
    let mut of_threads = Shared::<[u32]>::new_slice(comptime!(WORKGROUP_SIZE as usize));
    let blocks = (words + comptime!(WORKGROUP_SIZE - 1)) / comptime!(WORKGROUP_SIZE);
    // The blocks of entries that swap in, then those of entries that swap out.
    let block = CUBE_POS as u32;
    let side = block / blocks;
    let word = block % blocks * CUBE_DIM + UNIT_POS;
    let mut left = 0u32;
    if side < 2 && word < words {
        left = changed[(side * words + word) as usize];
    }
    of_threads[UNIT_POS as usize] = left.count_ones();
    sync_cube();
    if left != 0 {
        let mut position = before[(first_count + block) as usize] - skipped;
        for thread in 0..UNIT_POS {
            position += of_threads[thread as usize];
        }
        while left != 0 {
            let entry = word * 32 + left.trailing_zeros();
            entries[position as usize] = entry;
            magnitudes[position as usize] = magnitude(weights[entry as usize]);
            left &= left - 1;
            position += 1;
        }
    }
}

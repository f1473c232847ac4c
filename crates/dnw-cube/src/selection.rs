//! The k entries of largest magnitude, by counting, where the weights lie.
//!
//! The bits of |w| order as the magnitudes do. Three sweeps count digits of 11, 10 and 10 bits, the highest first, each among the
//! entries that share the digits found before; behind each a small kernel finds the digit in which the k-th largest lies. A fourth
//! sweep counts, block by block, those that equal the k-th, so that a fifth knows which of them stay, writes down the bits of the mask that
//! change, and counts these. What comes back to the host are eight numbers, and the entries that changed: the weights never do.
//!
//! What units race for are counts and maxima of whole numbers, whose outcome does not depend on who comes first.

use cubecl::ir::ElemType;
use cubecl::prelude::*;

use crate::buffer::{Buffer, UNITS};

/// A weight is not a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotANumber {
    /// The first such entry.
    pub entry: usize,
}

/// What is to be kept.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// An entry a bit, the first lowest: those that may be kept; all where none are given.
    pub candidates: Option<&'a [u32]>,
    /// How many.
    pub k: usize,
}

/// What a choice found.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// Entries that become real, ascending, and their magnitudes.
    pub born: Vec<(usize, f32)>,
    /// Entries that cease to be, the same.
    pub died: Vec<(usize, f32)>,
    /// The smallest magnitude that is kept; infinite if none is.
    pub threshold: f32,
    /// The largest magnitude among the candidates that are not kept.
    pub nearest: Option<f32>,
    /// Candidates that are not kept, of at least nine tenths of the threshold.
    pub contenders: usize,
}

/// Places in the numbers that the kernels tell each other.
mod place {
    /// The digits of the k-th that are found.
    pub const DIGITS: usize = 0;
    /// How many are still to be kept among those that have these digits.
    pub const LEFT: usize = 1;
    /// The first entry that is not a number.
    pub const STRANGE: usize = 2;
    /// One more than the bits of the largest that is not kept.
    pub const NEAREST: usize = 3;
    /// Contenders.
    pub const CONTENDERS: usize = 4;
    /// Entries that become real.
    pub const BORN: usize = 5;
    /// Entries that cease to be.
    pub const DIED: usize = 6;
    /// Entries that equal the k-th.
    pub const EQUAL: usize = 7;
    pub const COUNT: usize = 8;
}

/// A digit: how far it is from the lowest bit, and its bits.
const DIGITS: [(u32, u32); 3] = [(20, 11), (10, 10), (0, 10)];
/// Values of the largest digit.
const BINS: usize = 1 << 11;
/// Entries that a group goes over in the sweeps that keep order: a word for each unit.
const BLOCK: usize = 32 * UNITS as usize;
/// The bits of infinity: what is above is not a number.
const INFINITY: u32 = 0x7f80_0000;

/// Which entries the `k` candidates of largest magnitude are, told as the difference from `real`, which has a number of the type `store` for
/// each entry, zero for no. Of equal ones the later stays.
///
/// # Errors
/// [`NotANumber`] if a candidate is none.
///
/// # Panics
/// If there are fewer than `k` candidates, a length does not fit, or entries are more than 32-bit numbers count.
pub fn select_top_k(
    client: &Client,
    weights: &Buffer,
    real: &Buffer,
    store: ElemType,
    wanted: Wanted<'_>,
) -> Result<Choice, NotANumber> {
    let entries = weights.length();
    assert_eq!(real.length(), entries, "length of the mask");
    let entries = i32::try_from(entries).expect("entries that 32 bits count") as u32;
    let words = entries.div_ceil(32) as usize;
    let all = wanted.candidates.is_none();
    let may_be = wanted.candidates.unwrap_or(&[0]);
    assert!(all || may_be.len() == words, "length of the candidates");
    let there = match wanted.candidates {
        Some(bits) => bits.iter().map(|word| word.count_ones() as usize).sum(),
        None => entries as usize,
    };
    assert!(wanted.k <= there, "{} of {there} candidates", wanted.k);

    let candidates = Buffer::of(client, may_be);
    let mut known = [0u32; place::COUNT];
    known[place::STRANGE] = u32::MAX;
    known[place::LEFT] = wanted.k as u32;
    let state = Buffer::of(client, &known);
    let bins = Buffer::of(client, &[0; BINS]);
    let blocks = (entries as usize).div_ceil(BLOCK).max(1);
    let line = CubeDim::new_1d(UNITS);
    let one = CubeCount::Static(1, 1, 1);
    // A group for some thousand entries, up to as many as fill a large GPU.
    let sweep = CubeCount::Static(blocks.min(1024) as u32, 1, 1);
    let ordered =
        || CubeCount::Static(blocks.min(32_768) as u32, blocks.div_ceil(32_768) as u32, 1);

    for (shift, width) in DIGITS {
        // SAFETY: entries and bins are counted against their numbers.
        unsafe {
            count_digits::launch_unchecked(
                client,
                sweep.clone(),
                line,
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
                line,
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
    // SAFETY: entries, words and blocks are counted against their numbers.
    unsafe {
        count_equal::launch_unchecked(
            client,
            ordered(),
            line,
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
            line,
            equal.arg(1),
            equal_before.arg(1),
            state.arg(1),
            place::EQUAL as u32,
        );
        compare::launch_unchecked(
            client,
            ordered(),
            line,
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
        for (side, total) in [place::BORN, place::DIED].into_iter().enumerate() {
            sum_before::launch_unchecked(
                client,
                one.clone(),
                line,
                counts[side].arg(1),
                before[side].arg(1),
                state.arg(1),
                total as u32,
            );
        }
    }
    let found = state.read(client);
    if found[place::STRANGE] != u32::MAX {
        let entry = found[place::STRANGE] as usize;
        return Err(NotANumber { entry });
    }
    let list = |side: usize, total: usize| {
        if total == 0 {
            return Vec::new();
        }
        let named = [
            Buffer::uninitialised(client, total),
            Buffer::uninitialised(client, total),
        ];
        // SAFETY: as many entries are written as were counted.
        unsafe {
            name_entries::launch_unchecked(
                client,
                ordered(),
                line,
                weights.arg(1),
                changed[side].arg(1),
                counts[side].arg(1),
                before[side].arg(1),
                named[0].arg(1),
                named[1].arg(1),
            );
        }
        let [entries, magnitudes] = named.map(|named| named.read(client));
        let magnitudes = magnitudes.into_iter().map(f32::from_bits);
        let entries = entries.into_iter().map(|entry| entry as usize);
        entries.zip(magnitudes).collect()
    };
    Ok(Choice {
        born: list(0, found[place::BORN] as usize),
        died: list(1, found[place::DIED] as usize),
        threshold: match wanted.k {
            0 => f32::INFINITY,
            _ => f32::from_bits(found[place::DIGITS]),
        },
        nearest: found[place::NEAREST].checked_sub(1).map(f32::from_bits),
        contenders: found[place::CONTENDERS] as usize,
    })
}

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

/// How many candidates with the digits found so far have each value of the next.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
fn count_digits(
    weights: &[f32],
    candidates: &[u32],
    state: &[Atomic<u32>],
    bins: &[Atomic<u32>],
    entries: u32,
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
    let found = state[place::DIGITS].load();
    let mut entry = ABSOLUTE_POS as u32;
    while entry < entries {
        if is_candidate(candidates, entry, all) {
            let bits = magnitude(weights[entry as usize]);
            let mut above = 0u32;
            if comptime!(shift + width < 31) {
                above = bits >> comptime!(shift + width);
            }
            if above == found {
                counts[((bits >> shift) & (size - 1)) as usize].fetch_add(1u32);
            }
            if comptime!(shift + width == 31) {
                if bits > INFINITY {
                    state[place::STRANGE].fetch_min(entry);
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

/// The digit in which the one lies that is the last to be kept; and no counts for the next digit. One group.
#[cube(launch_unchecked)]
fn find_digit(state: &mut [u32], bins: &mut [u32], k: u32, #[comptime] width: u32) {
    let size = comptime!(1u32 << width);
    let of_unit = comptime!(size / UNITS);
    let mut sums = Shared::<[u32]>::new_slice(comptime!(UNITS as usize));
    // Units take the values from the largest down.
    let top = size - 1 - UNIT_POS * of_unit;
    let mut sum = 0u32;
    for step in 0..of_unit {
        sum += bins[(top - step) as usize];
    }
    sums[UNIT_POS as usize] = sum;
    sync_cube();
    if UNIT_POS == 0 {
        let mut left = state[place::LEFT];
        let mut unit = 0u32;
        while unit < comptime!(UNITS - 1) && sums[unit as usize] < left {
            left -= sums[unit as usize];
            unit += 1;
        }
        let mut digit = size - 1 - unit * of_unit;
        let last = digit + 1 - of_unit;
        while digit > last && bins[digit as usize] < left {
            left -= bins[digit as usize];
            digit -= 1;
        }
        // Nothing is to be kept: nothing is larger than the largest digits.
        if k == 0 {
            digit = size - 1;
        }
        state[place::DIGITS] = (state[place::DIGITS] << width) | digit;
        state[place::LEFT] = left;
    }
    sync_cube();
    for step in 0..of_unit {
        bins[(top - step) as usize] = 0u32;
    }
}

/// A bit for each of a unit's 32 entries that is a candidate, and one for each that equals the threshold.
#[cube]
fn word_of(
    weights: &[f32],
    candidates: &[u32],
    word: u32,
    threshold: u32,
    entries: u32,
    #[comptime] all: bool,
) -> (u32, u32, u32) {
    let mut may_be = 0u32;
    let mut above = 0u32;
    let mut equal = 0u32;
    let first = word * 32;
    for bit in 0..32u32 {
        let entry = first + bit;
        if entry < entries {
            if is_candidate(candidates, entry, all) {
                let bits = magnitude(weights[entry as usize]);
                may_be |= 1u32 << bit;
                if bits > threshold {
                    above |= 1u32 << bit;
                } else if bits == threshold {
                    equal |= 1u32 << bit;
                }
            }
        }
    }
    (may_be, above, equal)
}

#[cube(launch_unchecked)]
fn count_equal(
    weights: &[f32],
    candidates: &[u32],
    state: &[u32],
    equal: &mut [u32],
    entries: u32,
    #[comptime] all: bool,
) {
    let sum = Shared::<[Atomic<u32>]>::new_slice(1usize);
    if UNIT_POS == 0 {
        sum[0].store(0u32);
    }
    sync_cube();
    let block = CUBE_POS as u32;
    let word = block * CUBE_DIM + UNIT_POS;
    let (_may_be, _above, same) = word_of(
        weights,
        candidates,
        word,
        state[place::DIGITS],
        entries,
        all,
    );
    if same != 0 {
        sum[0].fetch_add(same.count_ones());
    }
    sync_cube();
    if UNIT_POS == 0 && block < equal.len() as u32 {
        equal[block as usize] = sum[0].load();
    }
}

/// How many the blocks before each have, and the sum of all. One group; each unit takes blocks that lie together.
#[cube(launch_unchecked)]
fn sum_before(counts: &[u32], before: &mut [u32], state: &mut [u32], total: u32) {
    let blocks = counts.len() as u32;
    let of_unit = (blocks + comptime!(UNITS - 1)) / comptime!(UNITS);
    let mut sums = Shared::<[u32]>::new_slice(comptime!(UNITS as usize));
    let first = UNIT_POS * of_unit;
    let mut sum = 0u32;
    for step in 0..of_unit {
        if first + step < blocks {
            sum += counts[(first + step) as usize];
        }
    }
    sums[UNIT_POS as usize] = sum;
    sync_cube();
    let mut sum = 0u32;
    for unit in 0..UNIT_POS {
        sum += sums[unit as usize];
    }
    for step in 0..of_unit {
        if first + step < blocks {
            before[(first + step) as usize] = sum;
            sum += counts[(first + step) as usize];
        }
    }
    if UNIT_POS == comptime!(UNITS - 1) {
        state[total as usize] = sum;
    }
}

/// Which bits of the mask change.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
fn compare<B: Int>(
    weights: &[f32],
    candidates: &[u32],
    real: &[B],
    equal: &[u32],
    equal_before: &[u32],
    state: &[Atomic<u32>],
    born: &mut [u32],
    died: &mut [u32],
    born_count: &mut [u32],
    died_count: &mut [u32],
    entries: u32,
    none: u32,
    #[comptime] all: bool,
    #[define(B)] _store: ElemType,
) {
    let mut equal_of_units = Shared::<[u32]>::new_slice(comptime!(UNITS as usize));
    let seen = Shared::<[Atomic<u32>]>::new_slice(4usize);
    if UNIT_POS < 4 {
        seen[UNIT_POS as usize].store(0u32);
    }
    let block = CUBE_POS as u32;
    let blocks = equal.len() as u32;
    let word = block * CUBE_DIM + UNIT_POS;
    let threshold = state[place::DIGITS].load();
    let (may_be, above, same) = word_of(weights, candidates, word, threshold, entries, all);
    let same_here = same.count_ones();
    equal_of_units[UNIT_POS as usize] = same_here;
    sync_cube();

    // Of those that equal the threshold the last stay, as many as are left to keep.
    let mut kept = above;
    if block < blocks && same != 0 {
        let mut later =
            state[place::EQUAL].load() - equal_before[block as usize] - equal[block as usize];
        let keep = state[place::LEFT].load();
        for unit in UNIT_POS + 1..comptime!(UNITS) {
            later += equal_of_units[unit as usize];
        }
        let mut stay = 0u32;
        if keep > later {
            stay = min(keep - later, same_here);
        }
        let mut last = same;
        let mut gone = same_here - stay;
        while gone > 0 {
            last &= last - 1;
            gone -= 1;
        }
        kept |= last;
    }

    let mut was = 0u32;
    let mut nearest = 0u32;
    let mut contenders = 0u32;
    let mut contends = magnitude(0.9f32 * f32::reinterpret(threshold));
    if none != 0 {
        contends = 0xffff_ffffu32;
    }
    for bit in 0..32u32 {
        let entry = word * 32 + bit;
        if entry < entries {
            let there = u32::cast_from(real[entry as usize]);
            if there != 0 {
                was |= 1u32 << bit;
            }
            if ((may_be & !kept) >> bit) & 1 != 0 {
                let bits = magnitude(weights[entry as usize]);
                nearest = max(nearest, bits + 1);
                if bits >= contends {
                    contenders += 1;
                }
            }
        }
    }
    let comes = kept & !was;
    let goes = was & !kept;
    if word * 32 < entries {
        born[word as usize] = comes;
        died[word as usize] = goes;
    }
    if comes != 0 {
        seen[0].fetch_add(comes.count_ones());
    }
    if goes != 0 {
        seen[1].fetch_add(goes.count_ones());
    }
    if nearest != 0 {
        seen[2].fetch_max(nearest);
        seen[3].fetch_add(contenders);
    }
    sync_cube();
    if UNIT_POS == 0 && block < blocks {
        born_count[block as usize] = seen[0].load();
        died_count[block as usize] = seen[1].load();
        let nearest = seen[2].load();
        if nearest > 0 {
            state[place::NEAREST].fetch_max(nearest);
            let contenders = seen[3].load();
            if contenders > 0 {
                state[place::CONTENDERS].fetch_add(contenders);
            }
        }
    }
}

/// The entries whose bits are set, in order, and their magnitudes.
#[cube(launch_unchecked)]
fn name_entries(
    weights: &[f32],
    changed: &[u32],
    counts: &[u32],
    before: &[u32],
    entries: &mut [u32],
    magnitudes: &mut [u32],
) {
    let mut of_units = Shared::<[u32]>::new_slice(comptime!(UNITS as usize));
    let block = CUBE_POS as u32;
    let word = block * CUBE_DIM + UNIT_POS;
    let mut left = 0u32;
    if word < changed.len() as u32 {
        left = changed[word as usize];
    }
    of_units[UNIT_POS as usize] = left.count_ones();
    sync_cube();
    if block < counts.len() as u32 && left != 0 {
        let mut place = before[block as usize];
        for unit in 0..UNIT_POS {
            place += of_units[unit as usize];
        }
        while left != 0 {
            let entry = word * 32 + left.trailing_zeros();
            entries[place as usize] = entry;
            magnitudes[place as usize] = magnitude(weights[entry as usize]);
            left &= left - 1;
            place += 1;
        }
    }
}

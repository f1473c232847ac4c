//! Lists of small numbers in Rice codes.
//!
//! The distance from a real edge to the next is random with a known mean. Rice codes store such numbers in little more bits than information
//! theory asks for: 5.8 at a density of 5 %, where whole bytes take 8.
//!
//! With parameter `k` a number `n` is `n >> k` ones, a zero, and the `k` low bits of `n`. A number with more than [`ONES`] ones is [`ONES`] ones
//! and 32 bits. Bits are filled in from the lowest of each byte, and those of the last byte that are left are zeros.

use super::cursor::{Cursor, write_varint};
use super::error::FileError;

/// With these no code is longer than 56 bits, and [`LOADED`] bits hold any.
const ONES: u32 = 24;
const ESCAPED: u32 = 32;
const LARGEST_PARAMETER: u32 = 24;

/// Bits of a word from any bit of its first byte on.
const LOADED: u32 = 57;

/// Appends the number of values, the parameter, and the codes.
pub(super) fn write(bytes: &mut Vec<u8>, values: &[u32]) {
    write_varint(bytes, values.len() as u64);
    if values.is_empty() {
        return;
    }
    let cost = |k: u32| -> u64 {
        let bits = |value: u32| match value >> k {
            ones if ones < ONES => ones + 1 + k,
            _ => ONES + ESCAPED,
        };
        values.iter().map(|&value| u64::from(bits(value))).sum()
    };
    let k = (0..=LARGEST_PARAMETER)
        .min_by_key(|&k| cost(k))
        .unwrap_or(0);
    bytes.push(k as u8);
    let mut bits = BitWriter {
        bytes,
        word: 0,
        filled: 0,
    };
    for &value in values {
        let ones = value >> k;
        if ones < ONES {
            bits.push((1 << ones) - 1, ones + 1);
            bits.push(u64::from(value & ((1 << k) - 1)), k);
        } else {
            bits.push((1 << ONES) - 1, ONES);
            bits.push(u64::from(value), ESCAPED);
        }
    }
    bits.finish();
}

/// Reads at most `most` values.
pub(super) fn read(from: &mut Cursor<'_>, most: usize) -> Result<Vec<u32>, FileError> {
    let count = from.count(most)?;
    if count == 0 {
        return Ok(Vec::new());
    }
    let k = u32::from(from.byte()?);
    if k > LARGEST_PARAMETER {
        return Err(from.invalid(format!("the Rice parameter {k} is too large")));
    }
    let bytes = from.rest();
    // In 64 bits, which are enough on machines of 32 bits too.
    let bits = bytes.len() as u64 * 8;
    // Each code has at least k + 1 bits.
    if count as u64 > bits / u64::from(k + 1) {
        return Err(from.invalid(format!("{count} numbers do not fit into the section")));
    }
    let mut at = 0_u64;
    // What follows the bits before `at`, of which so many have been loaded.
    let (mut word, mut loaded) = (0, 0);
    let next = |_| {
        let mut ones = u64::trailing_ones(word);
        if ones >= ONES || ones + 1 + k > loaded {
            (word, loaded) = (word_at(bytes, at), LOADED);
            ones = word.trailing_ones();
        }
        let (value, length) = if ones < ONES {
            let low = (word >> (ones + 1)) & ((1 << k) - 1);
            ((ones << k) | low as u32, ones + 1 + k)
        } else {
            ((word >> ONES) as u32, ONES + ESCAPED)
        };
        word >>= length;
        loaded -= length;
        at += u64::from(length);
        value
    };
    let values = (0..count).map(next).collect();
    // Bits behind the section count as zeros above, which do no harm before they are refused here.
    let used = from.take(usize::try_from(at.div_ceil(8)).unwrap_or(usize::MAX))?;
    if !at.is_multiple_of(8) && used[used.len() - 1] >> (at % 8) != 0 {
        return Err(from.invalid("the bits that fill up a byte are not zeros"));
    }
    Ok(values)
}

/// [`LOADED`] bits or more from this position on, with zeros behind the end.
fn word_at(bytes: &[u8], bit: u64) -> u64 {
    let start = usize::try_from(bit / 8).unwrap_or(usize::MAX);
    let rest = bytes.get(start..).unwrap_or(&[]);
    let word = match rest.first_chunk::<8>() {
        Some(word) => u64::from_le_bytes(*word),
        None => {
            let mut word = [0; 8];
            word[..rest.len()].copy_from_slice(rest);
            u64::from_le_bytes(word)
        }
    };
    word >> (bit % 8)
}

struct BitWriter<'a> {
    bytes: &'a mut Vec<u8>,
    word: u64,
    filled: u32,
}

impl BitWriter<'_> {
    /// Appends at most 32 bits.
    fn push(&mut self, bits: u64, count: u32) {
        self.word |= bits << self.filled;
        self.filled += count;
        while self.filled >= 8 {
            self.bytes.push(self.word as u8);
            self.word >>= 8;
            self.filled -= 8;
        }
    }

    fn finish(self) {
        if self.filled > 0 {
            self.bytes.push(self.word as u8);
        }
    }
}

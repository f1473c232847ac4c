//! Lists of numbers with regular distances, as offsets in the arena have.
//!
//! A list is its length, then runs. A run is the length of a pattern, how often the pattern repeats, and the pattern: distances between
//! neighbouring numbers (modulo 2^32; the first number's is from zero). An arithmetic progression is a pattern of one distance. The rows that the
//! nine taps of a convolution read in each channel are a pattern of nine.

use super::cursor::{Cursor, write_varint};
use super::error::FileError;

/// Distances of the longest pattern: more than a kernel of 7 x 7 has taps.
const PATTERN: usize = 64;

/// Appends a list.
pub(super) fn write(bytes: &mut Vec<u8>, values: &[u32]) {
    let mut last = 0;
    let distances: Vec<u32> = values
        .iter()
        .map(|&value| value.wrapping_sub(std::mem::replace(&mut last, value)))
        .collect();
    write_varint(bytes, values.len() as u64);
    let (mut written, mut at) = (0, 0);
    while at < distances.len() {
        match best_run(&distances[at..]) {
            Some((pattern, repeats)) => {
                write_once(bytes, &distances[written..at]);
                write_run(bytes, &distances[at..at + pattern], repeats);
                at += pattern * repeats;
                written = at;
            }
            None => at += 1,
        }
    }
    write_once(bytes, &distances[written..]);
}

/// The length of the pattern at the start that saves most numbers, and its repeats.
fn best_run(distances: &[u32]) -> Option<(usize, usize)> {
    let saves = |&(pattern, repeats): &(usize, usize)| (pattern * (repeats - 1)).checked_sub(2);
    (1..=PATTERN.min(distances.len() / 2))
        .map(|pattern| {
            let repeated = distances
                .iter()
                .zip(&distances[pattern..])
                .take_while(|(first, next)| first == next);
            (pattern, 1 + repeated.count() / pattern)
        })
        .filter(|run| saves(run) > Some(0))
        // The first of equals, which is the shortest pattern.
        .rev()
        .max_by_key(saves)
}

/// Distances without a pattern.
fn write_once(bytes: &mut Vec<u8>, distances: &[u32]) {
    for pattern in distances.chunks(PATTERN) {
        write_run(bytes, pattern, 1);
    }
}

fn write_run(bytes: &mut Vec<u8>, pattern: &[u32], repeats: usize) {
    write_varint(bytes, pattern.len() as u64);
    write_varint(bytes, repeats as u64);
    for &distance in pattern {
        // Small distances of both signs become small numbers: 0, -1, 1, -2, ..
        let sign = if distance >> 31 == 1 { u32::MAX } else { 0 };
        write_varint(bytes, u64::from((distance << 1) ^ sign));
    }
}

/// Reads a list of at most `most` numbers.
pub(super) fn read(from: &mut Cursor<'_>, most: usize) -> Result<Vec<u32>, FileError> {
    let count = from.count(most)?;
    let mut values = Vec::with_capacity(count);
    let mut last = 0_u32;
    let mut pattern = [0; PATTERN];
    while values.len() < count {
        let left = count - values.len();
        let length = from.count(PATTERN.min(left))?;
        if length == 0 {
            return Err(from.invalid("a run has no pattern"));
        }
        let repeats = from.count(left / length)?;
        if repeats == 0 {
            return Err(from.invalid("a run repeats its pattern zero times"));
        }
        for distance in &mut pattern[..length] {
            let Ok(coded) = u32::try_from(from.varint()?) else {
                return Err(from.invalid("a distance has more than 32 bits"));
            };
            *distance = (coded >> 1) ^ (coded & 1).wrapping_neg();
        }
        for _ in 0..repeats {
            for distance in &pattern[..length] {
                last = last.wrapping_add(*distance);
                values.push(last);
            }
        }
    }
    Ok(values)
}

//! Where maps lie, and whether steps read what they write.

use std::ops::Range;

use crate::plan::Maps;

/// The largest arena, so that indices fit in 32 bits.
pub(super) const LARGEST_ARENA: usize = 1 << 31;

pub(super) fn require(holds: bool, otherwise: &str) -> Result<(), String> {
    if holds {
        Ok(())
    } else {
        Err(otherwise.to_owned())
    }
}

/// That maps lie inside the arena, with a stride that vectors can be written to.
pub(super) fn maps(maps: Maps, arena: usize) -> Result<(), String> {
    let [channels, height, width] = maps.shape;
    let bounded = height
        .checked_mul(width)
        .is_some_and(|pixels| channels > 0 && (1..=LARGEST_ARENA).contains(&pixels));
    require(bounded, "some maps are empty or too large")?;
    let usual = Maps::new(maps.at, maps.shape).stride;
    require(
        maps.stride == usual,
        "some maps have another stride than theirs",
    )?;
    let len = channels
        .checked_mul(usual)
        .filter(|&len| len <= LARGEST_ARENA);
    range(maps.at, len.ok_or("some maps are too large")?, arena).map(|_| ())
}

/// That maps to which whole vectors are written lie inside the arena.
pub(super) fn output(to: Maps, arena: usize) -> Result<(), String> {
    maps(to, arena)?;
    range(to.at, to.len(), arena).map(|_| ())
}

/// The numbers that a step writes.
pub(super) fn written(maps: Maps) -> Range<usize> {
    maps.at..maps.at + maps.len()
}

/// The numbers that a step reads.
pub(super) fn read(maps: Maps) -> Range<usize> {
    maps.at..maps.at + maps.shape[0] * maps.stride
}

pub(super) fn range(at: usize, len: usize, arena: usize) -> Result<Range<usize>, String> {
    let end = at.checked_add(len).filter(|&end| end <= arena);
    end.map(|end| at..end)
        .ok_or_else(|| "a step leaves the memory of the feature maps".to_owned())
}

pub(super) fn disjoint(to: &Range<usize>, from: &Range<usize>) -> Result<(), String> {
    require(
        to.end <= from.start || from.end <= to.start,
        "a step overwrites what it reads",
    )
}

/// That these are the starts of rows with so many entries.
pub(super) fn csr(starts: &[u32], rows: usize, entries: usize) -> Result<(), String> {
    let ascending = starts.windows(2).all(|pair| pair[0] <= pair[1]);
    let ends =
        starts.first() == Some(&0) && starts.last().map(|&end| end as usize) == Some(entries);
    require(
        starts.len() == rows + 1 && ascending && ends,
        "the edges are not counted right",
    )
}

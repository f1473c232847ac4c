//! The real edges of each target: how many there are, and the distances between their sources.

use super::code::{Reader, Writer};
use super::error::FileError;
use super::rice;

/// Appends the starts of groups as the sizes of the groups, behind the first start.
pub(super) fn write_starts(to: &mut Writer, starts: &[u32]) {
    let mut last = 0;
    let sizes: Vec<u32> = starts
        .iter()
        .map(|&start| start.wrapping_sub(std::mem::replace(&mut last, start)))
        .collect();
    rice::write(&mut to.bytes, &sizes);
}

/// Reads the starts of at most this many groups.
pub(super) fn read_starts(from: &mut Reader<'_>, groups: usize) -> Result<Vec<u32>, FileError> {
    let mut starts = rice::read(&mut from.bytes, groups.saturating_add(1))?;
    let mut last = 0_u32;
    for start in &mut starts {
        last = last.wrapping_add(*start);
        *start = last;
    }
    Ok(starts)
}

/// Appends the members of groups: the first of each group, then how many numbers each skips.
pub(super) fn write_members(to: &mut Writer, starts: &[u32], members: &[u32]) {
    let mut gaps = members.to_vec();
    for group in groups(starts, members.len()) {
        for i in (group.start + 1..group.end).rev() {
            gaps[i] = gaps[i].wrapping_sub(gaps[i - 1]).wrapping_sub(1);
        }
    }
    rice::write(&mut to.bytes, &gaps);
}

/// Reads at most `most` members of groups.
pub(super) fn read_members(
    from: &mut Reader<'_>,
    starts: &[u32],
    most: usize,
) -> Result<Vec<u32>, FileError> {
    let mut members = rice::read(&mut from.bytes, most)?;
    for group in groups(starts, members.len()) {
        let mut last = u32::MAX;
        for member in &mut members[group] {
            last = last.wrapping_add(*member).wrapping_add(1);
            *member = last;
        }
    }
    Ok(members)
}

/// The groups of `count` members. A start that is smaller than one before it, or beyond the last member, begins no group: such a plan
/// is refused later, and is read as it was written all the same.
fn groups(starts: &[u32], count: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    let ends = starts.iter().map(move |&start| (start as usize).min(count));
    let mut begin = 0;
    ends.chain([count]).filter_map(move |end| {
        let group = begin..end;
        begin = begin.max(end);
        (!group.is_empty()).then_some(group)
    })
}

//! A compact binary format for the swaps of a run.
//!
//! A history is a sequence of records, one per update in which an edge swapped:
//!
//! ```text
//! varint  updates since the record before (the first counts from 0)
//! varint  edges added;   then that many varints: entry numbers ascending, each less the one before
//! varint  edges removed;   the same
//! ```
//!
//! The first entry of a list is written as it is, every other one as the difference from its predecessor. A varint is
//! little-endian base 128, with the high bit set on all bytes but the last. A file that is truncated within a record is
//! read up to the previous record: [`decode`] returns how many bytes it read.

/// The swaps of one update.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// The update after which the wiring has these changes.
    pub update: u64,
    /// Entries that became real, ascending.
    pub added: Vec<u32>,
    /// Entries that ceased to be real, ascending.
    pub removed: Vec<u32>,
}

/// Appends one record to `bytes`. `previous` is the update of the previous record, 0 for the first.
pub fn encode(bytes: &mut Vec<u8>, previous: u64, change: &Change) {
    varint(bytes, change.update - previous);
    for entries in [&change.added, &change.removed] {
        varint(bytes, entries.len() as u64);
        let mut before = 0;
        for &entry in entries {
            varint(bytes, u64::from(entry - before));
            before = entry;
        }
    }
}

/// Decodes records until the bytes end. Returns them and the number of bytes of complete records.
///
/// Decoding also ends at an entry of `entries` or more, or a count larger than `entries`, so that a damaged file cannot
/// allocate more memory than its length.
pub fn decode(bytes: &[u8], entries: usize) -> (Vec<Change>, usize) {
    let mut changes = Vec::new();
    let (mut at, mut update) = (0, 0u64);
    while let Some((change, next)) = record(bytes, at, update, entries) {
        update = change.update;
        at = next;
        changes.push(change);
    }
    (changes, at)
}

fn record(bytes: &[u8], mut at: usize, update: u64, entries: usize) -> Option<(Change, usize)> {
    let mut next = || {
        let (value, after) = read_varint(bytes, at)?;
        at = after;
        Some(value)
    };
    let mut change = Change {
        update: update.checked_add(next()?)?,
        ..Change::default()
    };
    for list in [&mut change.added, &mut change.removed] {
        let count = next()?;
        if count > entries as u64 {
            return None;
        }
        let mut entry = 0u64;
        for _ in 0..count {
            entry = entry.checked_add(next()?)?;
            if entry >= entries as u64 {
                return None;
            }
            list.push(entry as u32);
        }
    }
    Some((change, at))
}

fn varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn read_varint(bytes: &[u8], mut at: usize) -> Option<(u64, usize)> {
    let (mut value, mut shift) = (0u64, 0);
    loop {
        let byte = *bytes.get(at)?;
        at += 1;
        if shift >= 63 && byte > 1 {
            return None;
        }
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some((value, at));
        }
        shift += 7;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::{btree_set, vec};
    use proptest::prelude::*;

    const ENTRIES: u32 = 500_000;

    fn changes() -> impl Strategy<Value = Vec<Change>> {
        let entries =
            || btree_set(0..ENTRIES, 0..12).prop_map(|set| set.into_iter().collect::<Vec<u32>>());
        vec((0..100_000u64, entries(), entries()), 0..12).prop_map(|steps| {
            let mut update = 0;
            let mut changes = Vec::new();
            for (step, added, removed) in steps {
                update += step;
                changes.push(Change {
                    update,
                    added,
                    removed,
                });
            }
            changes
        })
    }

    fn encoded(changes: &[Change]) -> Vec<u8> {
        let (mut bytes, mut previous) = (Vec::new(), 0);
        for change in changes {
            encode(&mut bytes, previous, change);
            previous = change.update;
        }
        bytes
    }

    proptest! {
        #[test]
        fn encoding_round_trips(changes in changes()) {
            let bytes = encoded(&changes);
            prop_assert_eq!(decode(&bytes, ENTRIES as usize), (changes, bytes.len()));
        }

        #[test]
        fn a_truncated_history_is_read_up_to_the_last_complete_record(changes in changes(), cut in 0.0..1.0f64) {
            let bytes = encoded(&changes);
            let length = (bytes.len() as f64 * cut) as usize;
            let (read, took) = decode(&bytes[..length], ENTRIES as usize);
            prop_assert!(took <= length);
            prop_assert_eq!(&read[..], &changes[..read.len()]);
            prop_assert_eq!(encoded(&read).len(), took);
        }

        #[test]
        fn damaged_bytes_never_decode_to_entries_out_of_range(bytes in vec(any::<u8>(), 0..200), entries in 0..1000usize) {
            let (changes, took) = decode(&bytes, entries);
            prop_assert!(took <= bytes.len());
            for change in changes {
                prop_assert!(change.added.iter().chain(&change.removed).all(|&entry| (entry as usize) < entries));
            }
        }
    }

    #[test]
    fn a_swap_in_the_next_update_takes_five_bytes() {
        assert_eq!(
            encoded(&[Change {
                update: 1,
                added: vec![7],
                removed: vec![9]
            }])
            .len(),
            5
        );
    }
}

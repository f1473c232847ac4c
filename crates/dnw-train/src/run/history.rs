//! The changes of a tensor's wiring during a run.
//!
//! File format: `DNWH`, a version byte, then the first wiring and the legal edges, each as a 32-bit little-endian length and
//! [`Wiring::to_bytes`]; then records as in [`dnw_report::history`]. Entries are numbered by the layout `[targets, sources, kernel]`,
//! whatever the tensor's own layout.

use std::path::{Path, PathBuf};

use dnw_core::{Swaps, WeightShape, Wiring};
use dnw_report::history::{Change, decode, encode};
use serde::{Deserialize, Serialize};

use super::RunError;
use super::frame::read_bounded;
use super::position::{Appended, Position};

const MAGIC: &[u8; 5] = b"DNWH\x01";

/// A history from a file.
#[derive(Clone, Debug, PartialEq)]
pub struct History {
    /// The wiring before the first update.
    pub first: Wiring,
    /// The possible edges.
    pub legal: Wiring,
    /// The changes by update.
    pub changes: Vec<Change>,
    /// The changes as bytes, complete records only.
    pub bytes: Vec<u8>,
}

impl History {
    /// The wiring after the last recorded change.
    pub fn last(&self) -> Wiring {
        let mut real: std::collections::BTreeSet<usize> = self.first.iter().collect();
        for change in &self.changes {
            for removed in &change.removed {
                real.remove(&(*removed as usize));
            }
            real.extend(change.added.iter().map(|&added| added as usize));
        }
        Wiring::from_entries(self.first.entries(), real)
    }

    /// Edges added during the run.
    pub fn added(&self) -> u64 {
        self.changes
            .iter()
            .map(|change| change.added.len() as u64)
            .sum()
    }
}

/// A wiring whose entries are numbered by target.
fn by_target(wiring: &Wiring, shape: &WeightShape) -> Wiring {
    Wiring::from_entries(
        wiring.entries(),
        wiring.iter().map(|entry| shape.by_target(entry)),
    )
}

/// Appends to a history. Entries outside the legal edges do not count as edges and are left out.
#[derive(Debug)]
pub(crate) struct HistoryWriter {
    file: Appended,
    shape: WeightShape,
    legal: Wiring,
    waiting: Vec<u8>,
    previous: u64,
}

impl HistoryWriter {
    pub(crate) fn create(
        path: PathBuf,
        shape: WeightShape,
        first: &Wiring,
        legal: &Wiring,
    ) -> Result<Self, RunError> {
        let mut waiting = MAGIC.to_vec();
        for wiring in [&first.intersection(legal), legal] {
            let bytes = by_target(wiring, &shape).to_bytes();
            waiting.extend((bytes.len() as u32).to_le_bytes());
            waiting.extend(bytes);
        }
        let mut writer = Self {
            file: Appended::create(path)?,
            shape,
            legal: legal.clone(),
            waiting,
            previous: 0,
        };
        writer.flush()?;
        Ok(writer)
    }

    pub(crate) fn append(&mut self, update: u64, swaps: &Swaps) {
        let renumbered = |entries: &[usize]| {
            let mut entries: Vec<u32> = entries
                .iter()
                .filter(|&&entry| self.legal.contains(entry))
                .map(|&entry| self.shape.by_target(entry) as u32)
                .collect();
            entries.sort_unstable();
            entries
        };
        let change = Change {
            update,
            added: renumbered(&swaps.added),
            removed: renumbered(&swaps.removed),
        };
        encode(&mut self.waiting, self.previous, &change);
        self.previous = update;
    }

    /// Flushes the file.
    pub(crate) fn flush(&mut self) -> Result<(), RunError> {
        let waiting = std::mem::take(&mut self.waiting);
        self.file.append(&waiting)
    }

    /// Waits until all changes are on the disk.
    pub(crate) fn sync(&mut self) -> Result<HistoryPosition, RunError> {
        self.flush()?;
        Ok(HistoryPosition {
            file: self.file.sync()?,
            previous: self.previous,
        })
    }

    /// Goes on from a position, which removes what comes after it.
    pub(crate) fn resume(
        path: PathBuf,
        shape: WeightShape,
        legal: &Wiring,
        position: &HistoryPosition,
    ) -> Result<Self, RunError> {
        Ok(Self {
            file: Appended::cut(path, &position.file)?,
            shape,
            legal: legal.clone(),
            waiting: Vec::new(),
            previous: position.previous,
        })
    }
}

/// The end of a history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HistoryPosition {
    pub(crate) file: Position,
    /// The update of the last change.
    previous: u64,
}

/// Reads the history of a tensor with this number of entries.
///
/// # Errors
/// [`RunError::Read`], or [`RunError::Damaged`] if its header is invalid or of another tensor.
pub fn read(path: &Path, entries: usize) -> Result<History, RunError> {
    let bytes = read_bounded(path)?;
    let damaged = |reason: &str| RunError::damaged(path, reason);
    let mut rest = bytes
        .strip_prefix(MAGIC)
        .ok_or_else(|| damaged("it does not begin as a history"))?;
    let mut wiring = || {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let (bytes, after) = after.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        rest = after;
        // A wiring begins with its size. It is compared before anything is allocated: a damaged file may claim gigabytes.
        if !bytes.starts_with(&varint(entries)) {
            return None;
        }
        Wiring::from_bytes(bytes)
            .ok()
            .filter(|wiring| wiring.entries() == entries)
    };
    let first =
        wiring().ok_or_else(|| damaged("its first wiring is missing or of another tensor"))?;
    let legal =
        wiring().ok_or_else(|| damaged("its legal edges are missing or of another tensor"))?;
    let (changes, used) = decode(rest, entries);
    Ok(History {
        first,
        legal,
        changes,
        bytes: rest[..used].to_vec(),
    })
}

/// A variable-length number with seven bits per byte, as at the beginning of a wiring.
fn varint(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_truncated_history_is_read_up_to_the_last_complete_change_or_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.history");
        // Burn's linear layout: entry 1 of [2, 3] is source 0, target 1.
        let shape = WeightShape::new(&[2, 3]);
        let (first, all) = (Wiring::from_entries(6, [0, 1]), Wiring::full(6));
        let mut writer = HistoryWriter::create(path.clone(), shape, &first, &all).unwrap();
        writer.append(
            3,
            &Swaps {
                added: vec![4],
                removed: vec![0],
                pairs: vec![],
            },
        );
        writer.append(
            9,
            &Swaps {
                added: vec![5],
                removed: vec![1],
                pairs: vec![],
            },
        );
        writer.flush().unwrap();
        let whole = read(&path, 6).unwrap();
        assert_eq!(whole.first.iter().collect::<Vec<_>>(), [0, 2]);
        assert_eq!(whole.last().iter().collect::<Vec<_>>(), [3, 5]);
        assert_eq!((whole.added(), whole.changes.len()), (2, 2));
        let bytes = std::fs::read(&path).unwrap();
        for cut in 0..bytes.len() {
            std::fs::write(&path, &bytes[..cut]).unwrap();
            if let Ok(history) = read(&path, 6) {
                assert!(whole.changes.starts_with(&history.changes) && history.changes.len() < 2);
            }
        }
        std::fs::write(&path, &bytes).unwrap();
        assert!(matches!(read(&path, 8), Err(RunError::Damaged { .. })));
    }
}

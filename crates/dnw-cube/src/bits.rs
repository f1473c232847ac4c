//! Masks as bits.

use cubecl::ir::ElemType;
use cubecl::prelude::*;

use crate::buffer::{Buffer, UNITS, groups};

/// A mask, a bit an edge: 32 edges into a target or out of a source are one word, the first lowest.
#[derive(Clone, Debug)]
pub struct MaskBits {
    /// `[rows, words]`.
    pub words: Buffer,
    /// Targets, or sources.
    pub rows: usize,
    /// Sources, or targets.
    pub columns: usize,
}

impl MaskBits {
    /// The real edges into each target. `mask`: `[targets, sources]` numbers of the type `store`, zero for no.
    ///
    /// # Panics
    /// If the mask has another length.
    pub fn of_targets(
        client: &Client,
        mask: &Buffer,
        [targets, sources]: [usize; 2],
        store: ElemType,
    ) -> Self {
        Self::pack(client, mask, [targets, sources], [sources, 1], store)
    }

    /// The real edges out of each source, of the same mask.
    ///
    /// # Panics
    /// If the mask has another length.
    pub fn of_sources(
        client: &Client,
        mask: &Buffer,
        [targets, sources]: [usize; 2],
        store: ElemType,
    ) -> Self {
        Self::pack(client, mask, [sources, targets], [1, sources], store)
    }

    fn pack(
        client: &Client,
        mask: &Buffer,
        [rows, columns]: [usize; 2],
        [row_step, column_step]: [usize; 2],
        store: ElemType,
    ) -> Self {
        assert_eq!(mask.length(), rows * columns, "length of the mask");
        let words = Buffer::uninitialised(client, rows * columns.div_ceil(32));
        // SAFETY: units beyond the last word end at once, and a word's columns are checked against their number.
        unsafe {
            pack::launch_unchecked(
                client,
                groups(words.length()),
                CubeDim::new_1d(UNITS),
                mask.arg(1),
                words.arg(1),
                rows as u32,
                columns as u32,
                row_step as u32,
                column_step as u32,
                store,
            );
        }
        Self {
            words,
            rows,
            columns,
        }
    }
}

/// One unit packs one word. Units side by side take rows side by side, which lie side by side in the mask when it is packed by sources.
#[cube(launch_unchecked)]
fn pack<B: Int>(
    mask: &[B],
    words: &mut [u32],
    rows: u32,
    columns: u32,
    row_step: u32,
    column_step: u32,
    #[define(B)] _store: ElemType,
) {
    if ABSOLUTE_POS >= words.len() {
        terminate!();
    }
    let unit = ABSOLUTE_POS as u32;
    let (row, word) = (unit % rows, unit / rows);
    let first = word * 32;
    let mut packed = 0u32;
    for bit in 0..32u32 {
        let column = first + bit;
        if column < columns {
            let there = u32::cast_from(mask[(row * row_step + column * column_step) as usize]);
            if there != 0 {
                packed |= 1u32 << bit;
            }
        }
    }
    words[(row * ((columns + 31) / 32) + word) as usize] = packed;
}

/// Toggles the given entries of a mask in place. Each is given once.
///
/// # Panics
/// If there are no entries, or the mask is longer than 32-bit numbers count.
pub fn toggle(client: &Client, mask: &Buffer, entries: &[u32], store: ElemType) {
    let within = entries
        .iter()
        .all(|&entry| (entry as usize) < mask.length());
    assert!(within && !entries.is_empty(), "entries of a mask");
    let entries = Buffer::of(client, entries);
    // SAFETY: units beyond the last entry end at once; the entries were checked against the mask.
    unsafe {
        toggle_entries::launch_unchecked(
            client,
            groups(entries.length()),
            CubeDim::new_1d(UNITS),
            mask.arg(1),
            entries.arg(1),
            store,
        );
    }
}

#[cube(launch_unchecked)]
fn toggle_entries<B: Int>(mask: &mut [B], entries: &[u32], #[define(B)] _store: ElemType) {
    if ABSOLUTE_POS >= entries.len() {
        terminate!();
    }
    let entry = entries[ABSOLUTE_POS] as usize;
    let there = u32::cast_from(mask[entry]);
    let mut other = 0u32;
    if there == 0 {
        other = 1u32;
    }
    mask[entry] = B::cast_from(other);
}

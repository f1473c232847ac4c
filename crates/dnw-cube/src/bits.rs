//! Masks packed to bits.

use cubecl::ir::ElemType;
use cubecl::prelude::*;

use crate::buffer::{Buffer, WORKGROUP_SIZE, workgroups};

/// A mask with one bit per edge. A word holds 32 edges into a target, or out of a source, the first lowest.
#[derive(Clone, Debug)]
pub struct MaskBits {
    /// The words, `[rows, words per row]`.
    pub words: Buffer,
    /// Rows: targets or sources.
    pub rows: usize,
    /// Columns: sources or targets.
    pub columns: usize,
}

impl MaskBits {
    /// Packs a mask by target. `mask`: `[targets, sources]` elements of type `store`, nonzero for real edges.
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

    /// Packs a mask by source. `mask` is as in [`of_targets`](Self::of_targets).
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
        [row_stride, column_stride]: [usize; 2],
        store: ElemType,
    ) -> Self {
        assert_eq!(mask.length(), rows * columns, "length of the mask");
        let words = Buffer::uninitialised(client, rows * columns.div_ceil(32));
        // SAFETY: threads beyond the last word return at once, and columns are checked against their number.
        unsafe {
            pack::launch_unchecked(
                client,
                workgroups(words.length()),
                CubeDim::new_1d(WORKGROUP_SIZE),
                mask.arg(1),
                words.arg(1),
                rows as u32,
                columns as u32,
                row_stride as u32,
                column_stride as u32,
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

/// Packs one word per thread. Adjacent threads pack adjacent rows, which makes reads coalesced when the mask is packed by source.
#[cube(launch_unchecked)]
fn pack<B: Int>(
    mask: &[B],
    words: &mut [u32],
    rows: u32,
    columns: u32,
    row_stride: u32,
    column_stride: u32,
    #[define(B)] _store: ElemType,
) {
    if ABSOLUTE_POS >= words.len() {
        terminate!();
    }
    let thread = ABSOLUTE_POS as u32;
    let (row, word) = (thread % rows, thread / rows);
    let first = word * 32;
    let mut packed = 0u32;
    for bit in 0..32u32 {
        let column = first + bit;
        if column < columns {
            let real = u32::cast_from(mask[(row * row_stride + column * column_stride) as usize]);
            if real != 0 {
                packed |= 1u32 << bit;
            }
        }
    }
    words[(row * ((columns + 31) / 32) + word) as usize] = packed;
}

/// Toggles distinct entries of a mask in place.
///
/// # Panics
/// If there are no entries, or an entry is outside the mask.
pub fn toggle(client: &Client, mask: &Buffer, entries: &[u32], store: ElemType) {
    let within = entries
        .iter()
        .all(|&entry| (entry as usize) < mask.length());
    assert!(
        within && !entries.is_empty(),
        "entries outside the mask, or none"
    );
    let entries = Buffer::from_slice(client, entries);
    // SAFETY: threads beyond the last entry return at once; the entries were checked against the mask.
    unsafe {
        toggle_entries::launch_unchecked(
            client,
            workgroups(entries.length()),
            CubeDim::new_1d(WORKGROUP_SIZE),
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
    let before = u32::cast_from(mask[entry]);
    let mut after = 0u32;
    if before == 0 {
        after = 1u32;
    }
    mask[entry] = B::cast_from(after);
}

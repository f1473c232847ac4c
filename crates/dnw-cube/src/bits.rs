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
    /// Columns: the edges of a row, possible ones included.
    pub columns: usize,
}

impl MaskBits {
    /// Packs a mask by target. `mask`: `[targets, columns]` elements of type `store`, nonzero for real edges. The columns are the sources of a
    /// product, or the sources and filter taps of a convolution.
    ///
    /// # Panics
    /// If the mask has another length.
    pub fn of_targets(
        client: &Client,
        mask: &Buffer,
        [targets, columns]: [usize; 2],
        store: ElemType,
    ) -> Self {
        assert_eq!(mask.length(), targets * columns, "length of the mask");
        let words = Buffer::uninitialised(client, targets * columns.div_ceil(32));
        let bits = Self::from_words(words, [targets, columns]);
        // SAFETY: threads beyond the last word return at once, and columns are checked against their number.
        unsafe {
            pack::launch_unchecked(
                client,
                workgroups(bits.words.length()),
                CubeDim::new_1d(WORKGROUP_SIZE),
                mask.arg(1),
                bits.words.arg(1),
                columns as u32,
                store,
            );
        }
        bits
    }

    /// Words that were packed before.
    ///
    /// # Panics
    /// If there are more or fewer words.
    pub fn from_words(words: Buffer, [rows, columns]: [usize; 2]) -> Self {
        assert_eq!(words.length(), rows * columns.div_ceil(32), "words");
        Self {
            words,
            rows,
            columns,
        }
    }

    /// The bits of a mask by target, by source. `taps`: the filter taps of a convolution, which are then those of each target; 1 for a product.
    ///
    /// # Panics
    /// If the columns are not a multiple of the taps.
    pub fn by_source(&self, client: &Client, taps: usize) -> Self {
        assert!(self.columns.is_multiple_of(taps), "columns of taps");
        let [rows, columns] = [self.columns / taps, self.rows * taps];
        let words = Buffer::uninitialised(client, rows * columns.div_ceil(32));
        let bits = Self::from_words(words, [rows, columns]);
        // SAFETY: threads beyond the last word return at once, and columns are checked against their number.
        unsafe {
            transpose::launch_unchecked(
                client,
                workgroups(bits.words.length()),
                CubeDim::new_1d(WORKGROUP_SIZE),
                self.words.arg(1),
                bits.words.arg(1),
                self.columns.div_ceil(32) as u32,
                rows as u32,
                columns as u32,
                taps as u32,
            );
        }
        bits
    }
}

/// Packs one word per thread.
#[cube(launch_unchecked)]
fn pack<B: Int>(mask: &[B], words: &mut [u32], columns: u32, #[define(B)] _store: ElemType) {
    if ABSOLUTE_POS >= words.len() {
        terminate!();
    }
    let words_of_row = (columns + 31) / 32;
    let thread = ABSOLUTE_POS as u32;
    let (row, word) = (thread / words_of_row, thread % words_of_row);
    let mut packed = 0u32;
    for bit in 0..32u32 {
        let column = word * 32 + bit;
        if column < columns {
            if u32::cast_from(mask[(row * columns + column) as usize]) != 0 {
                packed |= 1u32 << bit;
            }
        }
    }
    words[ABSOLUTE_POS] = packed;
}

/// Packs one word per thread. Adjacent threads pack adjacent sources, which are bits of the same words.
#[cube(launch_unchecked)]
fn transpose(
    by_target: &[u32],
    by_source: &mut [u32],
    words_of_target: u32,
    sources: u32,
    columns: u32,
    taps: u32,
) {
    if ABSOLUTE_POS >= by_source.len() {
        terminate!();
    }
    let thread = ABSOLUTE_POS as u32;
    let (source, word) = (thread % sources, thread / sources);
    let mut packed = 0u32;
    for bit in 0..32u32 {
        let column = word * 32 + bit;
        if column < columns {
            let (target, tap) = (column / taps, column % taps);
            let place = source * taps + tap;
            let found = by_target[(target * words_of_target + place / 32) as usize];
            packed |= ((found >> (place % 32)) & 1) << bit;
        }
    }
    by_source[(source * ((columns + 31) / 32) + word) as usize] = packed;
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

//! A matrix that several tasks write concurrently, each its own tile.

use std::marker::PhantomData;
use std::ops::Range;

/// A mutably borrowed matrix with row stride `stride`, of which tasks borrow disjoint tiles.
pub(crate) struct Tiles<'a> {
    start: *mut f32,
    length: usize,
    stride: usize,
    borrowed: PhantomData<&'a mut [f32]>,
    #[cfg(debug_assertions)]
    claims: claims::Claims,
}

/// The borrowed tiles, in builds with debug assertions: every test checks that the tiles are disjoint, as the unsafe code requires.
#[cfg(debug_assertions)]
mod claims {
    use std::collections::BTreeMap;
    use std::ops::Range;
    use std::sync::{Mutex, PoisonError};

    /// The start and end of each borrowed range.
    #[derive(Default)]
    pub(super) struct Claims(Mutex<BTreeMap<usize, usize>>);

    impl Claims {
        /// Records that a range is borrowed. Ranges are never released: every kernel borrows each of its tiles once.
        ///
        /// # Panics
        /// If the range overlaps a borrowed one.
        pub(super) fn claim(&self, part: Range<usize>) {
            if part.is_empty() {
                return;
            }
            let mut claimed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let before = claimed.range(..part.end).next_back();
            if let Some((&start, &end)) = before {
                assert!(
                    end <= part.start,
                    "{part:?} overlaps {start}..{end}, which another task has"
                );
            }
            claimed.insert(part.start, part.end);
        }
    }
}

// SAFETY: tiles are plain floats of a slice that this type borrows mutably.
unsafe impl Sync for Tiles<'_> {}

impl<'a> Tiles<'a> {
    pub(crate) fn new(matrix: &'a mut [f32], stride: usize) -> Self {
        Self {
            start: matrix.as_mut_ptr(),
            length: matrix.len(),
            stride,
            borrowed: PhantomData,
            #[cfg(debug_assertions)]
            claims: claims::Claims::default(),
        }
    }

    /// A range of columns of a row.
    ///
    /// # Safety
    /// No other task may borrow any of these elements at the same time.
    #[allow(clippy::mut_from_ref)]
    #[inline(always)]
    pub(crate) unsafe fn row(&self, row: usize, columns: Range<usize>) -> &mut [f32] {
        let begin = row * self.stride + columns.start;
        assert!(
            columns.start <= columns.end && begin + columns.len() <= self.length,
            "a tile outside its matrix"
        );
        #[cfg(debug_assertions)]
        self.claims.claim(begin..begin + columns.len());
        // SAFETY: the range is inside the slice, as just checked, and the caller guarantees that nobody else borrows it.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(begin), columns.len()) }
    }

    /// A block of rows and columns: the pointer to its first element, and the row stride.
    ///
    /// # Panics
    /// If the block is not inside the matrix.
    pub(crate) fn block(&self, rows: Range<usize>, columns: Range<usize>) -> (*mut f32, usize) {
        let begin = rows.start * self.stride + columns.start;
        let last = begin + rows.len().saturating_sub(1) * self.stride + columns.len();
        assert!(
            rows.start <= rows.end && columns.start <= columns.end && last <= self.length,
            "a block outside its matrix"
        );
        #[cfg(debug_assertions)]
        for row in rows {
            let begin = row * self.stride + columns.start;
            self.claims.claim(begin..begin + columns.len());
        }
        // SAFETY: the offset is inside the slice or one past its end, as just checked.
        (unsafe { self.start.add(begin) }, self.stride)
    }
}

#[cfg(all(test, debug_assertions))]
mod tests {
    use super::*;

    #[test]
    fn disjoint_tiles_can_be_borrowed() {
        let mut matrix = [0.0; 12];
        let tiles = Tiles::new(&mut matrix, 4);
        // SAFETY: the tiles are disjoint.
        let parts = unsafe { [tiles.row(0, 0..2), tiles.row(0, 2..4), tiles.row(2, 1..4)] };
        assert_eq!(parts.map(|part| part.len()), [2, 2, 3]);
        tiles.block(1..3, 0..1);
    }

    #[test]
    #[should_panic(expected = "5..7 overlaps 6..8")]
    fn a_tile_that_overlaps_a_borrowed_one_panics() {
        let mut matrix = [0.0; 12];
        let tiles = Tiles::new(&mut matrix, 4);
        tiles.block(0..2, 2..4);
        // SAFETY: nothing is read or written; the call panics.
        unsafe { tiles.row(1, 1..3) };
    }
}

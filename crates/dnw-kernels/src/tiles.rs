//! A matrix that several tasks write at once, each its own tile.

use std::marker::PhantomData;
use std::ops::Range;

/// A matrix of rows `stride` apart, borrowed for writing as a whole and handed out by tiles.
pub(crate) struct Tiles<'a> {
    start: *mut f32,
    length: usize,
    stride: usize,
    borrowed: PhantomData<&'a mut [f32]>,
    #[cfg(debug_assertions)]
    given: claims::Claims,
}

/// What has been handed out, in builds with debug assertions: whether tasks keep apart, as the unsafe code takes for granted, is found out
/// by every test.
#[cfg(debug_assertions)]
mod claims {
    use std::collections::BTreeMap;
    use std::ops::Range;
    use std::sync::{Mutex, PoisonError};

    /// Where each part that was handed out begins, and its end.
    #[derive(Default)]
    pub(super) struct Claims(Mutex<BTreeMap<usize, usize>>);

    impl Claims {
        /// Notes that numbers are handed out. They are not given back: every kernel writes each of its tiles once.
        ///
        /// # Panics
        /// If any of them has been handed out before.
        pub(super) fn claim(&self, part: Range<usize>) {
            if part.is_empty() {
                return;
            }
            let mut given = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let before = given.range(..part.end).next_back();
            if let Some((&start, &end)) = before {
                assert!(
                    end <= part.start,
                    "{part:?} overlaps {start}..{end}, which another task has"
                );
            }
            given.insert(part.start, part.end);
        }
    }
}

// SAFETY: what is handed out is plain numbers of a slice that is borrowed alone for as long as this lives.
unsafe impl Sync for Tiles<'_> {}

impl<'a> Tiles<'a> {
    pub(crate) fn new(matrix: &'a mut [f32], stride: usize) -> Self {
        Self {
            start: matrix.as_mut_ptr(),
            length: matrix.len(),
            stride,
            borrowed: PhantomData,
            #[cfg(debug_assertions)]
            given: claims::Claims::default(),
        }
    }

    /// The given columns of a row.
    ///
    /// # Safety
    /// No other task may hold any of these numbers at the same time.
    #[allow(clippy::mut_from_ref)]
    #[inline(always)]
    pub(crate) unsafe fn row(&self, row: usize, columns: Range<usize>) -> &mut [f32] {
        let begin = row * self.stride + columns.start;
        assert!(
            columns.start <= columns.end && begin + columns.len() <= self.length,
            "a tile outside its matrix"
        );
        #[cfg(debug_assertions)]
        self.given.claim(begin..begin + columns.len());
        // SAFETY: within the slice, as was just checked, and held by nobody else, as the caller promises.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(begin), columns.len()) }
    }

    /// Where the given columns of some rows begin, and how far apart the rows are.
    ///
    /// # Panics
    /// If any of them lies outside.
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
            self.given.claim(begin..begin + columns.len());
        }
        // SAFETY: within the slice, or one behind it, as was just checked.
        (unsafe { self.start.add(begin) }, self.stride)
    }
}

#[cfg(all(test, debug_assertions))]
mod tests {
    use super::*;

    #[test]
    fn tiles_side_by_side_are_handed_out() {
        let mut matrix = [0.0; 12];
        let tiles = Tiles::new(&mut matrix, 4);
        // SAFETY: no number is in two tiles.
        let parts = unsafe { [tiles.row(0, 0..2), tiles.row(0, 2..4), tiles.row(2, 1..4)] };
        assert_eq!(parts.map(|part| part.len()), [2, 2, 3]);
        tiles.block(1..3, 0..1);
    }

    #[test]
    #[should_panic(expected = "5..7 overlaps 6..8")]
    fn a_tile_that_another_task_has_is_found() {
        let mut matrix = [0.0; 12];
        let tiles = Tiles::new(&mut matrix, 4);
        tiles.block(0..2, 2..4);
        // SAFETY: nothing is read or written; it is refused.
        unsafe { tiles.row(1, 1..3) };
    }
}

//! A matrix that several tasks write at once, each its own tile.

use std::marker::PhantomData;
use std::ops::Range;

/// A matrix of rows `stride` apart, borrowed for writing as a whole and handed out by tiles.
pub(crate) struct Tiles<'a> {
    start: *mut f32,
    length: usize,
    stride: usize,
    borrowed: PhantomData<&'a mut [f32]>,
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
        // SAFETY: within the slice, or one behind it, as was just checked.
        (unsafe { self.start.add(begin) }, self.stride)
    }
}

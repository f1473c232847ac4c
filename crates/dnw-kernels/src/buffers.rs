//! Memory that is used again.
//!
//! A step needs the same few sizes as the step before. Fresh pages of large blocks cost as much as writing them, so blocks go back to
//! a shelf and are taken from it by length.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Blocks on the shelf at most; the one that lies there longest is freed first.
const MOST: usize = 64;

static SHELF: Mutex<Vec<Vec<f32>>> = Mutex::new(Vec::new());

fn shelf() -> MutexGuard<'static, Vec<Vec<f32>>> {
    // A panic elsewhere leaves whole blocks on the shelf.
    SHELF.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A block of floats that goes back to the shelf when it is dropped.
#[derive(Debug, Default)]
pub struct Buffer(Vec<f32>);

impl Buffer {
    /// A block of this length. Its numbers are those of whoever had it before; whoever takes it writes all of it.
    pub(crate) fn stale(length: usize) -> Self {
        let mut shelf = shelf();
        let place = shelf.iter().rposition(|block| block.len() == length);
        let block = place.map(|place| shelf.remove(place));
        drop(shelf);
        Self(block.unwrap_or_else(|| vec![0.0; length]))
    }

    /// A block of zeros.
    pub(crate) fn zeros(length: usize) -> Self {
        let mut buffer = Self::stale(length);
        buffer.0.fill(0.0);
        buffer
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let block = std::mem::take(&mut self.0);
        if block.is_empty() {
            return;
        }
        let mut shelf = shelf();
        shelf.push(block);
        let oldest = (shelf.len() > MOST).then(|| shelf.remove(0));
        drop(shelf);
        drop(oldest);
    }
}

impl Clone for Buffer {
    fn clone(&self) -> Self {
        let mut copy = Self::stale(self.0.len());
        copy.copy_from_slice(&self.0);
        copy
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.0
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_comes_back_by_its_length_and_zeros_are_zeros() {
        // A length of its own, because tests share the shelf.
        let length = 12_347;
        let mut first = Buffer::stale(length);
        first.fill(3.0);
        let place = first.as_ptr();
        drop(first);
        let again = Buffer::zeros(length);
        assert_eq!(again.as_ptr(), place);
        assert!(again.iter().all(|&x| x == 0.0));
    }
}

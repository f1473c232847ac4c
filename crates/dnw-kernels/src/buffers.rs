//! Memory that is used again.
//!
//! A step needs the same few sizes as the step before. Fresh pages of large blocks cost as much as writing them, and so do zeros that
//! are written over, so blocks go back to a shelf and are taken from it by length.

use std::collections::HashMap;
use std::ops::{Deref, DerefMut};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

/// Blocks that were not wanted while so many others were are freed: those of another batch size, or of a model that is gone. A training
/// step of ResNet-50 takes some six hundred.
const PATIENCE: u64 = 2048;
/// After how many blocks that come back the shelf is looked through.
const SWEEP: u64 = 64;

#[derive(Default)]
struct Shelf {
    /// By length; the time at which each came.
    blocks: HashMap<usize, Vec<(u64, Vec<f32>)>>,
    /// Blocks wanted so far.
    wanted: u64,
    /// Blocks that came back so far.
    returned: u64,
}

static SHELF: LazyLock<Mutex<Shelf>> = LazyLock::new(Mutex::default);

fn shelf() -> MutexGuard<'static, Shelf> {
    // A panic elsewhere leaves whole blocks on the shelf.
    SHELF.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shelf {
    fn take(&mut self, length: usize) -> Option<Vec<f32>> {
        self.wanted += 1;
        // The last one that came is likeliest to be in a cache still.
        Some(self.blocks.get_mut(&length)?.pop()?.1)
    }

    /// Puts a block on the shelf and gives those that nobody wants.
    fn put(&mut self, block: Vec<f32>) -> Vec<Vec<f32>> {
        let now = self.wanted;
        self.blocks
            .entry(block.len())
            .or_default()
            .push((now, block));
        self.returned += 1;
        let mut unwanted = Vec::new();
        if self.returned.is_multiple_of(SWEEP) {
            for blocks in self.blocks.values_mut() {
                // They lie in the order in which they came.
                let old = blocks.partition_point(|(came, _)| came + PATIENCE < now);
                unwanted.extend(blocks.drain(..old).map(|(_, block)| block));
            }
            self.blocks.retain(|_, blocks| !blocks.is_empty());
        }
        unwanted
    }
}

/// Room for so many numbers, all of which whoever takes it writes: it holds those of whoever had it before.
pub fn room(length: usize) -> Vec<f32> {
    let block = shelf().take(length);
    let mut block = block.unwrap_or_else(|| vec![0.0; length]);
    if cfg!(debug_assertions) {
        // What is forgotten is seen.
        block.fill(f32::NAN);
    }
    block
}

/// Gives room back that is not needed any more.
pub fn give_back(block: Vec<f32>) {
    if block.is_empty() {
        return;
    }
    let unwanted = shelf().put(block);
    // Not while others wait for the shelf.
    drop(unwanted);
}

/// A block of floats that goes back to the shelf when it is dropped.
#[derive(Debug, Default)]
pub struct Buffer(Vec<f32>);

impl Buffer {
    /// A block of this length. Its numbers are those of whoever had it before; whoever takes it writes all of it.
    pub(crate) fn stale(length: usize) -> Self {
        Self(room(length))
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
        give_back(std::mem::take(&mut self.0));
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

    #[test]
    fn a_block_that_nobody_wants_any_more_is_freed() {
        let mut shelf = Shelf::default();
        shelf.put(vec![0.0; 5]);
        for _ in 0..=PATIENCE {
            shelf.take(6);
        }
        let unwanted: usize = (0..SWEEP).map(|_| shelf.put(vec![0.0; 7]).len()).sum();
        assert_eq!(unwanted, 1);
        assert_eq!(
            (shelf.take(5), shelf.take(7).map(|block| block.len())),
            (None, Some(7))
        );
    }
}

//! A pool of float buffers, by length.
//!
//! Every training step needs buffers of the same few lengths. Faulting in the pages of a new large buffer costs as much as writing it, so
//! released buffers are kept and reused. The contents of an acquired buffer are uninitialised: the caller writes all elements.

use std::collections::HashMap;
use std::ops::{Deref, DerefMut};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

/// A pooled buffer is freed after this many acquisitions of other buffers: it belongs to another batch size or to a dropped model. A
/// training step of ResNet-50 makes about 600 acquisitions.
const MAX_AGE: u64 = 2048;
/// Old buffers are freed once per this many releases.
const SWEEP_INTERVAL: u64 = 64;

#[derive(Default)]
struct Pool {
    /// By length, each with the count of acquisitions at its release.
    blocks: HashMap<usize, Vec<(u64, Vec<f32>)>>,
    /// Acquisitions so far.
    acquired: u64,
    /// Releases so far.
    released: u64,
}

static POOL: LazyLock<Mutex<Pool>> = LazyLock::new(Mutex::default);

fn pool() -> MutexGuard<'static, Pool> {
    // A panic elsewhere leaves the pool consistent.
    POOL.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pool {
    fn take(&mut self, length: usize) -> Option<Vec<f32>> {
        self.acquired += 1;
        // The buffer released last is the most likely to be in cache.
        Some(self.blocks.get_mut(&length)?.pop()?.1)
    }

    /// Adds a buffer to the pool and returns the buffers to free.
    fn put(&mut self, block: Vec<f32>) -> Vec<Vec<f32>> {
        let now = self.acquired;
        self.blocks
            .entry(block.len())
            .or_default()
            .push((now, block));
        self.released += 1;
        let mut expired = Vec::new();
        if self.released.is_multiple_of(SWEEP_INTERVAL) {
            for blocks in self.blocks.values_mut() {
                // Buffers are ordered by their release.
                let old = blocks.partition_point(|(released, _)| released + MAX_AGE < now);
                expired.extend(blocks.drain(..old).map(|(_, block)| block));
            }
            self.blocks.retain(|_, blocks| !blocks.is_empty());
        }
        expired
    }
}

/// Acquires an uninitialised buffer of `length` floats from the pool. It may hold values of an earlier use: the caller writes all elements.
pub fn acquire(length: usize) -> Vec<f32> {
    let block = pool().take(length);
    let mut block = block.unwrap_or_else(|| vec![0.0; length]);
    if cfg!(debug_assertions) {
        // An element that the caller does not write shows up as NaN.
        block.fill(f32::NAN);
    }
    block
}

/// Releases a buffer into the pool.
pub fn release(block: Vec<f32>) {
    if block.is_empty() {
        return;
    }
    let expired = pool().put(block);
    // Freed after the mutex is unlocked.
    drop(expired);
}

/// A buffer of floats that is released into the pool when it is dropped.
#[derive(Debug, Default)]
pub struct Buffer(Vec<f32>);

impl Buffer {
    /// An uninitialised buffer of this length; the caller writes all elements.
    pub(crate) fn uninitialised(length: usize) -> Self {
        Self(acquire(length))
    }

    /// A buffer of zeros.
    pub(crate) fn zeros(length: usize) -> Self {
        let mut buffer = Self::uninitialised(length);
        buffer.0.fill(0.0);
        buffer
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        release(std::mem::take(&mut self.0));
    }
}

impl Clone for Buffer {
    fn clone(&self) -> Self {
        let mut copy = Self::uninitialised(self.0.len());
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
    fn a_released_buffer_is_reused_for_the_same_length_and_zeros_clears_it() {
        // A length of its own, because tests share the pool.
        let length = 12_347;
        let mut first = Buffer::uninitialised(length);
        first.fill(3.0);
        let address = first.as_ptr();
        drop(first);
        let again = Buffer::zeros(length);
        assert_eq!(again.as_ptr(), address);
        assert!(again.iter().all(|&x| x == 0.0));
    }

    #[test]
    fn a_buffer_that_is_not_reused_is_freed() {
        let mut pool = Pool::default();
        pool.put(vec![0.0; 5]);
        for _ in 0..=MAX_AGE {
            pool.take(6);
        }
        let expired: usize = (0..SWEEP_INTERVAL)
            .map(|_| pool.put(vec![0.0; 7]).len())
            .sum();
        assert_eq!(expired, 1);
        assert_eq!(
            (pool.take(5), pool.take(7).map(|block| block.len())),
            (None, Some(7))
        );
    }
}

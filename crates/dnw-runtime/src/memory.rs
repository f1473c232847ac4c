//! The memory of a session.

use crate::plan::{Maps, VECTOR};

/// A vector, aligned so that it lies in one cache line.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Line([f32; VECTOR]);

/// Numbers whose first is at the start of a cache line.
#[derive(Debug)]
pub(crate) struct Aligned(Box<[Line]>);

impl Aligned {
    pub(crate) fn zeros(len: usize) -> Self {
        // Zeroed by the operating system, which uses memory only for what is written.
        let lines = Box::new_zeroed_slice(len.div_ceil(VECTOR));
        // SAFETY: bits that are all zero are zeros.
        Self(unsafe { lines.assume_init() })
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [f32] {
        let len = self.0.len() * VECTOR;
        // SAFETY: lines are arrays of numbers without padding.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), len) }
    }
}

/// The arena, for the threads that execute one step. Each writes other channels, and none reads what another writes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arena {
    pub(crate) start: *mut f32,
    #[cfg_attr(not(debug_assertions), allow(dead_code))]
    len: usize,
}

// SAFETY: what threads read and write through it is as each `unsafe` block says.
unsafe impl Send for Arena {}
// SAFETY: as above.
unsafe impl Sync for Arena {}

impl Arena {
    pub(crate) fn new(memory: &mut [f32]) -> Self {
        Self {
            start: memory.as_mut_ptr(),
            len: memory.len(),
        }
    }

    /// Numbers that are read.
    ///
    /// # Safety
    /// They are inside the arena, and nobody writes them meanwhile.
    pub(crate) unsafe fn read<'a>(self, at: usize, len: usize) -> &'a [f32] {
        debug_assert!(at + len <= self.len);
        // SAFETY: as the caller promises.
        unsafe { std::slice::from_raw_parts(self.start.add(at), len) }
    }

    /// Numbers that are written.
    ///
    /// # Safety
    /// They are inside the arena, and nobody else reads or writes them meanwhile.
    pub(crate) unsafe fn write<'a>(self, at: usize, len: usize) -> &'a mut [f32] {
        debug_assert!(at + len <= self.len);
        // SAFETY: as the caller promises.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(at), len) }
    }

    /// The pixels of a channel.
    ///
    /// # Safety
    /// As for [`read`](Self::read).
    pub(crate) unsafe fn channel<'a>(self, maps: Maps, channel: usize) -> &'a [f32] {
        // SAFETY: as the caller promises.
        unsafe { self.read(maps.at + channel * maps.stride, maps.pixels()) }
    }

    /// A channel with the padding behind it.
    ///
    /// # Safety
    /// As for [`write`](Self::write).
    pub(crate) unsafe fn channel_mut<'a>(self, maps: Maps, channel: usize) -> &'a mut [f32] {
        // SAFETY: as the caller promises.
        unsafe { self.write(maps.at + channel * maps.stride, maps.stride) }
    }
}

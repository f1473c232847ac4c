//! The memory of a session.

use std::ops::Range;

use crate::plan::{Maps, VECTOR};

/// Numbers whose first is at the start of a cache line, and of a huge page if they fill one.
///
/// Fresh memory costs most of the time from a file to the first result: the system makes it page by page, and 2 MiB at once cost little more
/// than 4 KiB.
#[derive(Debug)]
pub(crate) struct Aligned {
    /// With room for the alignment. That of a type would be kept by the allocator, which then writes all zeros itself; these come from the
    /// operating system, which uses memory only for what is written.
    numbers: Vec<f32>,
    range: Range<usize>,
}

impl Aligned {
    pub(crate) fn zeros(len: usize) -> Self {
        let len = len.next_multiple_of(VECTOR);
        let alignment = room_for_huge_pages(size_of::<f32>() * len).max(CACHE_LINE);
        let room = alignment / size_of::<f32>();
        let numbers = vec![0.0; len + room];
        let first = numbers.as_ptr().align_offset(alignment).min(room);
        prefer_huge_pages(&numbers[first..][..len]);
        Self {
            numbers,
            range: first..first + len,
        }
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [f32] {
        &mut self.numbers[self.range.clone()]
    }
}

const CACHE_LINE: usize = 64;

/// The size of a huge page of Linux on x86-64, and on ARM with pages of 4 KiB. Where it is another, nothing is gained.
const HUGE_PAGE: usize = 2 << 20;

/// The bytes that so many bytes of memory need in addition, so that they can start with a huge page. Zero if they fill none, and on other
/// systems.
pub(crate) fn room_for_huge_pages(bytes: usize) -> usize {
    if cfg!(target_os = "linux") && bytes >= HUGE_PAGE {
        HUGE_PAGE
    } else {
        0
    }
}

/// Asks the system for huge pages in place of all pages of this memory that fill one.
pub(crate) fn prefer_huge_pages<T>(memory: &[T]) {
    let start = memory.as_ptr().cast::<u8>();
    let skipped = start.align_offset(HUGE_PAGE);
    let bytes = size_of_val(memory).saturating_sub(skipped);
    let bytes = bytes - bytes % HUGE_PAGE;
    if bytes > 0 {
        #[cfg(target_os = "linux")]
        // SAFETY: the pages are inside memory that is borrowed, and the advice changes nothing that is in it. Where it is not taken, pages are
        // small as before.
        unsafe {
            libc::madvise(
                start.add(skipped).cast_mut().cast(),
                bytes,
                libc::MADV_HUGEPAGE,
            );
        }
    }
}

/// The arena, for the threads that execute one step. Each writes other channels, or other pixels of them, and none reads what another writes.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_zero_and_begins_with_a_cache_line_or_a_huge_page() {
        let huge = HUGE_PAGE / size_of::<f32>();
        for (len, alignment) in [
            (0, CACHE_LINE),
            (1, CACHE_LINE),
            (huge - VECTOR, CACHE_LINE),
            (huge, room_for_huge_pages(HUGE_PAGE).max(CACHE_LINE)),
            (3 * huge + 5, room_for_huge_pages(HUGE_PAGE).max(CACHE_LINE)),
        ] {
            let mut memory = Aligned::zeros(len);
            let numbers = memory.as_mut_slice();
            assert_eq!(numbers.len(), len.next_multiple_of(VECTOR));
            assert_eq!(numbers.as_ptr().addr() % alignment, 0);
            assert!(numbers.iter().all(|&number| number == 0.0));
            numbers.fill(1.0);
        }
    }
}

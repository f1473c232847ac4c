//! Places feature maps in the arena.

use std::ops::Range;

use dnw_runtime::plan::VECTOR;

/// Free parts of the arena, ascending, and its length so far.
#[derive(Debug)]
pub(crate) struct Memory {
    free: Vec<Range<usize>>,
    len: usize,
    reuse: bool,
}

impl Memory {
    pub(crate) fn new(reuse: bool) -> Self {
        Self {
            free: Vec::new(),
            len: 0,
            reuse,
        }
    }

    /// The start of so many numbers, in the smallest part that has room, at the start of a vector.
    pub(crate) fn take(&mut self, numbers: usize) -> usize {
        let numbers = numbers.next_multiple_of(VECTOR);
        let fits = |part: &&mut Range<usize>| part.len() >= numbers;
        if let Some(part) = self
            .free
            .iter_mut()
            .filter(fits)
            .min_by_key(|part| part.len())
        {
            let start = part.start;
            part.start += numbers;
            self.free.retain(|part| !part.is_empty());
            return start;
        }
        // A free part at the end grows.
        let start = match self.free.last() {
            Some(last) if last.end == self.len => {
                self.free.pop().map_or(self.len, |last| last.start)
            }
            _ => self.len,
        };
        self.len = start + numbers;
        start
    }

    /// Gives numbers back.
    pub(crate) fn give(&mut self, start: usize, numbers: usize) {
        if !self.reuse || numbers == 0 {
            return;
        }
        let part = start..start + numbers.next_multiple_of(VECTOR);
        let at = self.free.partition_point(|free| free.start < part.start);
        self.free.insert(at, part);
        self.free.dedup_by(|next, before| {
            let joins = before.end == next.start;
            if joins {
                before.end = next.end;
            }
            joins
        });
    }

    /// Numbers of the arena.
    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

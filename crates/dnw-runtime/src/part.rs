//! How threads share a step.

use std::ops::Range;

/// One of several threads that execute a step together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pub(crate) index: usize,
    pub(crate) of: usize,
}

impl Part {
    /// This part of so many channels.
    pub(crate) fn share(self, all: usize) -> Range<usize> {
        all * self.index / self.of..all * (self.index + 1) / self.of
    }
}

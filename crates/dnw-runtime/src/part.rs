//! How threads share a step.

use std::ops::Range;

/// One of several parts of a step, which threads execute together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pub(crate) index: usize,
    pub(crate) of: usize,
    /// Shares of as many parts that follow each other: each thread begins with one.
    pub(crate) shares: usize,
}

impl Part {
    /// The whole step.
    pub(crate) const WHOLE: Self = Self {
        index: 0,
        of: 1,
        shares: 1,
    };

    /// This part of so many channels.
    pub(crate) fn range(self, all: usize) -> Range<usize> {
        all * self.index / self.of..all * (self.index + 1) / self.of
    }

    /// The share that this part belongs to, and this part of that share.
    pub(crate) fn in_share(self) -> (Self, Self) {
        let parts = self.of / self.shares;
        let share = Self {
            index: self.index / parts,
            of: self.shares,
            ..self
        };
        let own = Self {
            index: self.index % parts,
            of: parts,
            shares: 1,
        };
        (share, own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_all_shares_cover_pixels_and_targets_once() {
        let (shares, of) = (3, 12);
        let mut times = [[0; 5]; 7];
        for index in 0..of {
            let (share, own) = Part { index, of, shares }.in_share();
            for row in &mut times[share.range(7)] {
                for times in &mut row[own.range(5)] {
                    *times += 1;
                }
            }
        }
        assert_eq!(times, [[1; 5]; 7]);
    }
}

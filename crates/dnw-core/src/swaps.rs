//! What changed between two wirings.

use crate::Wiring;

/// The edges that one update added and removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swaps {
    /// Entries that became real, ascending.
    pub added: Vec<usize>,
    /// Entries that ceased to be real, ascending.
    pub removed: Vec<usize>,
    /// The swaps as pairs `(added, removed)`: the weakest edge that was added with the strongest that was removed, so
    /// that the scores of each pair are as close as possible. While a budget shrinks, some removed edges
    /// have no partner.
    pub pairs: Vec<(usize, usize)>,
}

impl Swaps {
    /// The swaps from `before` to `after`, paired by the scores that selected `after`.
    ///
    /// # Panics
    /// If the tensors differ in size.
    pub fn between(before: &Wiring, after: &Wiring, scores: &[f32]) -> Self {
        assert_eq!(scores.len(), after.entries(), "scores of another tensor");
        let scored = |wiring: Wiring| wiring.iter().map(|entry| (entry, scores[entry])).collect();
        Self::of(
            scored(after.difference(before)),
            scored(before.difference(after)),
        )
    }

    /// The swaps of added and removed edges, ascending, each with its score.
    pub(crate) fn of(added: Vec<(usize, f32)>, removed: Vec<(usize, f32)>) -> Self {
        let entries = |scored: &[(usize, f32)]| scored.iter().map(|(entry, _)| *entry).collect();
        let (added_entries, removed_entries) = (entries(&added), entries(&removed));
        let (mut weakest, mut strongest) = (added, removed);
        weakest.sort_by(|a, b| a.1.total_cmp(&b.1));
        strongest.sort_by(|a, b| b.1.total_cmp(&a.1));
        let pairs = weakest.into_iter().zip(strongest);
        Self {
            pairs: pairs
                .map(|((added, _), (removed, _))| (added, removed))
                .collect(),
            added: added_entries,
            removed: removed_entries,
        }
    }

    /// Whether no edge changed.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weakest_newcomer_is_paired_with_the_strongest_that_left() {
        let before = Wiring::from_entries(6, [0, 1, 2]);
        let after = Wiring::from_entries(6, [2, 3, 4]);
        let swaps = Swaps::between(&before, &after, &[0.3, 0.4, 9.0, 0.9, 0.5, 0.0]);
        assert_eq!((swaps.added, swaps.removed), (vec![3, 4], vec![0, 1]));
        assert_eq!(swaps.pairs, [(4, 1), (3, 0)]);
    }
}

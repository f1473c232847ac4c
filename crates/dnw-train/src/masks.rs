//! Whether a published file must contain masks.
//!
//! If the rule selects the wiring after the last update, it follows from the weights, and published files do not contain it. If it was
//! random, or selected long before the end, the file must have a mask for each weight.

use dnw_core::{Clock, Forward, Rule};
use dnw_models::Place;

use crate::recipe::WiringRecipe;

/// A number of updates so large that no fraction of it rounds to the end.
pub(crate) const UPDATES: u64 = 1_000_000;

/// Whether files of networks with this rule contain masks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Masks {
    /// No: the wiring always follows from the weights.
    Absent,
    /// Not at the end of a run, when the wiring follows from the weights; before the end, yes.
    Optional,
    /// Yes.
    Needed,
}

impl Masks {
    /// For a rule.
    pub(crate) fn of(rule: &Rule) -> Self {
        let at = |update| Clock {
            update,
            total: UPDATES,
        };
        let edges = |update| rule.schedule.edges(at(update), 2, 1);
        let is_complete = edges(0) == 2 && edges(UPDATES) == 2;
        let has_threshold = !matches!(rule.forward, Forward::Weight | Forward::Dropout { .. });
        let is_constant = rule.schedule.is_due(at(1)) && edges(0) == edges(UPDATES);
        // If effective weights are smaller than the weights, they also follow from the selection.
        if is_complete || has_threshold || is_constant && rule.growth.is_none() {
            Self::Absent
        } else if rule.schedule.is_due(at(UPDATES)) {
            Self::Optional
        } else {
            Self::Needed
        }
    }
}

/// Whether a recipe wires the tensor at this place.
pub(crate) fn is_wired(wiring: &WiringRecipe, place: &Place) -> bool {
    place.has_edges || wiring.plain_layers && place.shape.len() > 1
}

/// Whether a recipe wires the tensor at this place and may remove edges from it.
pub(crate) fn is_sparse(wiring: &WiringRecipe, place: &Place) -> bool {
    is_wired(wiring, place) && !wiring.dense.contains(&place.path)
}

/// Whether the exact zeros of a weight are its removed edges: at least a tenth must be zero, since training rarely produces exact
/// zeros.
pub(crate) fn zeros_are_mask(zeros: usize, entries: usize) -> bool {
    zeros > 0 && 10 * zeros >= entries && zeros < entries
}

#[cfg(test)]
mod tests {
    use super::*;
    use dnw_core::rules::{self, Settings};

    #[test]
    fn a_random_or_early_wiring_needs_masks_and_one_that_follows_from_the_weights_does_not() {
        let of = |name| Masks::of(&rules::by_name(name, &Settings::default()).unwrap());
        for name in [
            "random",
            "static",
            "set",
            "rigl",
            "sparse-momentum",
            "lottery-ticket",
            "fine-tune",
            "ac-dc",
        ] {
            assert_eq!(of(name), Masks::Needed, "{name}");
        }
        for name in [
            "dnw",
            "dnw-scaled",
            "no-update",
            "targeted-dropout",
            "complete",
            "st-3",
            "feather",
        ] {
            assert_eq!(of(name), Masks::Absent, "{name}");
        }
        for name in ["dnw-shrinking", "l1-anneal", "gradual-pruning"] {
            assert_eq!(of(name), Masks::Optional, "{name}");
        }
    }
}

//! Whether a published file must say which edges are real.
//!
//! A wiring that its rule chooses anew after the last update follows from the weights, and published files do not hold it. One
//! that was drawn, or selected long before the end, must be in the file: a mask beside each weight.

use dnw_core::{Clock, Forward, Rule};
use dnw_models::Place;

use crate::recipe::WiringRecipe;

/// Updates of the run whose end is meant; so many that no share of it falls on the end by rounding.
pub(crate) const UPDATES: u64 = 1_000_000;

/// Whether files of networks that a rule wired hold masks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Masks {
    /// They do not: at any moment the wiring follows from the weights.
    Absent,
    /// At the end the wiring follows from the weights; before it, the file needs masks.
    Optional,
    /// They do.
    Needed,
}

impl Masks {
    /// Of a rule.
    pub(crate) fn of(rule: &Rule) -> Self {
        let at = |update| Clock {
            update,
            total: UPDATES,
        };
        let edges = |update| rule.schedule.edges(at(update), 2, 1);
        let is_complete = edges(0) == 2 && edges(UPDATES) == 2;
        let has_threshold = !matches!(rule.forward, Forward::Weight | Forward::Dropout { .. });
        let is_constant = rule.schedule.is_due(at(1)) && edges(0) == edges(UPDATES);
        // Where the effective weight is below the weight, it follows from the selection, too.
        if is_complete || has_threshold || is_constant && rule.growth.is_none() {
            Self::Absent
        } else if rule.schedule.is_due(at(UPDATES)) {
            Self::Optional
        } else {
            Self::Needed
        }
    }
}

/// Whether the tensor at this place is wired by a recipe.
pub(crate) fn is_wired(wiring: &WiringRecipe, place: &Place) -> bool {
    place.has_edges || wiring.plain_layers && place.shape.len() > 1
}

/// Whether the tensor at this place is wired by a recipe and may lack edges.
pub(crate) fn is_sparse(wiring: &WiringRecipe, place: &Place) -> bool {
    is_wired(wiring, place) && !wiring.dense.contains(&place.path)
}

/// Whether the exact zeros among a weight's values say which edges were removed: at least a tenth are. Training alone hardly ever
/// produces one.
pub(crate) fn zeros_are_mask(zeros: usize, entries: usize) -> bool {
    zeros > 0 && 10 * zeros >= entries && zeros < entries
}

#[cfg(test)]
mod tests {
    use super::*;
    use dnw_core::rules::{self, Settings};

    #[test]
    fn a_drawn_or_early_wiring_has_to_be_said_and_one_that_the_weights_decide_has_not() {
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

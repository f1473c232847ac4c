//! What decides which edges of an imported network are real.

use std::collections::BTreeMap;
use std::fmt;

use burn::module::Module;
use dnw_core::{Clock, Forward, Wired, WiredTensor, Wiring};

use super::ImportError;
use crate::masks::{UPDATES, zeros_are_mask};

/// What decided which edges of an imported network are real.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WiringSource {
    /// Masks in the file.
    Masks,
    /// The exact zeros in the file's weights: the entries that are not zero are real.
    Zeros,
    /// The recipe's rule and budget, from the weights.
    Rule,
}

impl fmt::Display for WiringSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Masks => "the file's masks",
            Self::Zeros => "the zeros in the file's weights",
            Self::Rule => "the recipe's rule and budget",
        })
    }
}

/// Gives a loaded network its wiring.
///
/// A tensor's mask in the file decides, or else its zeros, if there are enough of them. If tensors with at least half of all edges are
/// decided so, the others keep all their edges: the file says what was removed, and of them nothing was. Otherwise the rule selects, as
/// it does after the last update of a run; an edge whose weight is exactly zero is not made real then.
pub(super) fn set_wirings<M: Module>(
    wired: &mut Wired<M>,
    masks: BTreeMap<String, Wiring>,
) -> Result<WiringSource, ImportError> {
    let tensors = wired.tensors();
    let has_masks = !masks.is_empty();
    let mut known = masks;
    for tensor in &tensors {
        if let Some(wiring) = nonzero(tensor)
            && zeros_are_mask(edges(tensor) - wiring.count(), edges(tensor))
        {
            known.entry(tensor.name.clone()).or_insert(wiring);
        }
    }
    let decided = tensors.iter().filter(|t| known.contains_key(&t.name));
    let decided: usize = decided.map(edges).sum();
    let all: usize = tensors.iter().map(edges).sum();
    if !has_masks && 2 * decided < all {
        // A finished network's wiring is the one that the rule selects after the last update.
        wired.set_clock(Clock {
            update: UPDATES - 1,
            total: UPDATES,
        });
        wired.rewire()?;
        let selected = wired.tensors();
        let with_zeros = selected.iter().filter_map(|tensor| {
            let nonzero = nonzero(tensor)?;
            let has_zero = tensor.active().difference(&nonzero).count() > 0;
            has_zero.then(|| (tensor.name.clone(), nonzero))
        });
        wired.set_wirings(&with_zeros.collect())?;
        return Ok(WiringSource::Rule);
    }
    if matches!(
        wired.rule().forward,
        Forward::SoftThreshold | Forward::PowerThreshold { .. }
    ) {
        // Weights with zeros are what the forward pass has used. A threshold would be subtracted from them a second time.
        let rule = wired.rule().name.clone();
        return Err(ImportError::FinalWeights { rule });
    }
    for tensor in &tensors {
        let complete = || tensor.candidates.intersection(&tensor.legal);
        known.entry(tensor.name.clone()).or_insert_with(complete);
    }
    wired.set_wirings(&known)?;
    Ok(if has_masks {
        WiringSource::Masks
    } else {
        WiringSource::Zeros
    })
}

/// How many edges a tensor may have.
fn edges(tensor: &WiredTensor) -> usize {
    tensor.candidates.intersection(&tensor.legal).count()
}

/// The edges of a tensor whose weight is not zero, if there are any.
fn nonzero(tensor: &WiredTensor) -> Option<Wiring> {
    let possible = tensor.candidates.intersection(&tensor.legal);
    let nonzero = possible
        .iter()
        .filter(|&entry| tensor.weights[entry] != 0.0);
    let nonzero = Wiring::from_entries(possible.entries(), nonzero);
    (nonzero.count() > 0).then_some(nonzero)
}

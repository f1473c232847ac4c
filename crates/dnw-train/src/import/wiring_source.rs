//! How the real edges of an imported network are determined.

use std::collections::BTreeMap;
use std::fmt;

use burn::module::Module;
use dnw_core::{Clock, Forward, Wired, WiredTensor, Wiring};

use super::ImportError;
use crate::masks::{UPDATES, zeros_are_mask};

/// How the real edges of an imported network were determined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WiringSource {
    /// Masks in the file.
    Masks,
    /// Exact zeros of the file's weights: the other entries are real.
    Zeros,
    /// The recipe's rule and budget, applied to the weights.
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

/// Wires a loaded network.
///
/// A tensor's mask in the file decides, or else its zeros, if there are enough of them. If this determines tensors with at least half of all
/// edges, the others keep all of their edges, since the file shows what was removed. Otherwise the rule selects, as after the last update of a
/// run; an edge with weight zero does not become real then.
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
        // A finished network has the wiring that the rule selects after the last update.
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
        // Weights with zeros are effective weights. A threshold would be subtracted from them again.
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

/// The possible edges of a tensor.
fn edges(tensor: &WiredTensor) -> usize {
    tensor.candidates.intersection(&tensor.legal).count()
}

/// The edges of a tensor with nonzero weights, if there are any.
fn nonzero(tensor: &WiredTensor) -> Option<Wiring> {
    let possible = tensor.candidates.intersection(&tensor.legal);
    let nonzero = possible
        .iter()
        .filter(|&entry| tensor.weights[entry] != 0.0);
    let nonzero = Wiring::from_entries(possible.entries(), nonzero);
    (nonzero.count() > 0).then_some(nonzero)
}

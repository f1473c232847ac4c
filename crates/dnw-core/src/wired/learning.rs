//! Which tensors learn. Where nothing learns, a rule has nothing to select from: weights stay as they are, and
//! scores by gradient are those of nothing.

use std::collections::{BTreeMap, BTreeSet};

/// Which tensors learned since the last selection, as far as it can be known apart from the tensors.
#[derive(Clone, Debug, Default)]
pub(super) struct Learning {
    /// The tensors that had gradients; `None` if no gradients were shown.
    seen: Option<BTreeSet<String>>,
    /// Fingerprints of the weights that were never seen to change.
    unchanged: BTreeMap<String, u64>,
}

impl Learning {
    /// The tensors that had gradients, to add to, when gradients are shown.
    pub(super) fn told(&mut self) -> &mut BTreeSet<String> {
        self.seen.get_or_insert_default()
    }

    /// Whether gradients were shown.
    pub(super) fn is_told(&self) -> bool {
        self.seen.is_some()
    }

    /// Remembers the weights of a tensor before the first update.
    pub(super) fn begin(&mut self, name: &str, weights: &[f32]) {
        self.unchanged.insert(name.to_owned(), fingerprint(weights));
    }

    /// Those of some tensors that did not learn, each given by its name and a way to read its weights: they had
    /// no gradient, or, if no gradients were shown, their weights have never changed though others have.
    pub(super) fn idle<'a>(
        &mut self,
        tensors: impl IntoIterator<Item = (&'a str, impl FnOnce() -> Vec<f32>)>,
    ) -> BTreeSet<String> {
        let tensors = tensors.into_iter();
        if let Some(seen) = &self.seen {
            let names = tensors.map(|(name, _)| name.to_owned());
            return names.filter(|name| !seen.contains(name)).collect();
        }
        let (mut idle, mut all) = (BTreeSet::new(), 0);
        for (name, weights) in tensors {
            all += 1;
            match self.unchanged.get(name) {
                Some(first) if *first == fingerprint(&weights()) => {
                    idle.insert(name.to_owned());
                }
                _ => {
                    self.unchanged.remove(name);
                }
            }
        }
        // Where nothing has changed, nothing was trained, and the rule goes by its schedule.
        if idle.len() == all {
            idle.clear();
        }
        idle
    }

    /// Begins again after a selection.
    pub(super) fn selected(&mut self) {
        self.seen = None;
    }
}

/// A hash of the bits (FNV-1a by words).
fn fingerprint(weights: &[f32]) -> u64 {
    weights.iter().fold(0xcbf2_9ce4_8422_2325, |hash, weight| {
        (hash ^ u64::from(weight.to_bits())).wrapping_mul(0x0100_0000_01b3)
    })
}

//! Which tensors learn. A rule must not rewire a tensor that does not learn: its weights do not change, and its
//! gradients are zero.

use std::collections::{BTreeMap, BTreeSet};

/// Which tensors learned since the last selection.
#[derive(Clone, Debug, Default)]
pub(super) struct Learning {
    /// The tensors that had gradients; `None` if the optimizer step did not pass its gradients on.
    seen: Option<BTreeSet<String>>,
    /// Fingerprints of the weights of tensors that have not changed yet.
    unchanged: BTreeMap<String, u64>,
}

impl Learning {
    /// The set of tensors that had gradients; from now on gradients decide which tensors learned.
    pub(super) fn tensors_with_gradients(&mut self) -> &mut BTreeSet<String> {
        self.seen.get_or_insert_default()
    }

    /// Whether gradients decide which tensors learned.
    pub(super) fn uses_gradients(&self) -> bool {
        self.seen.is_some()
    }

    /// Remembers the weights of a tensor before the first update.
    pub(super) fn begin(&mut self, name: &str, weights: &[f32]) {
        self.unchanged.insert(name.to_owned(), fingerprint(weights));
    }

    /// The tensors that did not learn, of those with these names and functions that read their weights: they had
    /// no gradient, or, without gradients, their weights have never changed while others have.
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

    /// The tensors that had gradients since the last selection, and the fingerprints of those that have not changed.
    pub(super) fn to_parts(&self) -> (Option<BTreeSet<String>>, BTreeMap<String, u64>) {
        (self.seen.clone(), self.unchanged.clone())
    }

    /// The inverse of [`to_parts`](Self::to_parts).
    pub(super) fn from_parts(
        seen: Option<BTreeSet<String>>,
        unchanged: BTreeMap<String, u64>,
    ) -> Self {
        Self { seen, unchanged }
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

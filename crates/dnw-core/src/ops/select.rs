//! Selection of the edges of largest magnitude, and the update of the mask that follows.
//!
//! The reference reads and sorts the weights on the host, as for all other scores
//! ([`Rule::select`](crate::Rule)).

use std::sync::Arc;

use burn::backend::Dispatch;
use burn::backend::tensor::{BoolTensor, FloatTensor};
use burn::tensor::{Bool, Tensor};
use dnw_kernels::selection::{self, NotANumber, Survey, SurveyRange};

use super::cpu::{Address, CpuBackend};
use super::dispatch::{self, Tensors, Untracked};
use crate::Wiring;
#[cfg(feature = "cube")]
use {
    super::gpu::{buffer, storage},
    burn_cubecl::{CubeBackend, kernel::into_contiguous},
    dnw_cube::{bits, selection as gpu_selection},
};

/// Which entries are to be real: the `k` candidates of largest magnitude.
#[derive(Clone, Debug)]
pub(crate) struct TopK {
    pub(crate) candidates: Arc<Wiring>,
    /// Whether all entries are candidates.
    pub(crate) all: bool,
    pub(crate) k: usize,
    /// About the smallest magnitude among them, if it is known.
    pub(crate) guess: Option<f32>,
}

impl TopK {
    /// The candidates, one bit each, where not all entries are.
    fn candidate_words(&self) -> Option<&[u64]> {
        (!self.all).then(|| self.candidates.words())
    }

    /// What a survey counts around the guess.
    pub(super) fn survey_range<'a>(&'a self, before: &'a [u8]) -> Option<SurveyRange<'a>> {
        SurveyRange::around(self.guess?, self.candidate_words(), before)
    }
}

/// How a mask changes by a selection.
#[derive(Clone, Debug, Default)]
pub(crate) struct MaskChanges {
    /// Entries that become real, ascending, and their magnitudes.
    pub(crate) added: Vec<(usize, f32)>,
    /// Entries that cease to be real, the same.
    pub(crate) removed: Vec<(usize, f32)>,
    /// The smallest magnitude among the real entries.
    pub(crate) threshold: f32,
    /// The largest among the candidates that are not real.
    pub(crate) nearest: Option<f32>,
    /// Candidates that are not real, of at least nine tenths of the threshold.
    pub(crate) contenders: usize,
}

/// A survey, and the addresses of the weights and the mask that it is of.
#[derive(Debug)]
pub(super) struct AddressedSurvey {
    pub(super) survey: Survey,
    pub(super) weights: Address,
    pub(super) real: Address,
}

/// A survey of weights from an update, which shortens the selection that follows.
///
/// It holds handles on the weights and the mask: whoever changes either later changes a copy, at another address.
pub(crate) struct Surveyed {
    pub(super) survey: AddressedSurvey,
    pub(super) held: (FloatTensor<Dispatch>, BoolTensor<Dispatch>),
}

#[cfg(test)]
impl Surveyed {
    /// The address of the surveyed weights.
    pub(crate) fn weights(&self) -> Address {
        self.survey.weights
    }
}

/// A tensor to select edges of.
pub(crate) struct Selecting {
    /// `[entries]`.
    pub(crate) weights: Tensor<1>,
    /// The mask before, `[entries]`.
    pub(crate) real: Tensor<1, Bool>,
    pub(crate) top_k: TopK,
    pub(crate) surveyed: Option<Surveyed>,
}

/// How the masks of the selected entries differ from the masks before, on CPU and GPU backends. All tensors are on one device. On a GPU they
/// are selected from together, because the host waits for the GPU each time that it reads a result.
///
/// # Errors
/// For each tensor its first candidate that is not a number.
pub(crate) fn select_top_k(all: Vec<Selecting>) -> Vec<Result<MaskChanges, usize>> {
    if all.is_empty() {
        return Vec::new();
    }
    let (mut each, mut held, mut floats, mut masks) = (vec![], vec![], vec![], vec![]);
    for one in all {
        let survey = one.surveyed.map(|Surveyed { survey, held: of }| {
            held.push(of);
            survey
        });
        each.push((one.top_k, survey));
        floats.push(one.weights.into_dispatch());
        masks.push(one.real.into_dispatch());
    }
    let tensors = Tensors::from_lists(floats, masks);
    let (_, changes) = dispatch::run_untracked_on(SelectTopK(each), tensors);
    // The surveyed memory is held until here, so that no other tensor has the same address.
    drop(held);
    changes
}

/// For each tensor what to select, and a survey of it. Inputs: the weights of each; masks: `real` of each.
#[derive(Debug)]
struct SelectTopK(Vec<(TopK, Option<AddressedSurvey>)>);

impl Untracked for SelectTopK {
    type Extra = Vec<Result<MaskChanges, usize>>;

    fn run_cpu<B: CpuBackend>(self, tensors: Tensors<B>) -> (Tensors<B>, Self::Extra) {
        let (weights, masks) = tensors.into_lists();
        let tensors = weights.into_iter().zip(masks).zip(self.0);
        let changes = tensors.map(|((weights, real), (top_k, survey))| {
            let weights = B::contiguous(weights);
            select_cpu::<B>(&top_k, survey, B::floats(&weights), &real)
        });
        (Tensors::new([], []), changes.collect())
    }

    #[cfg(feature = "cube")]
    fn run_gpu(self, tensors: Tensors<CubeBackend>) -> (Tensors<CubeBackend>, Self::Extra) {
        let (weights, masks) = tensors.into_lists();
        let weights: Vec<_> = weights.into_iter().map(into_contiguous).collect();
        let masks: Vec<_> = masks.into_iter().map(into_contiguous).collect();
        let candidates = self.0.iter().map(|(top_k, _)| {
            let halves = top_k.candidate_words()?.iter();
            let halves = halves.flat_map(|&word| [word as u32, (word >> 32) as u32]);
            let entries = top_k.candidates.entries();
            Some(halves.take(entries.div_ceil(32)).collect::<Vec<u32>>())
        });
        let candidates: Vec<_> = candidates.collect();
        let wanted = self
            .0
            .iter()
            .zip(&candidates)
            .zip(weights.iter().zip(&masks));
        let wanted =
            wanted.map(
                |(((top_k, _), candidates), (weights, real))| gpu_selection::Wanted {
                    weights: buffer(weights),
                    real: buffer(real),
                    candidates: candidates.as_deref(),
                    k: top_k.k,
                },
            );
        let wanted: Vec<_> = wanted.collect();
        let client = &weights[0].client;
        let made = gpu_selection::select_top_k(client, &wanted, storage(&masks[0]));
        let changes = made.into_iter().map(|made| {
            let changes = made.map(|selection| MaskChanges {
                added: selection.added,
                removed: selection.removed,
                threshold: selection.threshold,
                nearest: selection.nearest,
                contenders: selection.contenders,
            });
            changes.map_err(|gpu_selection::NotANumber { entry }| entry)
        });
        (Tensors::new([], []), changes.collect())
    }
}

fn select_cpu<B: CpuBackend>(
    top_k: &TopK,
    survey: Option<AddressedSurvey>,
    weights: &[f32],
    real: &BoolTensor<B>,
) -> Result<MaskChanges, usize> {
    let before = B::bytes(real);
    let addresses = (Address::of(weights), B::mask_address(real));
    let survey = match survey.filter(|found| (found.weights, found.real) == addresses) {
        Some(found) => Some(found.survey),
        None => top_k
            .survey_range(&before)
            .map(|range| Survey::of(weights, &range)),
    };
    let found = selection::changes(weights, top_k.candidate_words(), top_k.k, survey, &before);
    let found = found.map_err(|NotANumber { entry }| entry)?;
    let with_magnitudes = |entries: Vec<usize>| {
        let pairs = entries
            .into_iter()
            .map(|entry| (entry, weights[entry].abs()));
        pairs.collect()
    };
    Ok(MaskChanges {
        added: with_magnitudes(found.added),
        removed: with_magnitudes(found.removed),
        threshold: found.kept.threshold,
        nearest: found.kept.nearest,
        contenders: found.kept.contenders,
    })
}

/// The mask with some entries toggled, on CPU and GPU backends.
pub(crate) fn toggle_mask<const D: usize>(
    mask: Tensor<D, Bool>,
    entries: &[usize],
) -> Tensor<D, Bool> {
    let toggle = ToggleMask(entries);
    let (tensors, ()) = dispatch::run_untracked(toggle, [], [mask.into_dispatch()]);
    let ([], [mask]) = tensors.split();
    Tensor::from_dispatch(mask)
}

/// Mask: the one to toggle, which is returned.
#[derive(Debug)]
struct ToggleMask<'a>(&'a [usize]);

impl Untracked for ToggleMask<'_> {
    type Extra = ();

    fn run_cpu<B: CpuBackend>(self, tensors: Tensors<B>) -> (Tensors<B>, ()) {
        let ([], [mask]) = tensors.split();
        (Tensors::new([], [B::toggle(mask, self.0)]), ())
    }

    #[cfg(feature = "cube")]
    fn run_gpu(self, tensors: Tensors<CubeBackend>) -> (Tensors<CubeBackend>, ()) {
        let ([], [mask]) = tensors.split();
        if self.0.is_empty() {
            return (Tensors::new([], [mask]), ());
        }
        let mask = into_contiguous(mask);
        // In place, if nobody else holds it.
        let mask = if mask.can_mut() { mask } else { mask.copy() };
        let entries: Vec<u32> = self.0.iter().map(|&entry| entry as u32).collect();
        bits::toggle(&mask.client, &buffer(&mask), &entries, storage(&mask));
        (Tensors::new([], [mask]), ())
    }
}

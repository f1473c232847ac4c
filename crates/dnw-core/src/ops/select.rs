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

/// How the mask of the selected entries differs from `real`, on CPU and GPU backends.
///
/// `weights`, `real`: `[entries]`.
///
/// # Errors
/// The first candidate that is not a number.
pub(crate) fn select_top_k(
    weights: Tensor<1>,
    real: Tensor<1, Bool>,
    top_k: TopK,
    surveyed: Option<Surveyed>,
) -> Result<MaskChanges, usize> {
    let (survey, held) = match surveyed {
        Some(Surveyed { survey, held }) => (Some(survey), Some(held)),
        None => (None, None),
    };
    let select = SelectTopK { top_k, survey };
    let (floats, masks) = ([weights.into_dispatch()], [real.into_dispatch()]);
    let (_, changes) = dispatch::run_untracked(select, floats, masks);
    // The surveyed memory is held until here, so that no other tensor has the same address.
    drop(held);
    changes
}

/// Inputs: `weights`; mask: `real`.
#[derive(Debug)]
struct SelectTopK {
    top_k: TopK,
    survey: Option<AddressedSurvey>,
}

impl Untracked for SelectTopK {
    type Extra = Result<MaskChanges, usize>;

    fn run_cpu<B: CpuBackend>(self, tensors: Tensors<B>) -> (Tensors<B>, Self::Extra) {
        let ([weights], [real]) = tensors.split();
        let weights = B::contiguous(weights);
        let changes = select_cpu::<B>(self, B::floats(&weights), &real);
        (Tensors::new([], []), changes)
    }

    #[cfg(feature = "cube")]
    fn run_gpu(self, tensors: Tensors<CubeBackend>) -> (Tensors<CubeBackend>, Self::Extra) {
        let ([weights], [real]) = tensors.split();
        let (weights, real) = (into_contiguous(weights), into_contiguous(real));
        let halves = self.top_k.candidate_words().map(|words| {
            let halves = words
                .iter()
                .flat_map(|&word| [word as u32, (word >> 32) as u32]);
            let entries = self.top_k.candidates.entries();
            halves.take(entries.div_ceil(32)).collect::<Vec<u32>>()
        });
        let wanted = gpu_selection::Wanted {
            candidates: halves.as_deref(),
            k: self.top_k.k,
        };
        let (store, client) = (storage(&real), &real.client);
        let (weights, real) = (buffer(&weights), buffer(&real));
        let made = gpu_selection::select_top_k(client, &weights, &real, store, wanted);
        let changes = made.map(|selection| MaskChanges {
            added: selection.added,
            removed: selection.removed,
            threshold: selection.threshold,
            nearest: selection.nearest,
            contenders: selection.contenders,
        });
        let changes = changes.map_err(|gpu_selection::NotANumber { entry }| entry);
        (Tensors::new([], []), changes)
    }
}

fn select_cpu<B: CpuBackend>(
    SelectTopK { top_k, survey }: SelectTopK,
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

//! The k entries of largest magnitude, without sorting.
//!
//! The bits of |w|, read as an integer, have the same order as the magnitudes. A histogram of their leading bits finds the bin of the k-th
//! largest, and a search within that bin finds the k-th itself; a second pass over the weights writes one bit per entry. If the threshold
//! is known approximately (few weights cross the threshold of the previous step in one SGD step), one pass is enough ([`Survey`]), and the
//! SGD step makes this pass while the weights are in cache. All counts are integers, so that results do not depend on the number of
//! threads.

mod magnitudes;
mod outcome;
mod survey;
mod swaps;
mod top_k;

pub(crate) use magnitudes::CHUNK;
pub use outcome::{Changes, Kept, NotANumber};
pub use survey::{Survey, SurveyRange};
pub use swaps::swaps;
pub use top_k::select_top_k;

/// The difference between the selection of [`select_top_k`] and the mask `before`, which has one byte per entry, nonzero for real edges.
///
/// A `survey` of the same weights, candidates and mask makes this faster; the result does not depend on it.
///
/// # Errors
/// [`NotANumber`] if a candidate is NaN.
///
/// # Panics
/// As [`select_top_k`].
pub fn changes(
    weights: &[f32],
    candidates: Option<&[u64]>,
    k: usize,
    survey: Option<Survey>,
    before: &[u8],
) -> Result<Changes, NotANumber> {
    assert_eq!(before.len(), weights.len(), "length of the mask");
    top_k::check(weights, candidates, k);
    let survey = survey.filter(|survey| survey.entries() == weights.len());
    if let Some(found) = survey.and_then(|survey| survey.select(k)) {
        return Ok(found);
    }
    let mut real = vec![0; weights.len().div_ceil(64)];
    let kept = select_top_k(weights, candidates, k, &mut real)?;
    let (added, removed) = swaps(before, &real);
    Ok(Changes {
        kept,
        added,
        removed,
    })
}

//! Selection of the k best edges in linear time.

use crate::{Wiring, WiringError};

/// The `k` candidates of highest score.
///
/// Of equal scores the **later** entry stays, as in a stable ascending sort that drops the first entries. (The published program
/// sorts with torch's default, which keeps the order of equal values only up to 16 of them: `docs/rules.md`.) The
/// scores are partitioned around the k-th and never sorted, so the cost is linear.
///
/// `name` is the tensor's name for the error.
///
/// # Errors
/// [`WiringError::NotANumber`] if a candidate's score is NaN; [`WiringError::Budget`] if `k` is larger
/// than the number of candidates.
///
/// # Panics
/// If `scores` and `candidates` differ in length.
///
/// ```
/// use dnw_core::{Wiring, select_top_edges};
///
/// let real = select_top_edges("w", &[0.5, 2.0, 2.0, 0.1], &Wiring::full(4), 1)?;
/// assert_eq!(real.iter().collect::<Vec<_>>(), [2]);
/// # Ok::<(), dnw_core::WiringError>(())
/// ```
pub fn select_top_edges(
    name: &str,
    scores: &[f32],
    candidates: &Wiring,
    k: usize,
) -> Result<Wiring, WiringError> {
    assert_eq!(
        scores.len(),
        candidates.entries(),
        "scores of another tensor"
    );
    let all = candidates.count();
    if k > all {
        let budget = crate::Budget::Edges(k);
        return Err(WiringError::Budget {
            tensor: name.to_owned(),
            budget,
            candidates: all,
        });
    }
    if let Some(entry) = candidates.iter().find(|&entry| scores[entry].is_nan()) {
        return Err(WiringError::NotANumber {
            tensor: name.to_owned(),
            entry,
        });
    }
    if k == 0 {
        return Ok(Wiring::empty(scores.len()));
    }
    if k == all {
        return Ok(candidates.clone());
    }
    let mut keys: Vec<u32> = candidates.iter().map(|entry| key(scores[entry])).collect();
    let (_, &mut threshold, above) = keys.select_nth_unstable(all - k);
    // Entries above the threshold are selected; the remaining places go to the last entries that equal it.
    let mut equal = k - above.iter().filter(|&&key| key > threshold).count();
    let mut real = Wiring::empty(scores.len());
    let entries: Vec<usize> = candidates.iter().collect();
    for &entry in entries.iter().rev() {
        let key = key(scores[entry]);
        if key > threshold {
            real.insert(entry);
        } else if key == threshold && equal > 0 {
            real.insert(entry);
            equal -= 1;
        }
    }
    Ok(real)
}

/// Bits in the order of the floats; `-0.0` equals `0.0`.
fn key(score: f32) -> u32 {
    let bits = (score + 0.0).to_bits();
    if bits >> 31 == 1 {
        !bits
    } else {
        bits | 1 << 31
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The published program with a stable sort: sorts all entries and drops the first.
    fn by_sorting(scores: &[f32], candidates: &Wiring, k: usize) -> Wiring {
        let mut order: Vec<usize> = candidates.iter().collect();
        order.sort_by(|&a, &b| scores[a].partial_cmp(&scores[b]).unwrap());
        Wiring::from_entries(scores.len(), order[order.len() - k..].iter().copied())
    }

    /// Few distinct values, so that ties are common, and sometimes an arbitrary float.
    fn score() -> impl Strategy<Value = f32> {
        prop_oneof![
            4 => (-3i8..3).prop_map(f32::from),
            1 => Just(-0.0),
            2 => any::<f32>().prop_filter("a number", |x| !x.is_nan()),
        ]
    }

    proptest! {
        #[test]
        fn the_selection_is_that_of_a_stable_sort(
            entries in proptest::collection::vec((score(), any::<bool>()), 1..200),
            share in 0.0f64..=1.0,
        ) {
            let scores: Vec<f32> = entries.iter().map(|e| e.0).collect();
            let candidates = Wiring::from_mask(entries.iter().map(|e| e.1));
            let k = (share * candidates.count() as f64) as usize;
            let real = select_top_edges("w", &scores, &candidates, k).unwrap();
            prop_assert_eq!(real.count(), k);
            prop_assert_eq!(real.difference(&candidates).count(), 0);
            prop_assert_eq!(real, by_sorting(&scores, &candidates, k));
        }
    }

    #[test]
    fn a_score_that_is_not_a_number_names_its_tensor() {
        let error = select_top_edges("conv1.weight", &[1.0, f32::NAN], &Wiring::full(2), 1);
        assert_eq!(
            error,
            Err(WiringError::NotANumber {
                tensor: "conv1.weight".into(),
                entry: 1
            })
        );
    }

    #[test]
    fn a_score_outside_the_candidates_may_be_anything() {
        let candidates = Wiring::from_entries(3, [0, 2]);
        let real = select_top_edges("w", &[1.0, f32::NAN, 0.5], &candidates, 1).unwrap();
        assert_eq!(real.iter().collect::<Vec<_>>(), [0]);
    }
}

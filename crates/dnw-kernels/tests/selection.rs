//! Tests of selection against a stable sort, and of the SGD step against its definition.

use dnw_kernels::selection::{NotANumber, Survey, SurveyRange, changes, select_top_k, swaps};
use dnw_kernels::sgd::{self, SgdStep};
use proptest::prelude::*;

/// The published program's selection: a stable sort by magnitude, of which the last `k` are kept.
fn by_sorting(weights: &[f32], candidates: &[bool], k: usize) -> Vec<bool> {
    let mut order: Vec<usize> = (0..weights.len())
        .filter(|&entry| candidates[entry])
        .collect();
    order.sort_by(|&a, &b| weights[a].abs().total_cmp(&weights[b].abs()));
    let mut kept = vec![false; weights.len()];
    for &entry in &order[order.len() - k..] {
        kept[entry] = true;
    }
    kept
}

fn words(mask: &[bool]) -> Vec<u64> {
    let word = |bits: &[bool]| {
        bits.iter()
            .enumerate()
            .fold(0, |word, (i, &bit)| word | u64::from(bit) << i)
    };
    mask.chunks(64).map(word).collect()
}

/// Few distinct values, so that ties are common, and sometimes any float except NaN.
fn weight() -> impl Strategy<Value = f32> {
    prop_oneof![
        4 => (-3i8..3).prop_map(f32::from),
        1 => Just(-0.0),
        2 => any::<f32>().prop_filter("a number", |x| !x.is_nan()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn the_selection_is_that_of_a_stable_sort_with_and_without_a_survey(
        entries in proptest::collection::vec((weight(), any::<bool>(), any::<bool>()), 1..400),
        all in any::<bool>(), share in 0.0f64..=1.0, guess in proptest::option::of(weight()),
    ) {
        let weights: Vec<f32> = entries.iter().map(|entry| entry.0).collect();
        let candidates: Vec<bool> = entries.iter().map(|entry| all || entry.1).collect();
        let count = candidates.iter().filter(|&&yes| yes).count();
        let k = (share * count as f64) as usize;
        let candidate_words = words(&candidates);
        let mut real = vec![u64::MAX; candidate_words.len()];
        let optional_candidates = (!all).then_some(&candidate_words[..]);
        let kept = select_top_k(&weights, optional_candidates, k, &mut real).unwrap();
        let expected = by_sorting(&weights, &candidates, k);
        prop_assert_eq!(&real, &words(&expected));

        let before: Vec<u8> = entries.iter().map(|entry| u8::from(entry.2)).collect();
        // A random guess, and the exact threshold.
        for guess in [guess, Some(kept.threshold).filter(|t| t.is_finite())] {
            let range = guess.and_then(|guess| SurveyRange::around(guess, optional_candidates, &before));
            let survey = range.map(|range| Survey::of(&weights, &range));
            let found = changes(&weights, optional_candidates, k, survey, &before).unwrap();
            prop_assert_eq!(found.kept, kept);
            prop_assert_eq!((found.added, found.removed), swaps(&before, &real));
        }

        let magnitudes = |of: bool| {
            let magnitudes = (0..weights.len()).filter(|&i| candidates[i] && expected[i] == of).map(|i| weights[i].abs());
            magnitudes.collect::<Vec<_>>()
        };
        let threshold = magnitudes(true).into_iter().fold(f32::INFINITY, f32::min);
        prop_assert_eq!(kept.threshold, threshold);
        prop_assert_eq!(kept.nearest, magnitudes(false).into_iter().reduce(f32::max));
        prop_assert_eq!(kept.contenders, magnitudes(false).into_iter().filter(|m| *m >= 0.9 * threshold).count());
    }
}

proptest! {
    #[test]
    fn swaps_are_the_entries_in_which_two_masks_differ(pairs in proptest::collection::vec(any::<(bool, bool)>(), 0..300)) {
        let before: Vec<u8> = pairs.iter().map(|pair| u8::from(pair.0)).collect();
        let after: Vec<bool> = pairs.iter().map(|pair| pair.1).collect();
        let entries = |pair: (bool, bool)| {
            let at = (0..pairs.len()).filter(|&i| pairs[i] == pair);
            at.collect::<Vec<_>>()
        };
        prop_assert_eq!(swaps(&before, &words(&after)), (entries((false, true)), entries((true, false))));
    }
}

#[test]
fn the_selection_does_not_depend_on_the_number_of_threads() {
    let weights: Vec<f32> = (0..200_000u64)
        .map(|i| ((i * 7919) % 100_003) as f32 - 50_000.0)
        .collect();
    let before: Vec<u8> = (0..weights.len()).map(|i| u8::from(i % 20 == 0)).collect();
    let select = |threads, guess: Option<f32>| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        let range = guess.and_then(|guess| SurveyRange::around(guess, None, &before));
        let found = pool.install(|| {
            let survey = range.map(|range| Survey::of(&weights, &range));
            changes(&weights, None, 10_000, survey, &before)
        });
        let found = found.unwrap();
        (found.added, found.removed)
    };
    let expected = words(&by_sorting(&weights, &vec![true; weights.len()], 10_000));
    let expected = swaps(&before, &expected);
    assert_eq!(select(1, None), expected);
    assert_eq!(select(3, None), expected);
    assert_eq!(select(3, Some(47_500.0)), expected);
}

#[test]
fn the_error_names_the_first_nan_and_the_mask_is_unchanged() {
    let mut weights = vec![1.0f32; 100];
    (weights[70], weights[90]) = (f32::NAN, -f32::NAN);
    let mut real = vec![3; 2];
    let expected = NotANumber { entry: 70 };
    assert_eq!(select_top_k(&weights, None, 5, &mut real), Err(expected));
    assert_eq!(real, [3, 3]);
    for guess in [None, Some(1.0)] {
        let range = guess.and_then(|guess: f32| SurveyRange::around(guess, None, &[0; 100]));
        let survey = range.map(|range| Survey::of(&weights, &range));
        let found = changes(&weights, None, 5, survey, &[0; 100]);
        assert_eq!(found, Err(expected));
    }
    // Entries that are not candidates may be NaN.
    let candidates = [u64::MAX, !(1 << 6 | 1 << 26)];
    let mut real = vec![0; 2];
    select_top_k(&weights, Some(&candidates), 5, &mut real).unwrap();
    assert_eq!(real[1] >> 26 & 1, 0);
}

proptest! {
    #[test]
    fn a_step_with_a_survey_updates_as_one_without_and_its_survey_selects_as_a_full_pass(
        entries in 1usize..40_000, share in 0.0f64..=1.0, guess in 0.001f32..1.0, seed in any::<u32>(),
    ) {
        let mut state = seed | 1;
        let mut random = |scale: f32| -> Vec<f32> {
            let mut next = || {
                state ^= state << 13;
                state ^= state >> 17;
                state ^= state << 5;
                scale * (state as f32 / u32::MAX as f32 - 0.5)
            };
            (0..entries).map(|_| next()).collect()
        };
        let sgd = SgdStep { rate: 0.1, momentum: 0.9, decay: Some(1e-3) };
        let (weights, gradient, velocity) = (random(2.0), random(0.2), random(0.2));
        let before: Vec<u8> = weights.iter().map(|weight| u8::from(weight.abs() >= guess)).collect();
        let (mut w, mut v) = (weights.clone(), velocity.clone());
        sgd::step(sgd, &mut w, &gradient, &mut v);
        let (mut surveyed_w, mut surveyed_v) = (weights, velocity);
        let range = SurveyRange::around(guess, None, &before).unwrap();
        let survey = sgd::step_and_survey(sgd, &mut surveyed_w, &gradient, &mut surveyed_v, &range);
        let bits = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        prop_assert_eq!((bits(&w), bits(&v)), (bits(&surveyed_w), bits(&surveyed_v)));
        let k = (share * entries as f64) as usize;
        let expected = changes(&w, None, k, None, &before).unwrap();
        prop_assert_eq!(changes(&w, None, k, Some(survey), &before).unwrap(), expected);
    }
}

#[test]
fn a_step_has_the_bits_of_separate_operations() {
    let sgd = SgdStep {
        rate: 0.1,
        momentum: 0.9,
        decay: Some(1e-4),
    };
    let (mut w, g, mut v) = (
        vec![1.5f32, -0.3, 0.0],
        [0.2f32, 0.7, -1e-9],
        vec![0.4f32, -0.1, 0.05],
    );
    let expected: Vec<(f32, f32)> = (0..3)
        .map(|i| {
            let decayed = w[i] * 1e-4 + g[i];
            let velocity = decayed + v[i] * 0.9;
            (w[i] - velocity * 0.1, velocity)
        })
        .collect();
    sgd::step(sgd, &mut w, &g, &mut v);
    let found: Vec<(f32, f32)> = w.into_iter().zip(v).collect();
    assert_eq!(found, expected);
}

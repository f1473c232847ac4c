//! Which edges learn, and the L1 penalty.

use dnw_core::rules;

use super::{real, stored, update, wired};

#[test]
fn without_update_a_hallucinated_edge_keeps_its_bits() {
    let before = [1.5, -0.5, 0.4, 0.1234567];
    let model = update(wired(rules::no_update(), 2, &before, 1), &[1.0; 4], 0.25);
    let after = stored(&model);
    assert_eq!(after[2].to_bits(), before[2].to_bits());
    assert_eq!(after[3].to_bits(), before[3].to_bits());
    assert_eq!(after[..2], [1.25, -0.75]);
}

#[test]
fn scaled_hallucinated_edges_learn_more_slowly() {
    let model = update(
        wired(rules::dnw_scaled(0.5), 1, &[1.0, 0.5], 1),
        &[1.0, 1.0],
        0.1,
    );
    assert_eq!(stored(&model), [0.9, 0.45]);
}

#[test]
fn a_random_wiring_never_changes() {
    let mut model = wired(rules::random(), 2, &[0.9, -0.5, 0.4, 0.1], 0);
    let before = real(&model);
    for _ in 0..5 {
        model = update(model, &[1.0, -2.0, 3.0, -4.0], 0.5);
        assert_eq!(real(&model), before);
    }
}

#[test]
fn under_l1_and_anneal_all_edges_are_real_until_the_end_and_the_penalty_pulls_them_to_zero() {
    let mut model = wired(rules::l1_anneal(0.1), 1, &[1.0, -0.5, 0.4], 4);
    let mut counts = vec![real(&model).len()];
    let mut weights = vec![stored(&model)];
    for _ in 0..4 {
        model = update(model, &[0.0; 3], 1.0);
        counts.push(real(&model).len());
        weights.push(stored(&model));
    }
    assert_eq!(counts, [3, 3, 3, 3, 1]);
    assert_eq!(real(&model), [0]);
    // The strength rises linearly: a quarter of 0.1 at the first update, all of it at the last.
    let moved = |step: usize| weights[step][0] - weights[step + 1][0];
    for (step, expected) in [0.025, 0.05, 0.075, 0.1].into_iter().enumerate() {
        assert!((moved(step) - expected).abs() < 1e-6, "{weights:?}");
    }
    assert!(
        weights[4][1] > weights[0][1],
        "a negative weight rises to zero"
    );
}

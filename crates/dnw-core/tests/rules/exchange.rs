//! Rules that exchange the weakest edges for others.

use burn::nn::Linear;
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::Tensor;
use dnw_core::{Budget, Rule, Wired, WiringError, rules};

use super::{Two, device, real, stored, two, update, wired};

/// The edges after an exchange of half of four real ones, with the wiring before it.
fn exchange(rule: Rule, weights: &[f32], slope: &[f32]) -> (Wired<Linear>, Vec<usize>) {
    let model = wired(rule, 4, weights, 10);
    let before = real(&model);
    (update(model, slope, 1e-4), before)
}

#[test]
fn set_replaces_the_weakest_at_random_and_new_edges_start_at_zero() {
    let weights: Vec<f32> = (0..12).map(|i| 1.0 + i as f32).collect();
    // Turnover after one of ten updates: 0.5 (1 + cos(0.1 pi)) / 2 of 4 is 1.95, two edges.
    let (model, before) = exchange(rules::set(1, 0.5, 1.0), &weights, &[1.0; 12]);
    let after = real(&model);
    assert_eq!(after.len(), 4);
    let strongest = &before[2..];
    assert!(
        strongest.iter().all(|edge| after.contains(edge)),
        "{before:?} {after:?}"
    );
    for edge in after.iter().filter(|edge| !before.contains(edge)) {
        assert_eq!(stored(&model)[*edge], 0.0);
    }
}

#[test]
fn rigl_grows_where_the_gradient_is_largest() {
    let weights: Vec<f32> = (0..12).map(|i| 1.0 + i as f32).collect();
    let probe = wired(rules::rigl(1, 0.5, 1.0), 4, &weights, 10);
    let before = real(&probe);
    let others: Vec<usize> = (0..12).filter(|edge| !before.contains(edge)).collect();
    let mut slope = vec![0.1; 12];
    slope[others[1]] = -7.0;
    slope[others[4]] = 5.0;
    let (model, _) = exchange(rules::rigl(1, 0.5, 1.0), &weights, &slope);
    let mut expected = vec![before[2], before[3], others[1], others[4]];
    expected.sort_unstable();
    assert_eq!(real(&model), expected);
    assert_eq!(
        stored(&model)[others[1]],
        0.0,
        "it starts at zero and did not learn before"
    );
}

#[test]
fn rigl_without_gradients_is_an_error_that_says_what_to_do() {
    let mut model = wired(rules::rigl(1, 0.5, 1.0), 2, &[1.0, 2.0, 3.0], 10);
    let error = model.rewire().unwrap_err();
    assert!(matches!(error, WiringError::GradientsMissing { .. }));
    assert!(error.to_string().contains("prepare"), "{error}");
}

#[test]
fn sparse_momentum_moves_places_to_the_tensor_of_larger_mean_gradient() {
    let weights: Vec<f32> = (0..20).map(|i| 1.0 + i as f32).collect();
    let mut model = two(
        rules::sparse_momentum(1, 0.5, 1.0),
        Budget::Edges(8),
        &weights,
        &weights,
        4,
    )
    .unwrap();
    let counts = |model: &Wired<Two>| -> Vec<usize> {
        model.tensors().iter().map(|t| t.wiring.count()).collect()
    };
    assert_eq!(counts(&model), [8, 8]);
    let x = Tensor::<2>::ones([1, 1], &device());
    let loss = model.a.forward(x.clone()).sum() * 3.0 + model.b.forward(x).sum();
    let gradients = GradientsParams::from_grads(loss.backward(), &model);
    let gradients = model.prepare(gradients);
    let mut model = SgdConfig::new().init().step(1e-4, model, gradients);
    model.rewire().unwrap();
    // Turnover: 0.5 (1 + cos(pi / 4)) / 2 of 8 is 3.4, three of each; the six go 3 : 1, which is 4.5 to 1.5.
    let after = counts(&model);
    assert_eq!(after.iter().sum::<usize>(), 16);
    assert!(after == [10, 6] || after == [9, 7], "{after:?}");
}

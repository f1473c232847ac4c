//! The state that a rule stores in a model, and a wiring without its weights.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::Tensor;
use dnw_core::{Forward, Weights, rules};

use super::{effective_weights, wired};

#[test]
fn the_state_of_a_rule_is_saved_and_loaded_with_the_model() {
    let mut model = wired(rules::st3(1.0), 1, &[3.0, -2.0, 1.0], 1);
    model.rewire().unwrap();
    let fresh = wired(rules::st3(1.0), 1, &[0.0, 0.1, 0.2], 1);
    let loaded = fresh.load_record(model.clone().into_record());
    assert_eq!(effective_weights(&loaded), effective_weights(&model));
    assert_eq!(effective_weights(&loaded), [1.0, 0.0, 0.0]);
}

/// Multiplies the weights, as an optimizer could.
struct Grow(f32);

impl ModuleMapper for Grow {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if D != 2 {
            return param;
        }
        param.map(|old| (old * self.0).detach().require_grad())
    }
}

#[test]
fn a_threshold_is_state_too() {
    let mut model = wired(rules::st3(1.0), 1, &[3.0, -2.0, 1.0], 1);
    model.rewire().unwrap();
    let model = model.map(&mut Grow(2.0));
    assert_eq!(
        effective_weights(&model),
        [4.0, 0.0, 0.0],
        "6 less the threshold of the last selection"
    );
    assert!(matches!(model.rule().forward, Forward::SoftThreshold));
}

#[test]
fn a_wiring_keeps_its_edges_with_one_shared_weight_and_with_redrawn_ones() {
    let weights: Vec<f32> = (0..1000).map(|i| (i as f32 - 500.0) / 100.0).collect();
    let mut model = wired(rules::st3(1.0), 400, &weights, 1);
    model.rewire().unwrap();
    let shared = effective_weights(&model.with_weights(Weights::Shared(-1.5)).unwrap());
    assert_eq!(shared.iter().filter(|w| **w == -1.5).count(), 400);
    assert_eq!(shared.iter().filter(|w| **w == 0.0).count(), 600);
    let redrawn = |seed| effective_weights(&model.with_weights(Weights::Redrawn { seed }).unwrap());
    let drawn = redrawn(1);
    assert_eq!(drawn, redrawn(1));
    assert_ne!(drawn, redrawn(2));
    let real: Vec<f32> = drawn.iter().copied().filter(|w| *w != 0.0).collect();
    assert_eq!(real.len(), 400);
    let mean_square =
        |values: &[f32]| values.iter().map(|v| v * v).sum::<f32>() / values.len() as f32;
    let kept: Vec<f32> = weights
        .iter()
        .copied()
        .filter(|w| w.abs() >= 3.0)
        .take(400)
        .collect();
    // 400 squares of normals scatter by sqrt(2 / 400), 7 %.
    assert!((mean_square(&real) / mean_square(&kept) - 1.0).abs() < 0.3);
}

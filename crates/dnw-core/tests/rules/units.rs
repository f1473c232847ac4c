//! Units under rules that exchange edges.

use burn::module::ParamGroup;
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::Tensor;
use dnw_core::{Allocation, Budget, Rule, Unit, Wire, rules};

use super::{device, layer};

/// How many edges the targets keep after exchanges, of eight sources each, and whether edges were exchanged.
fn exchanged(rule: Rule, unit: Unit) -> (Vec<Vec<usize>>, bool) {
    let rule = Rule {
        unit,
        allocation: Allocation::PerTensor,
        ..rule
    };
    let weights: Vec<f32> = (0..24).map(|i| 1.0 + 0.1 * i as f32).collect();
    let wire = Wire::new(rule, Budget::Density(0.5)).weights(ParamGroup::all());
    let mut model = wire.over(10).seed(7).attach(layer(8, &weights)).unwrap();
    let first = model.tensors()[0].wiring.clone();
    for _ in 0..4 {
        let x = Tensor::<2>::random([4, 8], Default::default(), &device());
        let loss = model.forward(x).powi_scalar(2).mean();
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        let gradients = model.prepare(gradients);
        model = SgdConfig::new().init().step(1e-3, model, gradients);
        model.rewire().unwrap();
    }
    let last = model.tensors()[0].wiring.clone();
    // [inputs, outputs], three outputs.
    let of_target = |target| {
        let sources = (0..8usize).filter(|source| last.contains(source * 3 + target));
        sources.collect::<Vec<usize>>()
    };
    ((0..3).map(of_target).collect(), first != last)
}

#[test]
fn an_exchange_keeps_the_number_of_edges_of_each_group() {
    for rule in [rules::set(1, 0.3, 1.0), rules::rigl(1, 0.3, 1.0)] {
        let name = rule.name.clone();
        let (targets, changed) = exchanged(rule.clone(), Unit::FanIn);
        assert!(changed, "{name}");
        assert!(
            targets.iter().all(|sources| sources.len() == 4),
            "{name}: {targets:?}"
        );
        let (targets, changed) = exchanged(rule, Unit::NOfM { keep: 2, of: 4 });
        assert!(changed, "{name}");
        for sources in targets {
            let low = sources.iter().filter(|source| **source < 4).count();
            assert_eq!((low, sources.len()), (2, 4), "{name}: {sources:?}");
        }
    }
}

//! How many edges stay, and where.

use burn::module::ParamGroup;
use burn::nn::LinearConfig;
use dnw_core::{Allocation, Budget, Rule, Unit, Wire, WiringError, rules};

use super::{Two, device, layer, real};

#[test]
fn erdos_renyi_kernel_meets_the_sum_and_keeps_budgets_set_by_name() {
    let rule = Rule {
        allocation: Allocation::ErdosRenyiKernel,
        ..rules::dnw()
    };
    let model = Two {
        a: LinearConfig::new(100, 100).init(&device()),
        b: LinearConfig::new(10, 10).init(&device()),
    };
    let wire = Wire::new(rule, Budget::Density(0.1)).weights(ParamGroup::all());
    let spread = wire.clone().attach(model.clone()).unwrap();
    let counts: Vec<usize> = spread.tensors().iter().map(|t| t.wiring.count()).collect();
    // Densities 200 / 10000 and 20 / 100 of one factor: 0.02 * 10000 : 0.2 * 100 = 10 : 1, so b gets 92 of
    // 1010.
    assert_eq!(counts, [918, 92]);
    let kept = wire
        .budget_for("a.weight", Budget::Density(1.0))
        .attach(model)
        .unwrap();
    let counts: Vec<usize> = kept.tensors().iter().map(|t| t.wiring.count()).collect();
    assert_eq!(counts, [10_000, 10]);
}

#[test]
fn n_of_m_sets_its_own_budget() {
    let rule = Rule {
        unit: Unit::NOfM { keep: 2, of: 4 },
        ..rules::dnw()
    };
    let wire = Wire::new(rule, Budget::Density(0.5)).weights(ParamGroup::all());
    let model = wire
        .clone()
        .attach(layer(4, &[0.1, 0.9, -0.8, 0.2, 0.3, -0.4, 0.7, 0.5]))
        .unwrap();
    // [inputs, outputs]: output 0 has 0.1, -0.8, 0.3, 0.7; output 1 has 0.9, 0.2, -0.4, 0.5.
    assert_eq!(real(&model), [1, 2, 6, 7]);
    let error = wire.attach(layer(3, &[0.1; 6])).unwrap_err();
    assert!(
        matches!(error, WiringError::Unit { sources: 3, .. }),
        "{error}"
    );
}

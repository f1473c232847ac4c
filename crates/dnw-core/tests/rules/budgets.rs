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

/// A layer of 10,000 edges, and one of four, of which a tenth rounds to none.
fn large_and_small() -> Two {
    Two {
        a: LinearConfig::new(100, 100).with_bias(false).init(&device()),
        b: LinearConfig::new(4, 1).with_bias(false).init(&device()),
    }
}

fn counts_by(rule: Rule, budget: Budget) -> Result<Vec<usize>, WiringError> {
    let wire = Wire::new(rule, budget).weights(ParamGroup::all()).over(10);
    let model = wire.attach(large_and_small())?;
    Ok(model.tensors().iter().map(|t| t.wiring.count()).collect())
}

#[test]
fn a_share_that_rounds_to_zero_is_refused_only_where_it_is_used() {
    let budget = Budget::Density(0.1);
    let by = |allocation| Rule {
        allocation,
        ..rules::dnw()
    };
    let error = counts_by(rules::dnw(), budget).unwrap_err();
    assert!(
        matches!(&error, WiringError::Budget { tensor, .. } if tensor == "b.weight"),
        "{error}"
    );
    // A tenth of 10,004 is 1000. Erdős–Rényi-kernel divides it 200 : 5, and 24 are more than b has.
    let spread = counts_by(by(Allocation::ErdosRenyiKernel), budget).unwrap();
    assert_eq!(spread, [996, 4]);
    let global = counts_by(by(Allocation::Global), budget).unwrap();
    assert_eq!(global.iter().sum::<usize>(), 1000);
    assert_eq!(counts_by(rules::complete(), budget).unwrap(), [10_000, 4]);
    let unit = Unit::NOfM { keep: 2, of: 4 };
    let halves = Rule {
        unit,
        ..rules::dnw()
    };
    assert_eq!(counts_by(halves, budget).unwrap(), [5000, 2]);
    assert_eq!(
        counts_by(rules::str_learned(-30.0), Budget::Density(0.00001)).unwrap(),
        [10_000, 4]
    );
}

#[test]
fn a_budget_for_all_is_one_number_of_edges_and_refused_as_one() {
    let spread = |budget| counts_by(rules::static_erk(), budget);
    // Two times 500 edges, of which b can have four.
    assert_eq!(spread(Budget::Edges(500)).unwrap(), [996, 4]);
    for budget in [
        Budget::Density(0.0001),
        Budget::Density(1.5),
        Budget::Density(f64::NAN),
        Budget::Edges(0),
        Budget::Edges(usize::MAX),
        Budget::PruneRate(1.0),
    ] {
        let error = spread(budget).unwrap_err();
        let text = error.to_string();
        assert!(
            matches!(error, WiringError::SharedBudget { tensors: 2, .. }) && text.contains("10004"),
            "{text}"
        );
    }
}

#[test]
fn a_budget_of_its_own_is_refused_where_nothing_looks_at_it() {
    let halves = Rule {
        unit: Unit::NOfM { keep: 2, of: 4 },
        ..rules::dnw()
    };
    for (rule, decides) in [
        (rules::str_learned(-6.0), "the rule `str`"),
        (rules::complete(), "the rule `complete`"),
        (halves, "the unit 2-of-4"),
    ] {
        let wire = Wire::new(rule, Budget::Density(0.5)).weights(ParamGroup::all());
        let with = |budget| {
            let wire = wire.clone().budget_for("a.weight", budget);
            wire.attach(large_and_small())
        };
        let text = with(Budget::Density(0.3)).unwrap_err().to_string();
        assert!(
            text.contains(decides) && text.contains("`a.weight`"),
            "{text}"
        );
        let dense = with(Budget::Density(1.0)).unwrap().tensors();
        assert_eq!(dense[0].wiring.count(), 10_000);
    }
}

//! What each rule is: the fact that defines it, on tensors small enough to see.

#![cfg(feature = "flex")]

use burn::module::{Module, ModuleMapper, Param, ParamGroup};
use burn::nn::{Linear, LinearConfig};
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::{Device, Tensor};
use dnw_core::rules::{self, Settings};
use dnw_core::schedule::Phases;
use dnw_core::{Allocation, Budget, Forward, Rule, Unit, Weights, Wire, Wired, WiringError};

fn device() -> Device {
    Device::flex().autodiff()
}

/// A linear layer without bias, `[inputs, outputs]`, of these weights.
fn layer(inputs: usize, weights: &[f32]) -> Linear {
    let outputs = weights.len() / inputs;
    let mut linear = LinearConfig::new(inputs, outputs)
        .with_bias(false)
        .init(&device());
    let weights = Tensor::<1>::from_floats(weights, &device()).reshape([inputs, outputs]);
    linear.weight = Param::from_tensor(weights);
    linear
}

fn wired(rule: Rule, edges: usize, weights: &[f32], updates: u64) -> Wired<Linear> {
    Wire::new(rule, Budget::Edges(edges))
        .weights(ParamGroup::all())
        .over(updates)
        .seed(3)
        .attach(layer(1, weights))
        .unwrap()
}

fn real<M: Module>(model: &Wired<M>) -> Vec<usize> {
    model.tensors()[0].wiring.iter().collect()
}

fn stored(model: &Wired<Linear>) -> Vec<f32> {
    model.weight.base().to_data().iter().collect()
}

fn given(model: &Wired<Linear>) -> Vec<f32> {
    model.weight.val().to_data().iter().collect()
}

fn given_in_evaluation(model: &Wired<Linear>) -> Vec<f32> {
    model.valid().weight.val().to_data().iter().collect()
}

/// One update of plain gradient descent along a loss whose gradient to the effective weights is `slope`; then the edges are chosen.
fn update(model: Wired<Linear>, slope: &[f32], rate: f64) -> Wired<Linear> {
    let x = Tensor::<2>::ones([1, 1], &device());
    let slope = Tensor::<1>::from_floats(slope, &device()).reshape([1, slope.len()]);
    let loss = (model.forward(x) * slope).sum();
    let gradients = GradientsParams::from_grads(loss.backward(), &model);
    let mut model = model;
    let gradients = model.prepare(gradients);
    let mut model = SgdConfig::new().init().step(rate, model, gradients);
    model.rewire().unwrap();
    model
}

#[test]
fn every_named_rule_is_made_with_its_defaults_and_knows_its_settings() {
    for named in rules::ALL {
        let rule = named.rule(&Settings::default()).unwrap();
        assert_eq!(rule.name, named.name);
        assert!(!named.about.is_empty() && !named.paper.is_empty());
    }
    let settings = Settings {
        turnover: Some(0.2),
        ..Settings::default()
    };
    assert!(rules::by_name("rigl", &settings).is_ok());
    let error = rules::by_name("dnw", &settings).unwrap_err().to_string();
    assert_eq!(error, "the rule `dnw` has no setting `turnover`");
    let settings = Settings {
        turnover: Some(f64::NAN),
        ..settings
    };
    let error = rules::by_name("rigl", &settings).unwrap_err().to_string();
    assert!(
        error.contains("turnover") && error.contains("above 0"),
        "{error}"
    );
}

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

#[test]
fn targeted_dropout_drops_by_chance_while_training_all_in_evaluation_and_keeps_signs() {
    let weights: Vec<f32> = (0..400)
        .map(|i| if i % 2 == 0 { -1.0 } else { 1.0 } * (1.0 + i as f32))
        .collect();
    let mut model = wired(rules::targeted_dropout(0.75, 0.0), 100, &weights, 10);
    let kept = |values: &[f32]| values.iter().filter(|v| **v != 0.0).count();
    let evaluated = given_in_evaluation(&model);
    assert_eq!(kept(&evaluated), 100);
    for (given, weight) in evaluated.iter().zip(&weights) {
        assert!(
            *given == 0.0 || given == weight,
            "{given} is not {weight} with its sign"
        );
    }
    let first = given(&model);
    // Of 300 hallucinated edges about a quarter survive: 75, give or take four standard deviations of 7.5.
    let survivors = kept(&first) - 100;
    assert!((45..=105).contains(&survivors), "{survivors}");
    assert_eq!(
        first[300..],
        weights[300..],
        "the k largest are always there"
    );
    model = update(model, &[1.0; 400], 1e-3);
    assert_ne!(
        given(&model).iter().map(|v| *v != 0.0).collect::<Vec<_>>(),
        first.iter().map(|v| *v != 0.0).collect::<Vec<_>>(),
        "drawn anew"
    );
    // What was dropped in the first step got no gradient, what survived did.
    for (i, (&after, &before)) in stored(&model).iter().zip(&weights).enumerate() {
        assert_eq!(after == before, first[i] == 0.0, "entry {i}");
    }
}

#[test]
fn a_model_that_is_loaded_to_be_evaluated_lets_no_dropped_edge_take_part() {
    let weights: Vec<f32> = (1..=40).map(|i| i as f32).collect();
    let trained = wired(rules::targeted_dropout(0.5, 0.0), 10, &weights, 10);
    assert!(given(&trained).iter().filter(|w| **w != 0.0).count() > 10);
    let plain = Device::flex();
    let linear = LinearConfig::new(1, 40).with_bias(false).init(&plain);
    let wire = Wire::new(rules::targeted_dropout(0.5, 0.0), Budget::Edges(10));
    let fresh = wire
        .weights(ParamGroup::all())
        .over(10)
        .attach(linear)
        .unwrap();
    let loaded = fresh.load_record(trained.clone().into_record());
    let given: Vec<f32> = loaded.weight.val().to_data().iter().collect();
    assert_eq!(given, given_in_evaluation(&trained));
}

#[test]
fn targeted_dropout_per_output_keeps_as_many_edges_into_each_target() {
    let rule = rules::targeted_dropout_per_output(1.0, 0.0);
    let model = Wire::new(rule, Budget::Edges(2))
        .weights(ParamGroup::all())
        .attach(layer(2, &[9.0, 0.1, 8.0, 0.2]))
        .unwrap();
    // [inputs, outputs]: output 0 has 9 and 8, output 1 has 0.1 and 0.2.
    assert_eq!(real(&model), [0, 3]);
}

#[test]
fn a_lottery_ticket_is_the_initial_weights_with_the_largest_of_the_trained() {
    let initial = [0.1, 0.2, 0.3, 0.4];
    let mut model = wired(rules::lottery_ticket(0.5), 2, &initial, 4);
    assert_eq!(real(&model).len(), 4);
    model = update(model, &[-3.0, -2.0, 0.0, 0.0], 0.5);
    assert_eq!(
        (real(&model).len(), stored(&model)),
        (4, vec![1.6, 1.2, 0.3, 0.4])
    );
    model = update(model, &[0.0; 4], 0.5);
    assert_eq!(
        real(&model),
        [0, 1],
        "the largest at the end of the first phase"
    );
    assert_eq!(stored(&model), initial, "everything else is as it began");
    model = update(model, &[0.0, 0.0, 9.0, 9.0], 0.5);
    assert_eq!(
        (real(&model), stored(&model)),
        (vec![0, 1], initial.to_vec())
    );
}

#[test]
fn rewinding_is_told_once_so_that_optimizers_begin_afresh() {
    let mut model = wired(rules::lottery_ticket(0.5), 2, &[0.1, 0.2, 0.3, 0.4], 4);
    let told: Vec<bool> = (0..4).map(|_| model.rewire().unwrap().rewound).collect();
    assert_eq!(told, [false, true, false, false]);
}

#[test]
fn fine_tuning_trains_the_largest_weights_on() {
    let mut model = wired(rules::fine_tune(0.5), 2, &[0.1, 0.2, 0.3, 0.4], 4);
    model = update(model, &[-3.0, -2.0, 0.0, 0.0], 0.5);
    model = update(model, &[0.0; 4], 0.5);
    assert_eq!(
        (real(&model), stored(&model)),
        (vec![0, 1], vec![1.6, 1.2, 0.3, 0.4])
    );
    model = update(model, &[1.0, 0.0, -9.0, -9.0], 0.5);
    assert_eq!(
        (real(&model), stored(&model)),
        (vec![0, 1], vec![1.1, 1.2, 0.3, 0.4])
    );
}

#[test]
fn gradual_pruning_removes_the_smallest_and_they_do_not_learn() {
    let weights: Vec<f32> = (1..=8).map(|i| i as f32).collect();
    let mut model = wired(rules::gradual_pruning(1, 1.0), 2, &weights, 4);
    let mut counts = vec![real(&model).len()];
    for _ in 0..4 {
        model = update(model, &[1.0; 8], 0.01);
        counts.push(real(&model).len());
    }
    // k + (n - k) (1 - t)^3 with n = 8, k = 2: 6 (27/64) = 2.53, 6/8 = 0.75, 6/64 = 0.09.
    assert_eq!(counts, [8, 5, 3, 2, 2]);
    assert_eq!(real(&model), [6, 7]);
    assert_eq!(stored(&model)[0], 0.99, "it learned until it left");
}

/// The edges after an exchange of half of four real ones, with the wiring before it.
fn exchange(rule: Rule, weights: &[f32], slope: &[f32]) -> (Wired<Linear>, Vec<usize>) {
    let model = wired(rule, 4, weights, 10);
    let before = real(&model);
    (update(model, slope, 1e-4), before)
}

#[test]
fn set_replaces_the_weakest_by_chance_and_newborn_edges_begin_at_zero() {
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
        "it begins at zero, and learned nothing before"
    );
}

#[test]
fn rigl_without_gradients_is_an_error_that_says_what_to_do() {
    let mut model = wired(rules::rigl(1, 0.5, 1.0), 2, &[1.0, 2.0, 3.0], 10);
    let error = model.rewire().unwrap_err();
    assert!(matches!(error, WiringError::GradientsUnseen { .. }));
    assert!(error.to_string().contains("prepare"), "{error}");
}

#[derive(Module, Debug)]
struct Two {
    a: Linear,
    b: Linear,
}

fn two(
    rule: Rule,
    budget: Budget,
    a: &[f32],
    b: &[f32],
    updates: u64,
) -> Result<Wired<Two>, WiringError> {
    let model = Two {
        a: layer(1, a),
        b: layer(1, b),
    };
    Wire::new(rule, budget)
        .weights(ParamGroup::all())
        .over(updates)
        .attach(model)
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

#[test]
fn st_3_gives_the_weight_less_the_threshold_of_the_whole_model() {
    let rule = rules::st3(1.0);
    let mut model = two(rule, Budget::Edges(1), &[5.0, -3.0], &[0.5, -4.0], 1).unwrap();
    let effective = |layer: &Linear| {
        layer
            .weight
            .val()
            .to_data()
            .iter::<f32>()
            .collect::<Vec<f32>>()
    };
    assert_eq!(
        effective(&model.a),
        [5.0, -3.0],
        "at first every edge is real and gives its weight"
    );
    model.rewire().unwrap();
    // Two of four edges stay: 5 and -4; the strongest of the others, -3, is the threshold of both tensors.
    assert_eq!(
        (effective(&model.a), effective(&model.b)),
        (vec![2.0, 0.0], vec![0.0, -1.0])
    );
    let x = Tensor::<2>::ones([1, 1], &device());
    let grads = model.a.forward(x).sum().backward();
    let gradient = model.a.weight.base().grad(&grads).unwrap();
    assert_eq!(
        gradient.to_data().iter::<f32>().collect::<Vec<_>>(),
        [1.0, 1.0],
        "straight through, to all edges"
    );
    assert_eq!(effective(&model.valid().a), [2.0, 0.0], "evaluation too");
}

#[test]
fn normalised_st_3_lets_tensors_of_different_scale_compete_as_equals() {
    let counts = |rule| {
        let mut model = two(
            rule,
            Budget::Edges(2),
            &[100.0, -200.0, 300.0, -400.0],
            &[0.1, -0.2, 0.3, -0.4],
            1,
        )
        .unwrap();
        model.rewire().unwrap();
        let weakest: Vec<f32> = model.b.weight.val().to_data().iter().collect();
        (
            model
                .tensors()
                .iter()
                .map(|t| t.wiring.count())
                .collect::<Vec<_>>(),
            weakest,
        )
    };
    assert_eq!(counts(rules::st3(1.0)).0, [4, 0]);
    let (even, effective) = counts(rules::st3_normalised(1.0));
    assert_eq!(even, [2, 2]);
    // The threshold is in units of each tensor's own deviation: here 0.2, the strongest that is not real.
    assert!(
        (effective[2] - 0.1).abs() < 1e-6 && (effective[3] + 0.2).abs() < 1e-6,
        "{effective:?}"
    );
}

#[test]
fn feather_lies_between_soft_and_hard_and_slows_hallucinated_edges() {
    let mut model = wired(rules::feather(1.0, 3.0, 0.5), 2, &[3.0, -2.0, 1.0], 1);
    model.rewire().unwrap();
    let effective = given(&model);
    // (27 - 1)^(1/3) and -(8 - 1)^(1/3), by hand.
    assert!(
        (effective[0] - 2.962_496).abs() < 1e-4 && (effective[1] + 1.912_931).abs() < 1e-4,
        "{effective:?}"
    );
    assert_eq!(effective[2], 0.0);
    let x = Tensor::<2>::ones([1, 1], &device());
    let grads = model.forward(x).sum().backward();
    let gradient = model.weight.base().grad(&grads).unwrap();
    assert_eq!(
        gradient.to_data().iter::<f32>().collect::<Vec<_>>(),
        [1.0, 1.0, 0.5]
    );
}

#[test]
fn ac_dc_is_dense_in_a_dense_phase_and_begins_it_at_zero() {
    let phases = Phases {
        warm_up: 0.2,
        length: 0.2,
        end: 0.8,
    };
    let mut model = wired(rules::ac_dc(phases), 1, &[0.5, 0.9, -0.2], 10);
    let mut counts = vec![real(&model).len()];
    let mut reborn = Vec::new();
    for _ in 0..10 {
        model = update(model, &[0.01; 3], 1.0);
        counts.push(real(&model).len());
        reborn.push(stored(&model)[0]);
    }
    // Dense, sparse from 2, dense from 4, sparse from 6 on (a dense phase at 8 would not end before the end).
    assert_eq!(counts, [3, 3, 1, 1, 3, 3, 1, 1, 1, 1, 1]);
    assert_eq!(reborn[3], 0.0, "what was pruned comes back with nothing");
}

#[test]
fn str_learns_its_threshold_and_the_count_follows() {
    let weights = [0.9, -0.6, 0.3, 0.05];
    let mut model = wired(rules::str_learned(-2.0), 1, &weights, 10);
    // sigmoid(-2) = 0.1192: three weights pass, whatever the budget.
    assert_eq!(real(&model), [0, 1, 2]);
    let effective = given(&model);
    assert!(
        (effective[1] + 0.6 - 0.119_203).abs() < 1e-5,
        "{effective:?}"
    );
    // A loss that falls when positive weights fall raises the threshold's gain: dL/ds = -sigmoid'(s) sum of sign(w) over real edges.
    for _ in 0..60 {
        model = update(model, &[1.0, -1.0, 1.0, 0.0], 0.02);
    }
    assert!(real(&model).len() < 3, "{:?}", stored(&model));
    let others = model.other_parameters();
    assert_eq!(others, 0);
}

#[test]
fn the_learned_threshold_has_the_gradient_of_finite_differences() {
    let loss = |start: f32| {
        let model = wired(rules::str_learned(start), 1, &[0.9, -0.6, 0.3, 0.05], 1);
        let x = Tensor::<2>::ones([1, 1], &device());
        let slope = Tensor::<2>::from_floats([[0.7, 0.2, -1.3, 5.0]], &device());
        ((model.forward(x) * slope).sum(), model)
    };
    let value = |start: f32| loss(start).0.into_scalar::<f32>();
    let numeric = (value(-2.0 + 1e-2) - value(-2.0 - 1e-2)) / 2e-2;
    let (found, model) = loss(-2.0);
    let grads = found.backward();
    struct Law<'a>(&'a burn::tensor::Gradients, Option<f32>);
    impl burn::module::ModuleVisitor for Law<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if D == 1 && param.base().shape().num_elements() == 4 {
                let gradient = param.base().grad(self.0);
                self.1 = gradient.map(|g| g.to_data().iter::<f32>().next().unwrap());
            }
        }
    }
    let mut law = Law(&grads, None);
    model.visit(&mut law);
    let analytic = law.1.expect("the threshold learns");
    assert!((analytic - numeric).abs() < 1e-3, "{analytic} {numeric}");
}

#[test]
fn erdos_renyi_kernel_meets_the_sum_and_leaves_given_budgets_alone() {
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
    // Densities 200 / 10000 and 20 / 100 of one factor: 0.02 * 10000 : 0.2 * 100 = 10 : 1, and b has room for 92 of 1010.
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

#[test]
fn what_a_rule_left_in_a_model_is_saved_and_loaded_with_it() {
    let mut model = wired(rules::st3(1.0), 1, &[3.0, -2.0, 1.0], 1);
    model.rewire().unwrap();
    let fresh = wired(rules::st3(1.0), 1, &[0.0, 0.1, 0.2], 1);
    let loaded = fresh.load_record(model.clone().into_record());
    assert_eq!(given(&loaded), given(&model));
    assert_eq!(given(&loaded), [1.0, 0.0, 0.0]);
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
        given(&model),
        [4.0, 0.0, 0.0],
        "6 less the threshold of the last choice"
    );
    assert!(matches!(model.rule().forward, Forward::SoftThreshold));
}

#[test]
fn a_wiring_keeps_its_edges_with_one_shared_weight_and_with_redrawn_ones() {
    let weights: Vec<f32> = (0..1000).map(|i| (i as f32 - 500.0) / 100.0).collect();
    let mut model = wired(rules::st3(1.0), 400, &weights, 1);
    model.rewire().unwrap();
    let shared = given(&model.with_weights(Weights::Shared(-1.5)).unwrap());
    assert_eq!(shared.iter().filter(|w| **w == -1.5).count(), 400);
    assert_eq!(shared.iter().filter(|w| **w == 0.0).count(), 600);
    let redrawn = |seed| given(&model.with_weights(Weights::Redrawn { seed }).unwrap());
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

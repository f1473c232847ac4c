//! What a real edge contributes: dropout and thresholds.

use burn::module::{Module, Param, ParamGroup};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};
use dnw_core::{Budget, Wire, rules};

use super::{
    device, effective_weights, effective_weights_in_evaluation, layer, real, stored, two, update,
    wired,
};

#[test]
fn targeted_dropout_drops_some_in_training_and_all_in_evaluation_and_keeps_signs() {
    let weights: Vec<f32> = (0..400)
        .map(|i| if i % 2 == 0 { -1.0 } else { 1.0 } * (1.0 + i as f32))
        .collect();
    let mut model = wired(rules::targeted_dropout(0.75, 0.0), 100, &weights, 10);
    let kept = |values: &[f32]| values.iter().filter(|v| **v != 0.0).count();
    let evaluated = effective_weights_in_evaluation(&model);
    assert_eq!(kept(&evaluated), 100);
    for (found, weight) in evaluated.iter().zip(&weights) {
        assert!(
            *found == 0.0 || found == weight,
            "{found} is not {weight} with its sign"
        );
    }
    let first = effective_weights(&model);
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
        effective_weights(&model)
            .iter()
            .map(|v| *v != 0.0)
            .collect::<Vec<_>>(),
        first.iter().map(|v| *v != 0.0).collect::<Vec<_>>(),
        "drawn anew"
    );
    // What was dropped in the first step got no gradient, what survived did.
    for (i, (&after, &before)) in stored(&model).iter().zip(&weights).enumerate() {
        assert_eq!(after == before, first[i] == 0.0, "entry {i}");
    }
}

#[test]
fn a_model_loaded_for_evaluation_drops_all_hallucinated_edges() {
    let weights: Vec<f32> = (1..=40).map(|i| i as f32).collect();
    let trained = wired(rules::targeted_dropout(0.5, 0.0), 10, &weights, 10);
    assert!(
        effective_weights(&trained)
            .iter()
            .filter(|w| **w != 0.0)
            .count()
            > 10
    );
    let plain = Device::flex();
    let linear = LinearConfig::new(1, 40).with_bias(false).init(&plain);
    let wire = Wire::new(rules::targeted_dropout(0.5, 0.0), Budget::Edges(10));
    let fresh = wire
        .weights(ParamGroup::all())
        .over(10)
        .attach(linear)
        .unwrap();
    let loaded = fresh.load_record(trained.clone().into_record());
    let loaded: Vec<f32> = loaded.weight.val().to_data().iter().collect();
    assert_eq!(loaded, effective_weights_in_evaluation(&trained));
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
fn st_3_subtracts_the_threshold_of_the_whole_model() {
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
        "at first every edge is real and contributes its weight"
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
fn normalised_st_3_lets_tensors_of_different_scale_compete_equally() {
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
    let effective = effective_weights(&model);
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
fn str_learns_its_threshold_and_the_count_follows() {
    let weights = [0.9, -0.6, 0.3, 0.05];
    let mut model = wired(rules::str_learned(-2.0), 1, &weights, 10);
    // sigmoid(-2) = 0.1192: three weights pass, whatever the budget.
    assert_eq!(real(&model), [0, 1, 2]);
    let effective = effective_weights(&model);
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
    struct ThresholdGradient<'a>(&'a burn::tensor::Gradients, Option<f32>);
    impl burn::module::ModuleVisitor for ThresholdGradient<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if D == 1 && param.base().shape().num_elements() == 4 {
                let gradient = param.base().grad(self.0);
                self.1 = gradient.map(|g| g.to_data().iter::<f32>().next().unwrap());
            }
        }
    }
    let mut found = ThresholdGradient(&grads, None);
    model.visit(&mut found);
    let analytic = found.1.expect("the threshold learns");
    assert!((analytic - numeric).abs() < 1e-3, "{analytic} {numeric}");
}

#[test]
fn a_model_that_was_unfrozen_keeps_its_threshold() {
    let weights = [0.5, -2.0, 3.0, 1.0];
    let x = Tensor::<2>::ones([1, 1], &device());
    for rule in [rules::st3(1.0), rules::str_learned(0.4)] {
        let name = rule.name.clone();
        let wire = Wire::new(rule, Budget::Edges(2)).weights(ParamGroup::all());
        let mut model = wire.over(1).attach(layer(1, &weights)).unwrap();
        model.rewire().unwrap();
        let output = |model: &Linear| -> Vec<f32> {
            let y = dnw_core::layers::apply(model, x.clone());
            y.to_data().iter().collect()
        };
        let before = output(&model);
        assert_eq!(before, effective_weights(&model), "{name}");
        assert_ne!(before, stored(&model), "{name}");
        model.change_model(|layer| layer.freeze().unfreeze());
        assert_eq!(output(&model), before, "{name}");
    }
}

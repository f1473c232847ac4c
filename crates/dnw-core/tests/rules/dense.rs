//! Tensors that keep all their edges beside others that do not.

use burn::module::{Module, ParamGroup};
use burn::nn::Linear;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::Tensor;
use dnw_core::{Budget, Rule, Unit, Wire, Wired, rules};

use super::{Two, device, layer};

#[derive(Module, Debug)]
struct Convolutions {
    first: Conv2d,
    second: Conv2d,
}

/// The first layer has three input channels, which do not divide into groups of four.
fn convolutions() -> Convolutions {
    Convolutions {
        first: Conv2dConfig::new([3, 8], [3, 3]).init(&device()),
        second: Conv2dConfig::new([8, 8], [3, 3]).init(&device()),
    }
}

fn trained(mut model: Wired<Convolutions>, updates: u64) -> Wired<Convolutions> {
    let mut optimizer = SgdConfig::new().init();
    for _ in 0..updates {
        let x = Tensor::<4>::random([1, 3, 5, 5], Default::default(), &device());
        let y = model.second.forward(model.first.forward(x));
        let gradients = GradientsParams::from_grads(y.powi_scalar(2).mean().backward(), &model);
        let gradients = model.prepare(gradients);
        model = optimizer.step(0.01, model, gradients);
        model.rewire().unwrap();
    }
    model
}

#[test]
fn a_dense_layer_is_not_divided_into_units() {
    let unit = Unit::NOfM { keep: 2, of: 4 };
    let all = [
        rules::dnw(),
        rules::set(1, 0.5, 1.0),
        rules::sparse_momentum(1, 0.5, 1.0),
        rules::ac_dc(dnw_core::schedule::Phases {
            warm_up: 0.1,
            length: 0.1,
            end: 0.5,
        }),
    ];
    for rule in all {
        let name = rule.name.clone();
        let wire = Wire::new(Rule { unit, ..rule }, Budget::Density(0.5))
            .weights(ParamGroup::all())
            .over(4);
        let error = wire.clone().attach(convolutions()).unwrap_err().to_string();
        assert!(error.contains("first.weight") && error.contains("density 1.0"));
        let model = wire
            .budget_for("first.weight", Budget::Density(1.0))
            .attach(convolutions())
            .unwrap();
        let model = trained(model, 4);
        let [first, second] = model.tensors().try_into().unwrap();
        assert_eq!(first.wiring.count(), 8 * 3 * 9, "{name}");
        // [targets, sources, kernel]: of sources 0 to 3 and 4 to 7 of each target and position, two each.
        for target in 0..8 {
            for (group, position) in [0, 1].into_iter().flat_map(|g| (0..9).map(move |p| (g, p))) {
                let sources = 4 * group..4 * group + 4;
                let real = sources
                    .filter(|source| second.wiring.contains((target * 8 + source) * 9 + position));
                assert_eq!(real.count(), 2, "{name}: {target} {group} {position}");
            }
        }
    }
}

/// Two layers of one input under a rule for the whole model, of which the first is to stay dense.
fn first_dense(rule: Rule, budget: Budget, updates: u64) -> Wired<Two> {
    let model = Two {
        a: layer(1, &[0.1, 0.2, -0.3, 0.4]),
        b: layer(1, &[5.0, 6.0, -7.0, 8.0, 9.0, 10.0, 11.0, 12.0]),
    };
    let wire = Wire::new(rule, budget).weights(ParamGroup::all());
    let mut model = wire
        .budget_for("a.weight", Budget::Density(1.0))
        .over(updates)
        .attach(model)
        .unwrap();
    for _ in 0..updates {
        let outputs = |layer: &Linear| layer.forward(Tensor::<2>::ones([1, 1], &device()));
        let loss = outputs(&model.a).sum() + outputs(&model.b).sum();
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        let gradients = model.prepare(gradients);
        model = SgdConfig::new().init().step(1e-6, model, gradients);
        model.rewire().unwrap();
    }
    model
}

#[test]
fn a_dense_layer_stays_dense_where_all_compete() {
    let effective = |layer: &Linear| -> Vec<f32> { layer.weight.val().to_data().iter().collect() };
    let stored = |layer: &Linear| -> Vec<f32> { layer.weight.base().to_data().iter().collect() };
    for rule in [
        rules::st3(1.0),
        rules::feather(1.0, 3.0, 0.5),
        rules::str_learned(2.0),
        rules::sparse_momentum(1, 0.5, 1.0),
    ] {
        let name = rule.name.clone();
        let is_str = name == "str";
        let model = first_dense(rule, Budget::Density(0.25), 3);
        let [a, b] = model.tensors().try_into().unwrap();
        assert_eq!(a.wiring.count(), 4, "{name}");
        assert_eq!(
            effective(&model.a),
            stored(&model.a),
            "{name}: no threshold"
        );
        // A quarter of the eight; with a threshold of sigmoid(2), 0.88, all of them.
        assert_eq!(b.wiring.count(), if is_str { 8 } else { 2 }, "{name}");
    }
}

#[test]
fn a_budget_of_everything_keeps_nothing_dense_where_it_is_not_used() {
    let weights = [0.1, -0.4, 0.6, 0.9];
    for density in [0.25, 1.0] {
        let wire = Wire::new(rules::str_learned(0.0), Budget::Density(density));
        let model = wire.weights(ParamGroup::all()).attach(layer(1, &weights));
        // The threshold is sigmoid(0), a half.
        let real = &model.unwrap().tensors()[0].wiring;
        assert_eq!(real.iter().collect::<Vec<_>>(), [2, 3], "{density}");
    }
}

//! When edges are selected again, and how many stay.

use burn::module::{Module, ParamGroup};
use burn::nn::{BatchNorm, BatchNormConfig, Linear};
use burn::tensor::Tensor;
use dnw_core::schedule::Phases;
use dnw_core::{Budget, Wire, Wired, rules};

use super::{device, layer, real, stored, update, wired};

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

#[derive(Module, Debug)]
struct Normed {
    linear: Linear,
    norm: BatchNorm,
}

#[test]
fn a_lottery_ticket_begins_again_with_the_first_running_averages_too() {
    let model = Normed {
        linear: layer(1, &[1.0, 2.0, 3.0, 4.0]),
        norm: BatchNormConfig::new(4).init(&device()),
    };
    let wire = Wire::new(rules::lottery_ticket(0.5), Budget::Edges(2)).over(2);
    let weights = ParamGroup::from_predicate("weight");
    let mut model = wire.weights(weights).attach(model).unwrap();
    let x = Tensor::<2>::from_floats([[1.0], [3.0]], &device());
    let _ = model.norm.forward(model.linear.forward(x));
    let mean = |model: &Wired<Normed>| -> Vec<f32> {
        model
            .norm
            .running_mean
            .value_sync()
            .to_data()
            .iter()
            .collect()
    };
    assert!(mean(&model).iter().all(|mean| *mean > 0.1));
    assert!(model.rewire().unwrap().rewound);
    assert_eq!(mean(&model), [0.0; 4]);
    assert!(model.linear.weight.is_require_grad());
}

#[test]
fn rewinding_is_reported_once() {
    let mut model = wired(rules::lottery_ticket(0.5), 2, &[0.1, 0.2, 0.3, 0.4], 4);
    let rewound: Vec<bool> = (0..4).map(|_| model.rewire().unwrap().rewound).collect();
    assert_eq!(rewound, [false, true, false, false]);
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
    assert_eq!(stored(&model)[0], 0.99, "it learned until it was pruned");
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
    let mut restarted = Vec::new();
    for _ in 0..10 {
        model = update(model, &[0.01; 3], 1.0);
        counts.push(real(&model).len());
        restarted.push(stored(&model)[0]);
    }
    // Dense, sparse from 2, dense from 4, sparse from 6 on (a dense phase at 8 would not end before the end).
    assert_eq!(counts, [3, 3, 1, 1, 3, 3, 1, 1, 1, 1, 1]);
    assert_eq!(restarted[3], 0.0, "a pruned weight restarts at zero");
}

//! Sparse ResNet-50.

use burn::tensor::Device;
use dnw_core::{Budget, ParamGroup, Wire, Wired};
use dnw_models::{ModelConfig, Published, ResNet, ResNetConfig, ResNetStem};

use crate::record::Record;
use crate::run::{End, Run};

/// The recorded widths.
const CONFIG: ResNetConfig = ResNetConfig {
    depth: 50,
    width: 8,
    stem: ResNetStem::Large,
};

/// Trains along a record with these budgets of the first convolution and of every other weight.
fn follow(record: &Record, first: Budget, other: Budget) -> End {
    let wire = |model: ResNet| -> Wired<ResNet> {
        let weights = ParamGroup::all();
        let wire = Wire::dnw(other).weights(weights);
        wire.budget_for("conv1.weight", first)
            .attach(model)
            .unwrap()
    };
    let make = |device: &Device| CONFIG.init([3, 64, 64], 10, device).unwrap();
    let budget = |name: &str| if name == "conv1.weight" { first } else { other };
    let run = Run {
        record,
        published: Published::of(&ModelConfig::Resnet(CONFIG)),
        make: &make,
        wire: &wire,
        budget: &budget,
        learning_rate: 0.005,
        tolerance: (1e-4, 1e-3),
    };
    run.follow(0.0)
}

#[test]
fn every_weight_wired_follows_the_recorded_run() {
    let Some(record) = Record::open("resnet50_dnw") else {
        return;
    };
    let rate = Budget::PruneRate(0.9);
    let end = follow(&record, rate, rate);
    assert!(end.distance <= 1.0 && end.same_edges, "{end:?}");
}

#[test]
fn all_but_the_first_convolution_wired_follows_the_recorded_run() {
    let Some(record) = Record::open("resnet50_dnw_dense_first") else {
        return;
    };
    let end = follow(&record, Budget::PruneRate(0.0), Budget::PruneRate(0.7));
    assert!(end.distance <= 1.0 && end.same_edges, "{end:?}");
}

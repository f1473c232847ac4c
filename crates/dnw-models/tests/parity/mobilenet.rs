//! MobileNetV1 as graphs.

use burn::tensor::Device;
use dnw_core::{Budget, Ranking, Wire, Wired};
use dnw_models::{Head, MobileNet, MobileNetConfig, ModelConfig, Published, StageConfig};

use crate::record::Record;
use crate::run::{ALLOWED, Run};

/// The recorded widths.
fn config(head: Head) -> MobileNetConfig {
    let stages = [(12, 1, 1), (16, 2, 2), (24, 2, 2), (32, 2, 6), (40, 2, 2)];
    MobileNetConfig {
        first: 8,
        stages: stages
            .map(|(nodes, stride, levels)| StageConfig {
                nodes,
                stride,
                levels,
            })
            .to_vec(),
        head,
    }
}

/// A run on images of `side` pixels agrees with its record.
fn assert_agrees(record: &Record, config: &MobileNetConfig, side: usize, prune_rate: f64) {
    let budgets = config.budgets(prune_rate, 10).unwrap();
    let wire = |model: MobileNet| -> Wired<MobileNet> {
        let wire = Wire::dnw(Budget::Density(1.0)).ranking(Ranking::AllEntries);
        let wire = budgets.iter().fold(wire, |wire, (name, budget)| {
            wire.budget_for(name.clone(), *budget)
        });
        wire.attach(model).unwrap()
    };
    let make = |device: &Device| config.init([3, side, side], 10, device).unwrap();
    let budget = |name: &str| budgets.iter().find(|(known, _)| known == name).unwrap().1;
    let run = Run {
        record,
        published: Published::of(&ModelConfig::Mobilenet(config.clone())),
        make: Box::new(make),
        wire: &wire,
        budget: &budget,
        learning_rate: 0.1,
        allowed: ALLOWED,
    };
    run.assert_agrees();
}

#[test]
fn chained_graphs_follow_the_recorded_run() {
    let record = Record::open("mobilenet_dnw").expect("in the repository");
    assert_agrees(&record, &config(Head::Dense), 32, 0.5);
}

#[test]
fn chained_graphs_with_a_wired_head_and_a_stride_before_them_follow_the_recorded_run() {
    let Some(record) = Record::open("mobilenet_dnw_small_strided") else {
        return;
    };
    assert_agrees(&record, &config(Head::Wired), 96, 0.4);
}

//! MobileNetV1 as graphs.

use burn::tensor::Device;
use dnw_core::{Budget, Ranking, Wire, Wired};
use dnw_models::{Head, MobileNet, MobileNetConfig, ModelConfig, Published, StageConfig};

use super::record::Record;
use super::run::Run;
use crate::TestDevice;
use crate::case::{Case, Outcome};
use crate::tolerance::RECORDS;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("parity::mobilenet", |target| {
            let record = Record::open("mobilenet_dnw")?;
            check(target, &record, &config(Head::Dense), 32, 0.5)
        }),
        Case::new("parity::mobilenet_strided_with_a_wired_head", |target| {
            let record = Record::open("mobilenet_dnw_small_strided")?;
            check(target, &record, &config(Head::Wired), 96, 0.4)
        }),
    ]
}

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

/// Checks that a run on images of `side` pixels agrees with its record.
fn check(
    target: &TestDevice,
    record: &Record,
    config: &MobileNetConfig,
    side: usize,
    prune_rate: f64,
) -> Outcome {
    let budgets = config.budgets(prune_rate, 10)?;
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
        tolerance: RECORDS,
    };
    run.check(target)
}

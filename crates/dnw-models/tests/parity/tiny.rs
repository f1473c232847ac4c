//! The tiny classifiers.

use burn::tensor::Device;
use dnw_core::{Budget, Ranking, Wire, Wired, rules};
use dnw_models::{
    Classifier, ModelConfig, Published, TinyCyclic, TinyDiscreteConfig, TinyStatic,
    TinyStaticConfig,
};

use crate::record::Record;
use crate::run::{ALLOWED, Run};

const BUDGET: Budget = Budget::PruneRate(0.95);

fn discovered<M: Classifier>(model: M) -> Wired<M> {
    let wire = Wire::dnw(BUDGET).ranking(Ranking::AllEntries);
    wire.attach(model).unwrap()
}

fn drawn<M: Classifier>(model: M) -> Wired<M> {
    let wire = Wire::new(rules::random(), BUDGET).ranking(Ranking::AllEntries);
    wire.attach(model).unwrap()
}

fn run<'a, M: Classifier>(
    record: &'a Record,
    config: &ModelConfig,
    make: &'a dyn Fn(&Device) -> M,
    wire: &'a dyn Fn(M) -> Wired<M>,
) -> Run<'a, M> {
    Run {
        record,
        published: Published::of(config),
        make,
        wire,
        budget: &|_| BUDGET,
        learning_rate: 0.1,
        allowed: ALLOWED,
    }
}

const STATIC: TinyStaticConfig = TinyStaticConfig {
    stem: 8,
    level: 24,
    levels: 4,
    outputs: 16,
};

fn make_static(device: &Device) -> TinyStatic {
    STATIC.init([3, 32, 32], 10, device).unwrap()
}

#[test]
fn a_wiring_discovered_level_by_level_follows_the_recorded_run() {
    let record = Record::open("tiny_static_dnw").expect("in the repository");
    let config = ModelConfig::TinyStatic(STATIC);
    run(&record, &config, &make_static, &discovered).assert_agrees();
}

#[test]
fn a_random_wiring_follows_the_recorded_run() {
    let record = Record::open("tiny_static_random").expect("in the repository");
    let config = ModelConfig::TinyStatic(STATIC);
    run(&record, &config, &make_static, &drawn).assert_agrees();
}

const DISCRETE: TinyDiscreteConfig = TinyDiscreteConfig {
    stem: 8,
    nodes: 104,
    outputs: 16,
    steps: 5,
};

#[test]
fn a_wiring_discovered_in_discrete_time_follows_the_recorded_run() {
    let record = Record::open("tiny_discrete_dnw").expect("in the repository");
    let make = |device: &Device| -> TinyCyclic { DISCRETE.init([3, 32, 32], 10, device).unwrap() };
    let config = ModelConfig::TinyDiscrete(DISCRETE);
    run(&record, &config, &make, &discovered).assert_agrees();
}

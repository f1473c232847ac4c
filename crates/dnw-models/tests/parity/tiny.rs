//! The tiny classifiers.

use burn::tensor::Device;
use dnw_core::{Budget, Ranking, Wire, Wired, rules};
use dnw_models::{
    Classifier, ModelConfig, Published, TinyCyclic, TinyDiscreteConfig, TinyStatic,
    TinyStaticConfig,
};

use crate::record::Record;
use crate::run::Run;

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
        tolerance: (1e-4, 1e-3),
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

/// After the third step two edges lie so close to the threshold that the last bit of a float decides between them, and the two
/// programs round differently: nudging the images by a few parts in ten million leads now to one choice, now to
/// the other, with logits 0.01 apart three steps later. So the losses must agree for every nudge, and for one of
/// them everything must: the logits after the last step, and the wiring.
#[test]
fn a_wiring_discovered_level_by_level_follows_the_recorded_run() {
    let record = Record::open("tiny_static_dnw").expect("in the repository");
    let config = ModelConfig::TinyStatic(STATIC);
    let run = run(&record, &config, &make_static, &discovered);
    let ends: Vec<_> = (-6i8..=6)
        .map(|ulps| run.follow(f32::from(ulps) * f32::EPSILON))
        .collect();
    assert!(
        ends.iter().any(|end| end.distance <= 1.0 && end.same_edges),
        "{ends:?}"
    );
    let near = ends.iter().filter(|end| end.distance <= 1.0);
    assert!(
        near.clone().all(|end| end.same_edges),
        "the same logits from other edges: {ends:?}"
    );
}

#[test]
fn a_random_wiring_follows_the_recorded_run() {
    let record = Record::open("tiny_static_random").expect("in the repository");
    let config = ModelConfig::TinyStatic(STATIC);
    let end = run(&record, &config, &make_static, &drawn).follow(0.0);
    assert!(end.distance <= 1.0, "{end:?}");
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
    let end = run(&record, &config, &make, &discovered).follow(0.0);
    assert!(end.distance <= 1.0 && end.same_edges, "{end:?}");
}

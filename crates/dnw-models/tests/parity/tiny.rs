//! The tiny classifiers.

use burn::tensor::Device;
use dnw_core::{Budget, Ranking, Wire, Wired, rules};
use dnw_models::{
    Classifier, GradientName, ModelConfig, Published, TinyContinuousConfig, TinyCyclic,
    TinyDiscreteConfig, TinyStatic, TinyStaticConfig,
};

use crate::record::Record;
use crate::run::{ALLOWED, Allowed, Run};

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
    make: Box<dyn Fn(&Device) -> M + 'a>,
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
    run(&record, &config, Box::new(make_static), &discovered).assert_agrees();
}

#[test]
fn a_random_wiring_follows_the_recorded_run() {
    let record = Record::open("tiny_static_random").expect("in the repository");
    let config = ModelConfig::TinyStatic(STATIC);
    run(&record, &config, Box::new(make_static), &drawn).assert_agrees();
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
    run(&record, &config, Box::new(make), &discovered).assert_agrees();
}

/// The recorded program passes gradients on through the length of the solver's first step, which are of the size of its tolerance
/// (torchdiffeq does so when it finds that length itself). Ours takes every length for a constant, so up to the losses,
/// all may lie ten times further apart, and six updates later other edges are real.
#[test]
fn a_wiring_discovered_in_continuous_time_has_the_recorded_losses() {
    let record = Record::open("tiny_continuous_dnw").expect("in the repository");
    let mut run = continuous(&record, GradientName::Through);
    run.allowed = Allowed {
        absolute: 1e-3,
        relative: 1e-2,
        of_largest: 0.0,
    };
    let report = run.follow(|images| images);
    assert!(report.starts_alike(), "{report:?}");
    assert!(
        report.has_losses(0..report.losses.len(), 1e-3),
        "{report:?}"
    );
}

#[test]
fn a_wiring_discovered_in_continuous_time_follows_the_run_recorded_with_a_constant_first_step() {
    let record = Record::open("tiny_continuous_dnw").expect("in the repository");
    let record = record.anew("constant_first_step");
    for gradient in [GradientName::Through, GradientName::Checkpointed] {
        continuous(&record, gradient).assert_agrees();
    }
}

fn continuous(record: &Record, gradient: GradientName) -> Run<'_, TinyCyclic> {
    let config = TinyContinuousConfig {
        stem: 8,
        nodes: 104,
        outputs: 16,
        gradient,
        ..TinyContinuousConfig::default()
    };
    let published = ModelConfig::TinyContinuous(config.clone());
    let make = move |device: &Device| config.init([3, 32, 32], 10, device).unwrap();
    run(record, &published, Box::new(make), &discovered)
}

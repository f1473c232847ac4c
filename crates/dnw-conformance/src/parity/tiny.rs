//! The tiny classifiers.

use burn::tensor::Device;
use dnw_core::{Budget, Ranking, Wire, Wired, rules};
use dnw_models::{
    Classifier, GradientName, ModelConfig, Published, TinyContinuousConfig, TinyCyclic,
    TinyDiscreteConfig, TinyStatic, TinyStaticConfig,
};

use super::record::Record;
use super::run::Run;
use crate::UnderTest;
use crate::case::{Case, Verdict};
use crate::tolerance::{Allowed, RECORDS};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("parity::tiny_static", discovered_level_by_level),
        Case::new("parity::tiny_static_at_random", drawn_at_random),
        Case::new("parity::tiny_discrete", discovered_in_discrete_time),
        Case::new("parity::tiny_continuous", discovered_in_continuous_time),
        Case::new(
            "parity::tiny_continuous_with_a_constant_first_step::through",
            |under| with_a_constant_first_step(under, GradientName::Through),
        ),
        Case::new(
            "parity::tiny_continuous_with_a_constant_first_step::checkpointed",
            |under| with_a_constant_first_step(under, GradientName::Checkpointed),
        ),
    ]
}

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
        allowed: RECORDS,
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

fn discovered_level_by_level(under: &UnderTest) -> Verdict {
    let record = Record::open("tiny_static_dnw")?;
    let config = ModelConfig::TinyStatic(STATIC);
    run(&record, &config, Box::new(make_static), &discovered).check(under)
}

fn drawn_at_random(under: &UnderTest) -> Verdict {
    let record = Record::open("tiny_static_random")?;
    let config = ModelConfig::TinyStatic(STATIC);
    run(&record, &config, Box::new(make_static), &drawn).check(under)
}

const DISCRETE: TinyDiscreteConfig = TinyDiscreteConfig {
    stem: 8,
    nodes: 104,
    outputs: 16,
    steps: 5,
};

fn discovered_in_discrete_time(under: &UnderTest) -> Verdict {
    let record = Record::open("tiny_discrete_dnw")?;
    let make = |device: &Device| -> TinyCyclic { DISCRETE.init([3, 32, 32], 10, device).unwrap() };
    let config = ModelConfig::TinyDiscrete(DISCRETE);
    run(&record, &config, Box::new(make), &discovered).check(under)
}

/// The recorded program passes gradients on through the length of the solver's first step, which are of the size of its tolerance
/// (torchdiffeq does so when it finds that length itself). Ours takes every length for a constant, so up to the losses,
/// all may lie ten times further apart, and six updates later other edges are real.
fn discovered_in_continuous_time(under: &UnderTest) -> Verdict {
    let record = Record::open("tiny_continuous_dnw")?;
    let mut run = continuous(&record, GradientName::Through);
    run.allowed = Allowed {
        absolute: 1e-3,
        relative: 1e-2,
        of_largest: 0.0,
    };
    let (report, _) = run.follow(under, |images| images)?;
    report.check_start_and_losses()
}

fn with_a_constant_first_step(under: &UnderTest, gradient: GradientName) -> Verdict {
    let record = Record::open("tiny_continuous_dnw")?;
    let record = record.anew("constant_first_step");
    continuous(&record, gradient).check(under)
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

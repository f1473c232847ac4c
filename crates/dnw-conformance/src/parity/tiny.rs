//! The tiny classifiers.

use burn::tensor::Device;
use dnw_core::{Budget, Ranking, Wire, Wired, rules};
use dnw_models::{
    Classifier, GradientName, ModelConfig, Published, TinyContinuousConfig, TinyCyclic,
    TinyDiscreteConfig, TinyStatic, TinyStaticConfig,
};

use super::record::Record;
use super::run::Run;
use crate::TestDevice;
use crate::case::{Case, Outcome};
use crate::tolerance::{RECORDS, Tolerance};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("parity::tiny_static", |target| {
            tiny_static(target, "tiny_static_dnw", wire_dnw)
        }),
        Case::new("parity::tiny_static_random", |target| {
            tiny_static(target, "tiny_static_random", wire_random)
        }),
        Case::new("parity::tiny_discrete", tiny_discrete),
        Case::new("parity::tiny_continuous", tiny_continuous),
        Case::new(
            "parity::tiny_continuous_with_a_constant_first_step::through",
            |target| with_a_constant_first_step(target, GradientName::Through),
        ),
        Case::new(
            "parity::tiny_continuous_with_a_constant_first_step::checkpointed",
            |target| with_a_constant_first_step(target, GradientName::Checkpointed),
        ),
    ]
}

const BUDGET: Budget = Budget::PruneRate(0.95);

fn wire_dnw<M: Classifier>(model: M) -> Wired<M> {
    let wire = Wire::dnw(BUDGET).ranking(Ranking::AllEntries);
    wire.attach(model).unwrap()
}

fn wire_random<M: Classifier>(model: M) -> Wired<M> {
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
        tolerance: RECORDS,
    }
}

const STATIC: TinyStaticConfig = TinyStaticConfig {
    stem: 8,
    level: 24,
    levels: 4,
    outputs: 16,
};

fn tiny_static(
    target: &TestDevice,
    record: &str,
    wire: fn(TinyStatic) -> Wired<TinyStatic>,
) -> Outcome {
    let record = Record::open(record)?;
    let config = ModelConfig::TinyStatic(STATIC);
    let make = |device: &Device| STATIC.init([3, 32, 32], 10, device).unwrap();
    run(&record, &config, Box::new(make), &wire).check(target)
}

const DISCRETE: TinyDiscreteConfig = TinyDiscreteConfig {
    stem: 8,
    nodes: 104,
    outputs: 16,
    steps: 5,
};

fn tiny_discrete(target: &TestDevice) -> Outcome {
    let record = Record::open("tiny_discrete_dnw")?;
    let make = |device: &Device| -> TinyCyclic { DISCRETE.init([3, 32, 32], 10, device).unwrap() };
    let config = ModelConfig::TinyDiscrete(DISCRETE);
    run(&record, &config, Box::new(make), &wire_dnw).check(target)
}

/// In the recorded program gradients also flow through the size of the solver's first step (as torchdiffeq computes it by default); these
/// gradients are as large as the solver's tolerance. Ours treats every step size as a constant. So everything up to the losses has ten times
/// the tolerance, and after six updates other edges are real.
fn tiny_continuous(target: &TestDevice) -> Outcome {
    let record = Record::open("tiny_continuous_dnw")?;
    let mut run = continuous(&record, GradientName::Through);
    run.tolerance = Tolerance {
        absolute: 1e-3,
        relative: 1e-2,
        relative_to_largest: 0.0,
    };
    let (comparison, _) = run.train(target, |images| images)?;
    comparison.check_start_and_losses()
}

fn with_a_constant_first_step(target: &TestDevice, gradient: GradientName) -> Outcome {
    let record = Record::open("tiny_continuous_dnw")?;
    let record = record.with_overrides("constant_first_step");
    continuous(&record, gradient).check(target)
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
    run(record, &published, Box::new(make), &wire_dnw)
}

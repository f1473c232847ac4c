//! A training that goes on from its record makes the updates of one that was never interrupted, to the bit.

#![cfg(feature = "flex")]
#![recursion_limit = "256"]

use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

use burn::module::ModuleDisplay;
use burn::tensor::Device;
use dnw_core::{RecordError, rules};
use dnw_device::{Backend, DeviceName, open};
use dnw_models::{Classifier, UseModel};
use dnw_train::recipe::Recipe;
use dnw_train::training::{Execution, Precision, RestoreError, Training, TrainingRecord};

/// All devices of a CPU backend draw from one generator, and so do tests side by side: one at a time seeds it and draws.
fn alone() -> MutexGuard<'static, ()> {
    static DRAWING: Mutex<()> = Mutex::new(());
    DRAWING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A training of a recipe for some updates, from its beginning or a record.
struct Part<'a> {
    recipe: &'a Recipe,
    execution: &'a Execution,
    from: Option<TrainingRecord>,
    until: u64,
    drawing: MutexGuard<'static, ()>,
}

/// The updates of a part, in a form that shows every bit, and the state after it.
type Trained = (Vec<String>, TrainingRecord);

impl UseModel for Part<'_> {
    type Output = Result<Trained, RestoreError>;

    fn with<M: Classifier + ModuleDisplay + 'static>(self, model: M) -> Self::Output {
        let data = self.recipe.open_data(None).unwrap();
        let mut training = Training::begin(model, self.recipe, &data, self.execution).unwrap();
        // What has not been drawn yet is drawn when it is read.
        training.to_record().unwrap();
        drop(self.drawing);
        if let Some(record) = self.from {
            training.restore(record)?;
        }
        let mut updates = Vec::new();
        while training.updates_made() < self.until {
            for batch in training.batches().unwrap() {
                let update = training.step(&batch.unwrap()).unwrap();
                updates.push(format!("{} {update:?}", update.loss.to_bits()));
                if training.updates_made() == self.until {
                    break;
                }
            }
        }
        Ok((updates, training.to_record()?))
    }
}

fn recipe(changes: &[&str]) -> Recipe {
    let small = [
        "epochs=2",
        "batch=360",
        "model.fold=2",
        "model.levels=[6, 6]",
        "model.outputs=6",
    ];
    let is_graph = !changes.iter().any(|change| change.contains("model.kind"));
    let small = &small[..if is_graph { 5 } else { 2 }];
    let all: Vec<String> = small.iter().chain(changes).map(|&it| it.into()).collect();
    Recipe::named("digits", &all).unwrap()
}

/// Trains until an update. The weights are drawn with `seed`, so that a restored training does not have them by chance.
fn part(
    recipe: &Recipe,
    execution: &Execution,
    seed: u64,
    from: Option<TrainingRecord>,
    until: u64,
) -> Result<Trained, RestoreError> {
    let device = execution.device();
    let drawing = alone();
    device.seed(seed);
    let part = Part {
        recipe,
        execution,
        from,
        until,
        drawing,
    };
    recipe.model.build([1, 8, 8], 10, device, part).unwrap()
}

/// Every bit of a record.
fn bits(record: &TrainingRecord) -> Vec<String> {
    let model = &record.model;
    let tensors = model.model.iter().chain(model.initial.iter().flatten());
    let tensors = tensors.map(|(path, tensor)| {
        let data = &tensor.data;
        format!("{path} {:?} {:?}", data.shape(), data.as_bytes())
    });
    let gradients = model.gradients.iter();
    let gradients = gradients.map(|(path, data)| format!("{path} {:?}", data.as_bytes()));
    let rest = [format!("{:?} {:?}", model.progress, record.loss_scale)];
    tensors.chain(gradients).chain(rest).collect()
}

/// Compares eight updates with those of trainings that go on after some of them.
fn goes_on_alike(recipe: &Recipe, execution: &Execution, what: &str) {
    let (updates, whole) = part(recipe, execution, recipe.seed, None, 8).unwrap();
    // In the middle of an epoch, at its end, and one after the other.
    let mut record = None;
    let mut found = Vec::new();
    for until in [3, 4, 6, 8] {
        let seed = recipe.seed + u64::from(record.is_some());
        let (more, after) = part(recipe, execution, seed, record, until).unwrap();
        found.extend(more);
        record = Some(after);
    }
    assert_eq!(found, updates, "{what}");
    assert_eq!(bits(&record.unwrap()), bits(&whole), "{what}");
}

fn flex() -> Execution {
    Execution::on(&Device::flex())
}

#[test]
fn every_rule_goes_on_to_the_bit() {
    for named in rules::ALL {
        let rule = format!("wiring.rule={}", named.name);
        let decides = ["complete", "str"].contains(&named.name);
        let budget = if decides {
            &[][..]
        } else {
            &["wiring.density=0.25"]
        };
        let has = |setting: &str| named.settings.contains(&setting);
        let every = if has("every") {
            &["wiring.settings.every=2"][..]
        } else {
            &[]
        };
        let recipe = recipe(&[&[rule.as_str()], budget, every].concat());
        goes_on_alike(&recipe, &flex(), named.name);
    }
}

#[test]
fn every_unit_goes_on_to_the_bit() {
    for unit in ["fan-in", "block-2", "2-of-4"] {
        let unit = format!("wiring.unit={unit}");
        let changes = [
            "wiring.rule=dnw",
            &unit,
            "model.levels=[14, 14]",
            "model.outputs=8",
        ];
        goes_on_alike(&recipe(&changes), &flex(), &unit);
    }
}

#[test]
fn every_kind_of_optimizer_and_schedule_goes_on_to_the_bit() {
    for changes in [
        &["optimizer.momentum=0", "optimizer.weight-decay=0"][..],
        &["optimizer.norms-decay=false", "optimizer.momentum=0.5"],
        &["optimizer.schedule=step", "optimizer.step-at=[1.5]"],
        &[
            "optimizer.schedule=constant",
            "optimizer.label-smoothing=0.1",
        ],
        &[
            "wiring.rule=fine-tune",
            "second-phase.epochs=1",
            "second-phase.learning-rate=0.01",
            "epochs=1",
        ],
        &[
            "wiring.rule=lottery-ticket",
            "second-phase.epochs=1",
            "second-phase.learning-rate=0.2",
            "epochs=1",
        ],
        &["transforms.train.shift=2", "transforms.train.mirror=true"],
    ] {
        goes_on_alike(&recipe(changes), &flex(), &format!("{changes:?}"));
    }
}

#[test]
fn models_with_running_averages_go_on_to_the_bit() {
    let wired = "wiring.density=0.2";
    for changes in [
        &[
            "model.kind=mobilenet-dense",
            "model.width=0.1",
            "wiring.rule=complete",
        ][..],
        &[
            "model.kind=resnet",
            "model.depth=18",
            "model.width=4",
            "model.stem=small",
            "wiring.plain-layers=true",
            wired,
        ],
        &["model.kind=lenet", "model.hidden=[12, 9]", wired],
    ] {
        goes_on_alike(&recipe(changes), &flex(), changes[0]);
    }
}

#[test]
fn every_execution_goes_on_to_the_bit() {
    let flex = || open(&DeviceName::of(Backend::Flex)).unwrap();
    let one = || Execution::over(&[flex()]).unwrap();
    for (what, execution) in [
        ("parts", one().with_micro_batch(NonZeroUsize::new(100))),
        ("f16", one().with_precision(Precision::F16).unwrap()),
        ("bf16", one().with_precision(Precision::Bf16).unwrap()),
        ("two devices", Execution::over(&[flex(), flex()]).unwrap()),
    ] {
        goes_on_alike(&recipe(&[]), &execution, what);
    }
}

#[test]
fn a_record_of_another_training_is_refused_and_changes_nothing() {
    let (ours, flex) = (recipe(&[]), flex());
    let record = |changes: &[&str]| part(&recipe(changes), &flex, 0, None, 3).unwrap().1;
    let refused = |record: TrainingRecord| {
        part(&ours, &flex, 0, Some(record), 8)
            .map(|_| ())
            .unwrap_err()
    };

    let shape = refused(record(&["model.levels=[6, 7]"]));
    let is_shape = matches!(&shape, RestoreError::Model(RecordError::Differs { .. }));
    assert!(is_shape, "{shape}");
    let length = refused(record(&["epochs=1"]));
    assert!(matches!(length, RestoreError::Clock { .. }), "{length}");
    let rule = refused(record(&["wiring.rule=lottery-ticket"]));
    assert!(matches!(rule, RestoreError::Model(_)), "{rule}");
    let model = refused(record(&["model.kind=lenet", "model.hidden=[12, 9]"]));
    assert!(matches!(model, RestoreError::Model(_)), "{model}");

    let sound = record(&[]);
    let mut lacks = sound.clone();
    lacks
        .model
        .model
        .retain(|path, _| !path.ends_with("(wiring).real"));
    let lacks = refused(lacks);
    assert!(
        matches!(lacks, RestoreError::Model(RecordError::Missing(_))),
        "{lacks}"
    );
    for optimizer in [
        Vec::new(),
        sound.optimizer[..sound.optimizer.len() / 2].to_vec(),
        record(&["model.levels=[6, 7]"]).optimizer,
    ] {
        let mut other = sound.clone();
        other.optimizer = optimizer;
        let refused = refused(other);
        assert!(matches!(refused, RestoreError::Optimizer(_)), "{refused}");
    }
    assert!(part(&ours, &flex, 0, Some(sound), 8).is_ok());
}

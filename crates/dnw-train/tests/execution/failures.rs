//! Devices that give up while a training runs.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use super::{Odd, Oddity, flex};
use dnw_models::UseModel;
use dnw_train::checkpoints::{CheckpointEvery, CheckpointPolicy};
use dnw_train::divergence::OnDivergence;
use dnw_train::recipe::Recipe;
use dnw_train::recording::record;
use dnw_train::run::{Checkpoint, Facts, Metric, RunFolder, Status};
use dnw_train::runner::{Callback, Runner, RunnerError};
use dnw_train::training::{Evaluation, Execution, TrainingError, Update};

struct Nobody;

impl Callback for Nobody {
    fn on_begin(&mut self, _: &Facts) {}
    fn on_update(&mut self, _: &Update) {}
    fn on_evaluation(&mut self, _: u64, _: &Evaluation, _: &Facts) {}
    fn should_stop(&self) -> bool {
        false
    }
}

/// A run, how it ended, and the place of its folder.
struct Ended {
    result: Result<Facts, RunnerError>,
    folder: RunFolder,
    _place: tempfile::TempDir,
}

/// Runs the main job with a device that fails; returns the error and the run folder.
fn run(oddity: Oddity, execution: &Execution) -> (TrainingError, RunFolder, tempfile::TempDir) {
    let checkpoints = CheckpointPolicy::default();
    let ended = run_recipe(oddity, execution, &[], checkpoints, OnDivergence::Stop);
    match ended.result {
        Err(RunnerError::Training(error)) => (error, ended.folder, ended._place),
        other => panic!("{:?}", other.map(|facts| facts.status)),
    }
}

/// Runs the main job with changes.
fn run_recipe(
    oddity: Oddity,
    execution: &Execution,
    changes: &[&str],
    checkpoints: CheckpointPolicy,
    on_divergence: OnDivergence,
) -> Ended {
    let changes: Vec<_> = changes.iter().map(|&change| change.to_owned()).collect();
    let recipe = Recipe::named("digits", &changes).unwrap();
    let data = recipe.open_data(None).unwrap();
    let place = tempfile::tempdir().unwrap();
    let folder = RunFolder::create(&place.path().join("run")).unwrap();
    let device = execution.device();
    let _drawing = super::alone();
    device.seed(recipe.seed);
    let runner = Runner {
        recipe: &recipe,
        data: &data,
        execution,
        folder: &folder,
        command: "dnw".into(),
        environment: execution.environment(),
        checkpoints,
        on_divergence,
        resume: None,
        callback: &mut Nobody,
    };
    let result = runner.with(Odd::new(oddity, &recipe, device));
    Ended {
        result,
        folder,
        _place: place,
    }
}

fn at_pass(left: usize, trains: bool, says: &'static str) -> Oddity {
    let left = Arc::new(AtomicUsize::new(left));
    Oddity::Fragile { left, trains, says }
}

const VULKAN: &str = "ERROR_OUT_OF_DEVICE_MEMORY: Out of memory\n   at some/place.rs:7";

fn on_flex(devices: usize) -> Execution {
    Execution::over(&vec![flex(); devices]).unwrap()
}

#[test]
fn memory_that_runs_out_is_an_error_that_says_how_many_images_were_too_many() {
    let (error, ..) = run(at_pass(3, true, VULKAN), &on_flex(1));
    assert_eq!(
        error.to_string(),
        "the device `flex` ran out of memory in update 3 (epoch 1), with 16 images at once: ERROR_OUT_OF_DEVICE_MEMORY: Out of memory at some/place.rs:7"
    );
    let smaller = on_flex(1).with_micro_batch(4.try_into().ok());
    let (error, ..) = run(at_pass(3, true, VULKAN), &smaller);
    assert!(
        error
            .to_string()
            .contains("in update 1 (epoch 1), with 4 images at once"),
        "{error}"
    );
    let (error, ..) = run(at_pass(4, true, VULKAN), &on_flex(2));
    assert!(
        error
            .to_string()
            .contains("in update 2 (epoch 1), with 8 images at once"),
        "{error}"
    );
}

#[test]
fn what_was_evaluated_before_a_device_failed_is_kept_and_readable() {
    // The third epoch breaks off.
    let (error, folder, _place) = run(at_pass(200, true, "the driver is gone"), &on_flex(1));
    let sentence = "the device `flex` failed in update 200 (epoch 3): the driver is gone";
    assert_eq!(error.to_string(), sentence);
    let facts = folder.read_facts().unwrap();
    assert_eq!(facts.status, Status::Failed(sentence.into()));
    assert_eq!(facts.updates, 199);
    assert!((67..100).contains(&facts.updates_per_epoch));
    assert!(facts.test_accuracy > 0.3, "{}", facts.test_accuracy);
    for which in ["last", "best"] {
        assert!(fs::metadata(folder.weights(which)).unwrap().len() > 1000);
    }
    let metrics = folder.read_metrics(facts.classes.len()).unwrap();
    let tests = metrics.0.iter();
    let tests = tests.filter(|metric| matches!(metric, Metric::Test { .. }));
    assert_eq!(tests.count(), 2);
    dnw_report::explorer_page(&record(&folder).unwrap()).unwrap();
}

#[test]
fn a_device_that_fails_while_it_evaluates_leaves_the_start() {
    // The first pass shows the samples at the start of the run.
    let (error, folder, _place) = run(at_pass(40, false, "device lost"), &on_flex(1));
    assert!(error.to_string().contains("failed in update"), "{error}");
    let facts = folder.read_facts().unwrap();
    assert!(
        matches!(facts.status, Status::Failed(_)),
        "{:?}",
        facts.status
    );
    dnw_report::explorer_page(&record(&folder).unwrap()).unwrap();
}

/// A gradient of the seventh update is no number. Nothing of it may reach a checkpoint.
fn poisoned() -> Oddity {
    let left = Arc::new(AtomicUsize::new(7));
    Oddity::Poisoned { left }
}

/// Checkpoints after every update.
fn often() -> CheckpointPolicy {
    CheckpointPolicy {
        every: CheckpointEvery::Updates(1),
        ..CheckpointPolicy::default()
    }
}

/// Whether all weights of a checkpoint are finite, read by another reader than the program's.
fn is_finite(folder: &RunFolder, update: u64) -> bool {
    let path = format!("checkpoints/{update:08}/tensors.safetensors");
    let bytes = fs::read(folder.path().join(path)).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let floats = file
        .iter()
        .filter(|(_, tensor)| tensor.dtype() == safetensors::Dtype::F32);
    let values = floats.flat_map(|(_, tensor)| tensor.data().as_chunks::<4>().0);
    values
        .map(|&bytes| f32::from_le_bytes(bytes))
        .all(f32::is_finite)
}

#[test]
fn a_gradient_that_is_no_number_ends_the_run_before_a_checkpoint_holds_it() {
    for (rule, noticed) in [
        // The selection after the update meets a weight that is no number.
        (&["wiring.rule=dnw"][..], 7),
        // No edges are selected until update 50: the next loss is no number.
        (&["wiring.rule=rigl", "wiring.settings.every=50"], 8),
        // The mean of gradients ranks the edges.
        (
            &["wiring.rule=sparse-momentum", "wiring.settings.every=50"],
            8,
        ),
    ] {
        let ended = run_recipe(poisoned(), &on_flex(1), rule, often(), OnDivergence::Stop);
        let error = match ended.result {
            Err(RunnerError::Training(error)) => error,
            other => panic!("{rule:?}: {:?}", other.map(|facts| facts.status)),
        };
        assert_eq!(error.diverged(), Some(noticed), "{rule:?}: {error}");
        let newest = Checkpoint::newest(&ended.folder).unwrap().checkpoint;
        assert_eq!(newest.update(), 6, "{rule:?}");
        assert!(is_finite(&ended.folder, 6), "{rule:?}");
    }
}

#[test]
fn a_run_that_rolls_back_goes_on_from_the_last_epoch_with_half_the_rate() {
    let rule = ["wiring.rule=rigl", "wiring.settings.every=50", "epochs=2"];
    let (device, choice) = (on_flex(1), OnDivergence::RollBack);
    let facts = run_recipe(poisoned(), &device, &rule, often(), choice);
    let facts = facts.result.unwrap();
    assert_eq!(facts.status, Status::Finished);
    assert_eq!(facts.updates, facts.planned_updates);
    let [roll_back] = facts.roll_backs.as_slice() else {
        panic!("{:?}", facts.roll_backs);
    };
    assert_eq!((roll_back.failed, roll_back.to), (8, 0));
    assert_eq!(roll_back.rate_halvings, 1);
    assert!(facts.test_accuracy > 0.2, "{}", facts.test_accuracy);

    // Later it goes back to the end of an epoch, although there are newer checkpoints.
    let late = Oddity::Poisoned {
        left: Arc::new(AtomicUsize::new(110)),
    };
    let ended = run_recipe(late, &device, &rule, often(), choice);
    let facts = ended.result.unwrap();
    let per_epoch = facts.updates_per_epoch;
    assert!((67..100).contains(&per_epoch));
    let [roll_back] = facts.roll_backs.as_slice() else {
        panic!("{:?}", facts.roll_backs);
    };
    assert_eq!((roll_back.failed, roll_back.to), (111, per_epoch));
    let metrics = ended.folder.read_metrics(facts.classes.len()).unwrap();
    let rates: Vec<(u64, f64)> = metrics
        .0
        .iter()
        .filter_map(|metric| match metric {
            Metric::Train {
                update,
                learning_rate,
                ..
            } => Some((*update, *learning_rate)),
            Metric::Test { .. } => None,
        })
        .collect();
    // The recipe's rate decreases slowly: a half is a step.
    let steps = rates.windows(2).filter(|pair| pair[1].1 < 0.7 * pair[0].1);
    let steps: Vec<u64> = steps.map(|pair| pair[0].0).collect();
    assert_eq!(steps.first(), Some(&per_epoch), "{rates:?}");
}

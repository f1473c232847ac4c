//! Devices that give up while a training runs.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use super::{Odd, Oddity, flex};
use dnw_models::UseModel;
use dnw_train::checkpoints::CheckpointPolicy;
use dnw_train::recipe::Recipe;
use dnw_train::recording::record;
use dnw_train::run::{Facts, Metric, RunFolder, Status};
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

/// Runs the main job with a device that fails; returns the error and the run folder.
fn run(oddity: Oddity, execution: &Execution) -> (TrainingError, RunFolder, tempfile::TempDir) {
    let recipe = Recipe::named("digits", &[]).unwrap();
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
        checkpoints: CheckpointPolicy::default(),
        resume: None,
        callback: &mut Nobody,
    };
    match runner.with(Odd::new(oddity, &recipe, device)) {
        Err(RunnerError::Training(error)) => (error, folder, place),
        other => panic!("{:?}", other.map(|facts| facts.status)),
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

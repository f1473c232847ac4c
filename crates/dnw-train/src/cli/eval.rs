//! `dnw eval`: evaluates the weights of a run, or its wiring alone.

use std::fmt::Write;
use std::path::PathBuf;
use std::slice;

use burn::module::ModuleDisplay;
use burn::tensor::Device;
use dnw_core::{Weights, WiringError};
use dnw_device::DeviceName;
use dnw_device::guard::guarded;
use dnw_models::{Classifier, UseModel};
use dnw_train::data::DataSet;
use dnw_train::recipe::Recipe;
use dnw_train::run::{RunError, RunFolder, load_weights};
use dnw_train::training::{Evaluation, evaluate};

use super::args::EvalArgs;
use super::device::{device, device_failed};
use super::failure::Failure;
use super::output::{line, print_bytes};
use super::values::non_empty;
use super::watchdog::{Watchdog, remote_timeout};

/// Evaluates a run's weights.
pub fn eval(args: &EvalArgs) -> Result<u8, Failure> {
    let folder = RunFolder::open(&args.run)?;
    let recipe = folder.read_recipe()?;
    let opened = device(&args.device)?;
    let device = opened.device.clone();
    let data = recipe.open_data(non_empty(&args.data))?;
    let which = args.weights.name();
    let evaluate = Evaluate {
        recipe: &recipe,
        data: &data,
        device: &device,
        weights: folder.weights(which),
        weight_agnostic: args.weight_agnostic,
    };
    // The run was made with this recipe. If its network cannot be created, the recipe has been damaged.
    let damaged =
        |error: &dyn std::fmt::Display| RunError::damaged(folder.path().join("recipe.toml"), error);
    let model = &recipe.model;
    let timeout = remote_timeout(args.remote_timeout);
    let watchdog = Watchdog::start(slice::from_ref(&opened), timeout, frozen);
    let results = guarded(|| model.build(data.shape(), data.classes.len(), &device, evaluate));
    drop(watchdog);
    let results = results
        .map_err(|message| device_failed(&opened.name, message))?
        .map_err(|error| damaged(&error))?
        .map_err(|error| match error {
            EvalError::Recipe(error) => Failure::from(damaged(&error)),
            EvalError::Other(failure) => failure,
        })?;
    let Results { trained, agnostic } = results;
    if args.json {
        let agnostic = agnostic.iter().map(|(weights, found)| {
            serde_json::json!({
                "weights": describe(*weights),
                "test_accuracy": found.accuracy,
                "test_loss": found.loss.is_finite().then_some(found.loss),
            })
        });
        let agnostic: Vec<serde_json::Value> = agnostic.collect();
        let result = serde_json::json!({
            "run": folder.path().to_string_lossy(),
            "weights": which,
            "test_accuracy": trained.accuracy,
            "test_loss": trained.loss,
            "confusion": trained.confusion,
            "weight_agnostic": agnostic,
        });
        line(format!("{result:#}"))?;
    } else {
        let (accuracy, images) = (100.0 * trained.accuracy, data.test.len());
        line(format!(
            "{accuracy:.2} % of {images} test images (loss {:.4})",
            trained.loss
        ))?;
        if data.classes.len() <= MAX_CLASSES_SHOWN {
            print_bytes(confusion_table(&trained, &data.classes).as_bytes())?;
        }
        if !agnostic.is_empty() {
            line("\nthe same wiring with other weights on its edges:")?;
            for (weights, found) in &agnostic {
                line(format!(
                    "{:<22} {:6.2} %",
                    describe(*weights),
                    100.0 * found.accuracy
                ))?;
            }
        }
    }
    Ok(0)
}

/// The failure of an evaluation whose server froze.
fn frozen(device: &DeviceName, _updates: u64) -> Failure {
    Failure::new(
        format!("the device `{device}` failed: its server is frozen, it no longer answers"),
        "let the server run on or restart it, and repeat the command; or give another device with `--device`",
    )
}

struct Evaluate<'a> {
    recipe: &'a Recipe,
    data: &'a DataSet,
    device: &'a Device,
    weights: PathBuf,
    weight_agnostic: bool,
}

/// The results of an evaluation.
struct Results {
    /// With the trained weights.
    trained: Evaluation,
    /// With other weights.
    agnostic: Vec<(Weights, Evaluation)>,
}

/// The shared weights, as in Gaier and Ha (2019).
const SHARED_WEIGHTS: [f32; 6] = [-2.0, -1.0, -0.5, 0.5, 1.0, 2.0];
/// The number of random weights.
const RANDOM_WEIGHTS: u64 = 5;
/// The most classes with a confusion table.
const MAX_CLASSES_SHOWN: usize = 20;

fn describe(weights: Weights) -> String {
    match weights {
        Weights::Shared(weight) => format!("all {weight}"),
        Weights::Redrawn { seed } => format!("redrawn with seed {seed}"),
    }
}

impl UseModel for Evaluate<'_> {
    type Output = Result<Results, EvalError>;

    fn with<M: Classifier + ModuleDisplay + 'static>(self, model: M) -> Self::Output {
        // Wired only to have a place for the stored wirings; the initial edges do not matter.
        let wire = self
            .recipe
            .wire(1, self.data.classes.len())
            .map_err(|error| EvalError::Other(error.into()))?;
        let mut model = wire.attach(model).map_err(EvalError::Recipe)?;
        load_weights(&mut *model, &self.weights).map_err(|error| EvalError::Other(error.into()))?;
        let evaluate = |model: &M| {
            evaluate(model, self.data, self.device).map_err(|error| EvalError::Other(error.into()))
        };
        let trained = evaluate(&model)?;
        let mut agnostic = Vec::new();
        if self.weight_agnostic {
            let shared = SHARED_WEIGHTS.map(Weights::Shared).into_iter();
            for weights in shared.chain((0..RANDOM_WEIGHTS).map(|seed| Weights::Redrawn { seed })) {
                let other = model.with_weights(weights).map_err(EvalError::Recipe)?;
                agnostic.push((weights, evaluate(&other)?));
            }
        }
        Ok(Results { trained, agnostic })
    }
}

/// Why a run cannot be evaluated.
enum EvalError {
    /// The network cannot be wired by the recipe.
    Recipe(WiringError),
    /// Another error.
    Other(Failure),
}

fn confusion_table(evaluation: &Evaluation, classes: &[String]) -> String {
    let mut text = String::from("rows: true class, columns: predicted\n");
    let width = classes.iter().map(String::len).max().unwrap_or(1).max(5);
    let _ = write!(text, "{:>width$}", "");
    for class in classes {
        let _ = write!(text, " {class:>width$}");
    }
    text.push('\n');
    for (row, class) in evaluation.confusion.chunks(classes.len()).zip(classes) {
        let _ = write!(text, "{class:>width$}");
        for count in row {
            let _ = write!(text, " {count:>width$}");
        }
        text.push('\n');
    }
    text
}

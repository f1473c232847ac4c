//! `dnw verify`: a compiled model against the run that it was compiled from.

use std::fmt::Write;

use dnw_runtime::file::Precision;
use dnw_train::compiled::{ModelFile, Verification, Verify, VerifyError};
use dnw_train::run::{RunError, RunFolder};

use super::super::compiled_args::VerifyArgs;
use super::super::device::cpu;
use super::super::failure::Failure;
use super::super::numbers::grouped;
use super::super::output::{line, note, print_bytes};
use super::super::values::non_empty;
use super::compile::name;

/// The largest relative difference of logits that rounding explains.
const ROUNDING: f64 = 1e-3;

/// Compares a model with its run. The exit code is 1 if they differ.
pub fn verify(args: &VerifyArgs) -> Result<u8, Failure> {
    let file = ModelFile::open(&args.model)?;
    let preparation = file.preparation(&args.model)?;
    let folder = RunFolder::open(&args.run)?;
    let recipe = folder.read_recipe()?;
    let device = cpu()?;
    let data = recipe.open_data(non_empty(&args.data))?;
    let verify = Verify {
        model: &file.model,
        preparation: &preparation,
        recipe: &recipe,
        weights: &folder.weights(args.epoch.name()),
        data: &data,
        device: &device,
    };
    let found = verify.run().map_err(|error| failure(error, &folder))?;
    let problem = problem(&found, file.precision, args.allow);
    match args.json {
        true => print_json(&found, args, &file, problem.is_none())?,
        false => print_bytes(lines(&found, &file).as_bytes())?,
    }
    let Some(problem) = problem else { return Ok(0) };
    note(problem.to_lines());
    Ok(1)
}

/// Why the model is not good enough, if it is not.
fn problem(found: &Verification, precision: Precision, allow: f64) -> Option<Failure> {
    let is_exact = precision == Precision::F32;
    let (run, model) = (found.right_of_run, found.right_of_model);
    // Exact weights have no reason to be better either.
    let lost = match is_exact {
        true => run.abs_diff(model),
        false => run.saturating_sub(model),
    };
    let lost = percent(lost, found.images);
    let differs = found.relative_difference.is_nan() || found.relative_difference > ROUNDING;
    if is_exact && differs {
        return Some(Failure::new(
            "the model's logits differ from those of the run by more than rounding",
            "compile the run again; if it was trained further since, or `--epoch` is another, that is why",
        ));
    }
    if lost > allow {
        let help = match precision {
            Precision::F32 => {
                "an image lies so close to two classes that rounding decides; `--allow 0.1` accepts that"
            }
            _ => {
                "weights of fewer bits cost this; `--weights f32` keeps all, `--allow POINTS` accepts it"
            }
        };
        let what = format!("the accuracy differs by {lost:.2} percentage points");
        return Some(Failure::new(what, help));
    }
    None
}

fn percent(part: usize, all: usize) -> f64 {
    100.0 * part as f64 / all.max(1) as f64
}

fn lines(found: &Verification, file: &ModelFile) -> String {
    let mut text = String::new();
    let share = |part| format!("{:.2} %", percent(part, found.images));
    let _ = writeln!(text, "images         {}", grouped(found.images as u64));
    let _ = writeln!(
        text,
        "accuracy       {} of the model, {} of the run",
        share(found.right_of_model),
        share(found.right_of_run)
    );
    let _ = writeln!(
        text,
        "same class     {} images ({})",
        grouped(found.same_class as u64),
        share(found.same_class)
    );
    let _ = writeln!(
        text,
        "logits         differ by at most {:.2e}, relative to their image {:.2e}",
        found.difference, found.relative_difference
    );
    let _ = writeln!(
        text,
        "file           {} bytes, weights in {}",
        grouped(file.bytes as u64),
        name(file.precision)
    );
    text
}

fn print_json(
    found: &Verification,
    args: &VerifyArgs,
    file: &ModelFile,
    passes: bool,
) -> Result<(), Failure> {
    let share = |part: usize| part as f64 / found.images.max(1) as f64;
    let result = serde_json::json!({
        "model": args.model.to_string_lossy(),
        "run": args.run.to_string_lossy(),
        "images": found.images,
        "accuracy_of_model": share(found.right_of_model),
        "accuracy_of_run": share(found.right_of_run),
        "same_class": share(found.same_class),
        "difference": found.difference,
        "relative_difference": found.relative_difference,
        "bytes": file.bytes,
        "weights": name(file.precision),
        "passes": passes,
    });
    line(format!("{result:#}"))
}

/// A failure of the comparison itself.
fn failure(error: VerifyError, folder: &RunFolder) -> Failure {
    let damaged =
        |error: &dyn std::fmt::Display| RunError::damaged(folder.path().join("recipe.toml"), error);
    match error {
        VerifyError::Run(error) => {
            let help = error.help().replace("`--weights ", "`--epoch ");
            Failure::new(error, help)
        }
        VerifyError::Training(error) => error.into(),
        VerifyError::OtherRun { .. } => Failure::new(
            error,
            "name the run that the model was compiled from, or compile this one with `dnw compile`",
        ),
        // The run was made with this recipe, so that a network that cannot be made means that the recipe is no longer that one.
        VerifyError::Model(error) => damaged(&error).into(),
        VerifyError::Recipe(error) => damaged(&error).into(),
        VerifyError::Wiring(error) => damaged(&error).into(),
        error => Failure::new(
            error,
            "`dnw data check NAME` lists images that cannot be used",
        ),
    }
}

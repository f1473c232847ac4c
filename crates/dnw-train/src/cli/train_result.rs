//! The result of a training as text or JSON.

use std::collections::BTreeMap;
use std::fmt::Write;

use dnw_train::profile::Profile;
use dnw_train::recipe::Recipe;
use dnw_train::run::{Facts, RunFolder, Status};

use super::determinism::{MAIN_JOB_WEIGHTS, MainJobWeights};
use super::environment::resume_command;
use super::failure::Failure;
use super::numbers::edges;
use super::output::{line, print_bytes};
use super::train_args::TrainSettings;

/// Prints the result, and the profile if there is one.
pub fn print(
    facts: &Facts,
    recipe: &Recipe,
    folder: &RunFolder,
    settings: &TrainSettings,
    profile: Option<&Profile>,
) -> Result<(), Failure> {
    print_result(facts, recipe, folder, settings)?;
    match profile {
        Some(profile) if !settings.json => line(format!(
            "\n{} steps, on the thread that trains:\n{}",
            profile.steps(),
            profile.table().trim_end()
        )),
        _ => Ok(()),
    }
}

fn print_result(
    facts: &Facts,
    recipe: &Recipe,
    folder: &RunFolder,
    settings: &TrainSettings,
) -> Result<(), Failure> {
    let report = folder.report();
    let weights = MainJobWeights::of(recipe, facts, folder)?;
    let status = match facts.status {
        Status::Finished => "finished",
        _ => "stopped",
    };
    if settings.json {
        let mut result = serde_json::json!({
            "run": folder.path().to_string_lossy(),
            "recipe": recipe.name,
            "seed": recipe.seed,
            "status": status,
            "test_accuracy": facts.test_accuracy,
            "test_loss": facts.test_loss,
            "best_test_accuracy": facts.best_test_accuracy,
            "edges_real": facts.edges_real,
            "edges_possible": facts.edges_possible,
            "parameters": facts.parameters,
            "dead_nodes": facts.dead_nodes,
            "updates": facts.updates,
            "seconds": facts.seconds,
            "environment": facts.environment.iter().cloned().collect::<BTreeMap<_, _>>(),
            "report": report.to_string_lossy(),
        });
        if let Some(weights) = &weights {
            result["weights_sha256"] = weights.sha256.clone().into();
            result["weights_as_in_readme"] = weights.are_expected().into();
        }
        if !facts.roll_backs.is_empty() {
            result["roll_backs"] = serde_json::json!(facts.roll_backs);
        }
        if facts.status == Status::Stopped {
            result["resume"] = resume_command(folder.path()).into();
        }
        return line(format!("{result:#}"));
    }
    let mut text = String::new();
    if facts.status == Status::Stopped {
        let _ = writeln!(
            text,
            "stopped after {} of {} updates; everything so far is kept",
            facts.updates, facts.planned_updates
        );
    }
    let _ = writeln!(
        text,
        "test accuracy  {:.2} %  ({} test images)",
        100.0 * facts.test_accuracy,
        facts.test_images
    );
    let _ = writeln!(
        text,
        "edges          {}, {} parameters in all",
        edges(facts.edges_real, facts.edges_possible),
        facts.parameters
    );
    if let Some(weights) = &weights {
        let verdict = match weights.are_expected() {
            true => "the bits of the README".to_owned(),
            false => format!(
                "not the README's {:.16}: docs/determinism.md says where bits differ",
                MAIN_JOB_WEIGHTS
            ),
        };
        let _ = writeln!(text, "weights        {:.16}, {verdict}", weights.sha256);
    }
    if let Some(last) = facts.roll_backs.last() {
        let times = facts.roll_backs.len();
        let _ = writeln!(text, "rolled back    {times} times, the last after {last}");
    }
    let _ = writeln!(text, "time           {:.1} s", facts.seconds);
    let made_on = |label| facts.environment.iter().find(|(it, _)| it == label);
    if let (Some((_, cpu)), Some((_, kernels))) = (made_on("CPU"), made_on("kernels")) {
        let _ = writeln!(text, "made on        {cpu}; kernels {kernels}");
    }
    let _ = writeln!(text, "run            {}", folder.path().display());
    if facts.status == Status::Stopped {
        let _ = writeln!(text, "continue it    {}", resume_command(folder.path()));
    }
    let _ = writeln!(text, "watch it       {}", report.display());
    print_bytes(text.as_bytes())
}

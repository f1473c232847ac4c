//! The runs behind `docs/models.md`: every model of the paper for about ten minutes on CIFAR-10.

use std::fmt::Write;
use std::path::Path;
use std::process::Stdio;

use crate::program;
use crate::study::{StudyArgs, is_finished, train};

/// The short recipes, in the order of the table.
const SHORT: [&str; 5] = [
    "cifar10-tiny-static-dnw-short",
    "cifar10-tiny-discrete-dnw-short",
    "cifar10-tiny-continuous-dnw-short",
    "cifar10-mobilenet-dnw-x0.225-short",
    "cifar10-resnet18-dnw-90-short",
];

/// Trains the missing runs, one at a time on all cores, and writes the table.
pub fn table(args: &StudyArgs) -> Result<(), String> {
    let dnw = &program::build()?;
    let mut text = String::from(
        "| recipe | training images | updates | minutes | edges real / possible | test accuracy by epoch, % |\n\
         | --- | --- | --- | --- | --- | --- |\n",
    );
    let runs = program::root().join("runs/models-study");
    for recipe in SHORT {
        let folder = runs.join(recipe);
        if !is_finished(&folder) {
            let arguments = ["train", recipe].map(str::to_owned);
            train(args, dnw, &folder, &arguments, Stdio::inherit())?;
        }
        text.push_str(&row(recipe, &folder)?);
    }
    let path = program::root().join("docs/models/table.md");
    let written = std::fs::create_dir_all(program::root().join("docs/models"))
        .and_then(|()| std::fs::write(&path, text));
    written.map_err(|error| format!("{}: {error}", path.display()))
}

/// The row of a run in the table.
fn row(recipe: &str, folder: &Path) -> Result<String, String> {
    let read = |name: &str| {
        let path = folder.join(name);
        std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))
    };
    let json = |text: &str| {
        serde_json::from_str::<serde_json::Value>(text)
            .map_err(|error| format!("{}: {error}", folder.display()))
    };
    let facts = json(&read("run.json")?)?;
    let mut epochs = String::new();
    for metric in read("metrics.jsonl")?.lines() {
        let metric = json(metric)?;
        if metric["kind"] == "test" {
            let accuracy = 100.0 * metric["accuracy"].as_f64().unwrap_or(f64::NAN);
            let comma = if epochs.is_empty() { "" } else { ", " };
            let _ = write!(epochs, "{comma}{accuracy:.1}");
        }
    }
    Ok(format!(
        "| `{recipe}` | {} | {} | {:.1} | {} / {} | {epochs} |\n",
        facts["train_images"],
        facts["updates"],
        facts["seconds"].as_f64().unwrap_or(f64::NAN) / 60.0,
        facts["edges_real"],
        facts["edges_possible"],
    ))
}

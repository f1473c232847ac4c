//! `dnw count`, and the summary of `--dry-run`.

use std::fmt::Write;
use std::path::Path;

use dnw_circuit::{Tally, Views};
use dnw_train::counting::{Cost, CountError, cost, planned_data};
use dnw_train::recipe::Recipe;
use dnw_train::run::RunFolder;

use super::args::CountArgs;
use super::device::cpu;
use super::failure::Failure;
use super::numbers::grouped;
use super::output::{line, note_unused, print_bytes};
use super::scaling;

/// Counts the network of a run or a recipe.
pub fn count(args: &CountArgs) -> Result<u8, Failure> {
    let device = cpu()?;
    let is_folder =
        args.of.contains(std::path::MAIN_SEPARATOR) || std::path::Path::new(&args.of).is_dir();
    let (recipe, cost) = if is_folder {
        let folder = RunFolder::open(std::path::Path::new(&args.of))?;
        let (recipe, facts) = (folder.read_recipe()?, folder.read_facts()?);
        let weights = folder.weights(args.weights.name());
        let image = with_side(facts.image, args.side);
        let cost = cost(&recipe, image, facts.classes.len(), Some(&weights), &device)?;
        (recipe, cost)
    } else {
        let (recipe, unused) = Recipe::resolve(&args.of, &args.set)?;
        let (image, classes, _, _) = planned_data(&recipe, args.data.as_deref())?;
        let cost = cost(&recipe, with_side(image, args.side), classes, None, &device)?;
        note_unused(&unused);
        (recipe, cost)
    };
    let name = recipe.name.clone();
    if args.scaling {
        print_bytes(scaling::table(&recipe, &cost)?.as_bytes())?;
    } else if args.json {
        let json = serde_json::json!({
            "name": name,
            "image": cost.image,
            "total": cost.count.total,
            "layers": cost.count.rows,
            "notes": notes(&cost, &name),
        });
        line(format!("{json:#}"))?;
    } else {
        print_bytes(table(&cost, &name).as_bytes())?;
    }
    Ok(0)
}

fn with_side([channels, height, width]: [usize; 3], side: Option<usize>) -> [usize; 3] {
    match side {
        Some(side) => [channels, side, side],
        None => [channels, height, width],
    }
}

/// Parameters and multiply-adds by layer.
fn table(cost: &Cost, name: &str) -> String {
    let mut text = String::new();
    let [channels, height, width] = cost.image;
    let _ = writeln!(
        text,
        "{name} on images of {channels} x {height} x {width}\n"
    );
    let layers = cost.count.rows.iter().map(|row| row.layer.len());
    let wide = layers.max().unwrap_or(0).max("layer".len());
    let _ = writeln!(
        text,
        "{:<wide$} {:>35} {:>41}\n{:<wide$} {:>11} {:>11} {:>11} {:>13} {:>13} {:>13}",
        "",
        "parameters",
        "multiply-adds",
        "layer",
        "dense",
        "nominal",
        "alive",
        "dense",
        "nominal",
        "alive"
    );
    let mut row = |layer: &str, views: &Views| {
        let parameters = |tally: &Tally| grouped(tally.weights_and_edges());
        let operations = |tally: &Tally| grouped(tally.multiply_adds);
        let Views {
            dense,
            nominal,
            alive,
        } = views;
        let _ = writeln!(
            text,
            "{layer:<wide$} {:>11} {:>11} {:>11} {:>13} {:>13} {:>13}",
            parameters(dense),
            parameters(nominal),
            parameters(alive),
            operations(dense),
            operations(nominal),
            operations(alive),
        );
    };
    for layer in &cost.count.rows {
        row(&layer.layer, &layer.views);
    }
    row("total", &cost.count.total);
    let total = &cost.count.total.nominal;
    let _ = writeln!(
        text,
        "\nParameters are weights and real edges, without norms ({}) and biases ({}).",
        grouped(total.norms),
        grouped(total.biases)
    );
    for note in notes(cost, name) {
        let _ = writeln!(text, "{note}");
    }
    text
}

/// What the columns mean, and how they compare with published counts.
fn notes(cost: &Cost, name: &str) -> Vec<String> {
    let mut notes = vec![
        "dense: all weights and nodes. nominal: real edges, and nodes with a real edge out of them, as in the paper. \
         alive: without dead nodes, which are removed until none is left."
            .to_owned(),
    ];
    notes.extend(cost.notes.iter().cloned());
    notes.extend(published_counts(name));
    notes
}

/// The published parameters and multiply-adds of a recipe's network, and why the count may differ.
const PUBLISHED: [(&str, &str, &str, &str); 10] = [
    ("mobilenet-dense-x0.25", "0.5M", "41M", ""),
    ("mobilenet-dense-x0.5", "1.3M", "149M", ""),
    ("mobilenet-random-x0.225", "1.2M", "55.7M", RANDOM),
    ("mobilenet-random-x0.49", "1.8M", "170M", FORMULA),
    ("mobilenet-dnw-small-x0.15", "0.24M", "22.1M", TRAINED),
    ("mobilenet-dnw-small-x0.225", "0.4M", "41.2M", TRAINED),
    ("mobilenet-dnw-x0.225", "1.1M", "42.1M", TRAINED),
    ("mobilenet-dnw-x0.3", "1.3M", "66.7M", TRAINED),
    ("mobilenet-dnw-x0.49", "1.8M", "154M", TRAINED),
    ("resnet50-dense", "25.5M", "4.1G", ""),
];
const RANDOM: &str = "; the number of dead nodes of a random graph depends on its seed";
const FORMULA: &str = "; the paper's own formula gives at most 158.8M, with every node alive";
const TRAINED: &str = "; a trained wiring has more dead nodes than an initial one";

/// The note on the published cost of a recipe's network, if there is one.
fn published_counts(name: &str) -> Option<String> {
    let network = name.strip_prefix("imagenet-")?;
    let known = PUBLISHED.iter().find(|(known, ..)| *known == network);
    known.map(|(_, parameters, multiply_adds, note)| {
        format!("published: {parameters} parameters, {multiply_adds} multiply-adds{note}.")
    })
}

/// The cost of a recipe, as TOML comments.
pub fn summary(recipe: &Recipe, data: Option<&Path>, at_once: usize) -> Result<String, Failure> {
    let device = cpu()?;
    let (image, classes, images, is_own) = planned_data(recipe, data)?;
    let cost = cost(recipe, image, classes, None, &device)?;
    let [channels, height, width] = image;
    let per_epoch = (images / recipe.batch.max(1)) as u64;
    let updates: u64 = recipe
        .phases(per_epoch)
        .iter()
        .map(|(updates, _)| updates)
        .sum();
    let total = &cost.count.total;
    let candidates: usize = cost.wired.iter().map(|(_, candidates, _)| candidates).sum();
    let budget: usize = cost.wired.iter().map(|(_, _, budget)| budget).sum();
    let mut text = String::new();
    let mut line = |label: &str, value: String| {
        let _ = writeln!(text, "# {label:<14} {value}");
    };
    line(
        "data",
        format!(
            "{}, {images} training images of {channels} x {height} x {width}, {classes} classes, {}",
            recipe.data,
            if is_own { "as found" } else { "as published" }
        ),
    );
    line(
        "parameters",
        format!(
            "{} of {} ({} edges, {} other weights, {} in norms and biases)",
            grouped(total.nominal.parameters()),
            grouped(total.dense.parameters()),
            grouped(total.nominal.edges),
            grouped(total.nominal.weights),
            grouped(total.nominal.norms + total.nominal.biases),
        ),
    );
    line(
        "multiply-adds",
        format!(
            "{} an image ({} without sparsity)",
            grouped(total.nominal.multiply_adds),
            grouped(total.dense.multiply_adds)
        ),
    );
    line(
        "budget",
        if candidates == 0 {
            "none, the network is dense".to_owned()
        } else {
            format!(
                "{} of {} edges in {} tensors, by the rule {}",
                grouped(budget as u64),
                grouped(candidates as u64),
                cost.wired.len(),
                recipe.wiring.rule
            )
        },
    );
    line(
        "updates",
        format!(
            "{} in {} epochs of {} ({} images each)",
            grouped(updates),
            recipe.all_epochs(),
            grouped(per_epoch),
            recipe.batch
        ),
    );
    line(
        "memory",
        format!(
            "about {} MB (estimated) to train on the CPU with {} at once; `dnw count NAME --scaling` lists the parts",
            grouped(cost.training_bytes(at_once) / 1_000_000),
            if at_once == recipe.batch {
                "a batch".to_owned()
            } else {
                format!("{at_once} images")
            }
        ),
    );
    for note in &cost.notes {
        line("note", note.clone());
    }
    Ok(text)
}

impl From<CountError> for Failure {
    fn from(error: CountError) -> Self {
        match error {
            CountError::Recipe(error) => error.into(),
            CountError::Model(error) => error.into(),
            CountError::Wiring(error) => error.into(),
            CountError::Run(error) => error.into(),
            CountError::Data(error) => error.into(),
            error => Self::new(
                error,
                "give `--side` the side of the images that the network is for",
            ),
        }
    }
}

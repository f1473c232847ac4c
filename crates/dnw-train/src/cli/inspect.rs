//! `dnw eval`, `dnw report`, `dnw compare`, `dnw recipes`: what was, and what could be.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use burn::module::ModuleDisplay;
use burn::tensor::Device;
use dnw_core::WiringError;
use dnw_models::{Classifier, UseModel};
use dnw_report::{ComparedRun, Comparison};
use dnw_train::comparison::compare as compare_runs;
use dnw_train::data::DataSet;
use dnw_train::recipe::{Recipe, entries};
use dnw_train::recording::record;
use dnw_train::run::{RunError, RunFolder, load_weights, write_whole};
use dnw_train::training::{Evaluation, evaluate};

use super::args::{CompareArgs, EvalArgs, ReportArgs, given};
use super::failure::{Failure, device};
use super::output::{line, whole};
use super::train::command_line;

/// Evaluates a run's weights.
pub fn eval(args: &EvalArgs) -> Result<u8, Failure> {
    let folder = RunFolder::open(&args.run)?;
    let recipe = folder.read_recipe()?;
    let (device, _) = device(&args.device)?;
    let data = recipe.open_data(given(&args.data))?;
    let which = args.weights.name();
    let evaluate = Evaluate {
        recipe: &recipe,
        data: &data,
        device: &device,
        weights: folder.weights(which),
    };
    // The run was made with this recipe, so that a network that cannot be made means that the recipe is no longer that one.
    let unfit =
        |error: &dyn std::fmt::Display| RunError::damaged(folder.path().join("recipe.toml"), error);
    let found = recipe
        .model
        .build(data.shape(), data.classes.len(), &device, evaluate);
    let found = found
        .map_err(|error| unfit(&error))?
        .map_err(|error| match error {
            Unusable::Recipe(error) => Failure::from(unfit(&error)),
            Unusable::Other(failure) => failure,
        })?;
    if args.json {
        let result = serde_json::json!({
            "run": folder.path().to_string_lossy(),
            "weights": which,
            "test_accuracy": found.accuracy,
            "test_loss": found.loss,
            "confusion": found.confusion,
        });
        line(format!("{result:#}"))?;
    } else {
        let (accuracy, images) = (100.0 * found.accuracy, data.test.len());
        line(format!(
            "{accuracy:.2} % of {images} test images (loss {:.4})",
            found.loss
        ))?;
        whole(confusion_table(&found, &data.classes).as_bytes())?;
    }
    Ok(0)
}

struct Evaluate<'a> {
    recipe: &'a Recipe,
    data: &'a DataSet,
    device: &'a Device,
    weights: PathBuf,
}

impl UseModel for Evaluate<'_> {
    type Output = Result<Evaluation, Unusable>;

    fn with<M: Classifier + ModuleDisplay + 'static>(self, model: M) -> Self::Output {
        // Wired only so that the model has places for the stored wirings; which edges it begins with does not matter.
        let wire = self
            .recipe
            .wire(1, self.data.classes.len())
            .map_err(|error| Unusable::Other(error.into()))?;
        let mut model = wire.attach(model).map_err(Unusable::Recipe)?;
        load_weights(&mut *model, &self.weights).map_err(|error| Unusable::Other(error.into()))?;
        evaluate(&*model, self.data, self.device).map_err(|error| Unusable::Other(error.into()))
    }
}

/// Why a run cannot be evaluated.
enum Unusable {
    /// Its recipe asks for a wiring that its network cannot have.
    Recipe(WiringError),
    /// Anything else.
    Other(Failure),
}

fn confusion_table(found: &Evaluation, classes: &[String]) -> String {
    let mut text = String::from("rows: true class, columns: predicted\n");
    let width = classes.iter().map(String::len).max().unwrap_or(1).max(5);
    let _ = write!(text, "{:>width$}", "");
    for class in classes {
        let _ = write!(text, " {class:>width$}");
    }
    text.push('\n');
    for (row, class) in found.confusion.chunks(classes.len()).zip(classes) {
        let _ = write!(text, "{class:>width$}");
        for count in row {
            let _ = write!(text, " {count:>width$}");
        }
        text.push('\n');
    }
    text
}

/// Writes a run's page, or pictures of its wiring.
pub fn report(args: &ReportArgs) -> Result<u8, Failure> {
    let folder = RunFolder::open(&args.run)?;
    let recording = record(&folder)?;
    if let Some(path) = &args.svg {
        let picture = match args.moving {
            Some(frames) => dnw_report::animated_wiring_svg(&recording, frames)?,
            None => {
                let moments: Vec<u64> = args
                    .at
                    .iter()
                    .map(|at| (at.clamp(0.0, 1.0) * recording.updates as f64) as u64)
                    .collect();
                dnw_report::wiring_svg(&recording, &moments)?
            }
        };
        write_whole(path, picture.as_bytes())?;
        line(path.display())?;
        return Ok(0);
    }
    let path = args.out.clone().unwrap_or_else(|| folder.report());
    write_whole(&path, dnw_report::explorer_page(&recording)?.as_bytes())?;
    line(path.display())?;
    Ok(0)
}

/// Lays runs over each other.
pub fn compare(args: &CompareArgs) -> Result<u8, Failure> {
    let mut folders = Vec::new();
    for path in &args.runs {
        folders.extend(runs_in(path)?);
    }
    let comparison = compare_runs(&folders, command_line())?;
    write_whole(
        &args.out,
        dnw_report::comparison_page(&comparison)?.as_bytes(),
    )?;
    if let Some(path) = &args.svg {
        write_whole(path, dnw_report::comparison_svg(&comparison).as_bytes())?;
    }
    let groups = groups(&comparison);
    if let Some(path) = &args.markdown {
        write_whole(path, markdown(&groups).as_bytes())?;
    }
    if args.json {
        line(format!("{:#}", json(&groups)))?;
    } else {
        whole(markdown(&groups).as_bytes())?;
        line(format!("\n{}", args.out.display()))?;
    }
    Ok(0)
}

/// The run at a path, or those in it, in the order of their names.
fn runs_in(path: &Path) -> Result<Vec<RunFolder>, Failure> {
    let first = match RunFolder::open(path) {
        Ok(folder) => return Ok(vec![folder]),
        Err(error) => error,
    };
    let mut paths: Vec<PathBuf> = std::fs::read_dir(path)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    paths.sort();
    let folders: Vec<RunFolder> = paths
        .iter()
        .filter_map(|path| RunFolder::open(path).ok())
        .collect();
    if folders.is_empty() {
        Err(first.into())
    } else {
        Ok(folders)
    }
}

/// Runs that differ in their seed only, with the numbers of a table.
struct Group<'a> {
    name: &'a str,
    runs: Vec<&'a ComparedRun>,
}

impl Group<'_> {
    fn accuracies(&self) -> Vec<f64> {
        let evaluated = self.runs.iter().filter_map(|run| run.accuracy());
        evaluated.map(|accuracy| 100.0 * accuracy).collect()
    }

    /// Of the accuracies, as it is printed.
    fn mean(&self) -> String {
        let accuracies = self.accuracies();
        if accuracies.is_empty() {
            return "not evaluated".into();
        }
        let mean = accuracies.iter().sum::<f64>() / accuracies.len() as f64;
        format!("{mean:.2}")
    }

    fn mean_swaps(&self) -> f64 {
        self.runs.iter().map(|run| run.swaps as f64).sum::<f64>() / self.runs.len() as f64
    }
}

fn groups(comparison: &Comparison) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for run in &comparison.runs {
        match groups.iter_mut().find(|group| group.name == run.group) {
            Some(group) => group.runs.push(run),
            None => groups.push(Group {
                name: &run.group,
                runs: vec![run],
            }),
        }
    }
    groups
}

fn markdown(groups: &[Group<'_>]) -> String {
    let mut text = String::from(
        "| runs | edges real / possible | test accuracy by seed, % | mean | swaps | dead nodes |\n\
         | --- | --- | --- | --- | --- | --- |\n",
    );
    for group in groups {
        let first = group.runs[0];
        let accuracies: Vec<String> = group
            .accuracies()
            .iter()
            .map(|a| format!("{a:.2}"))
            .collect();
        let dead: Vec<String> = group
            .runs
            .iter()
            .map(|run| run.dead_nodes.to_string())
            .collect();
        let _ = writeln!(
            text,
            "| {} | {} / {} | {} | {} | {:.0} | {} |",
            group.name,
            first.edges_real,
            first.edges_possible,
            accuracies.join(", "),
            group.mean(),
            group.mean_swaps(),
            dead.join(", ")
        );
    }
    text
}

fn json(groups: &[Group<'_>]) -> serde_json::Value {
    let group = |group: &Group<'_>| {
        serde_json::json!({
            "group": group.name,
            "rule": group.runs[0].rule,
            "edges_real": group.runs[0].edges_real,
            "edges_possible": group.runs[0].edges_possible,
            "test_accuracy": group.runs.iter().map(|run| run.accuracy()).collect::<Vec<_>>(),
            "seeds": group.runs.iter().map(|run| run.seed).collect::<Vec<_>>(),
            "swaps": group.runs.iter().map(|run| run.swaps).collect::<Vec<_>>(),
            "dead_nodes": group.runs.iter().map(|run| run.dead_nodes).collect::<Vec<_>>(),
        })
    };
    groups.iter().map(group).collect()
}

/// Lists the recipes, or prints one.
pub fn recipes(name: Option<&str>) -> Result<u8, Failure> {
    match name {
        Some(name) => whole(Recipe::named(name, &[])?.to_toml().as_bytes())?,
        None => {
            let width =
                |names: &mut dyn Iterator<Item = &str>| names.map(str::len).max().unwrap_or(0);
            let wide = width(&mut entries().iter().map(|entry| entry.name.as_str()));
            line(format!("{:<wide$}  published  about", "recipe"))?;
            for entry in entries() {
                let recipe = Recipe::named(&entry.name, &[])?;
                let published = entry.published.unwrap_or("");
                line(format!(
                    "{:<wide$}  {published:>9}  {}",
                    entry.name, recipe.about
                ))?;
            }
            line("\n`dnw recipes NAME` prints one, `dnw rules` lists what can choose its edges.")?;
        }
    }
    Ok(0)
}

//! `dnw report`, `dnw compare` and `dnw recipes`.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use dnw_core::rules;
use dnw_report::{ComparedRun, Comparison};
use dnw_train::comparison::compare as compare_runs;
use dnw_train::recipe::{Recipe, entries};
use dnw_train::recording::record;
use dnw_train::run::{RunFolder, write_whole};

use super::args::{CompareArgs, ReportArgs};
use super::environment::command_line;
use super::failure::Failure;
use super::output::{line, print_bytes};

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

/// Compares runs.
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
        print_bytes(markdown(&groups).as_bytes())?;
        line(format!("\n{}", args.out.display()))?;
    }
    Ok(0)
}

/// The run at a path, or the runs in it, ordered by name.
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

/// Runs that differ only in their seed.
struct Group<'a> {
    name: &'a str,
    runs: Vec<&'a ComparedRun>,
}

impl Group<'_> {
    fn accuracies(&self) -> Vec<f64> {
        let evaluated = self.runs.iter().filter_map(|run| run.accuracy());
        evaluated.map(|accuracy| 100.0 * accuracy).collect()
    }

    /// The mean accuracy, formatted.
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
            "| {} | {} | {} | {} | {:.0} | {} |",
            group.name,
            match first.edges_possible {
                0 => "dense".to_owned(),
                possible => format!("{} / {possible}", first.edges_real),
            },
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
        Some(name) => print_bytes(Recipe::named(name, &[])?.to_toml().as_bytes())?,
        None => {
            let wide = |names: &mut dyn Iterator<Item = &str>| names.map(str::len).max();
            let name = wide(&mut entries().iter().map(|entry| entry.name.as_str())).unwrap_or(0);
            let rule = wide(&mut rules::ALL.iter().map(|named| named.name)).unwrap_or(0);
            line(format!(
                "{:<name$}  {:>10}  {:<rule$}  about",
                "recipe", "published", "rule"
            ))?;
            for entry in entries() {
                let recipe = Recipe::named(&entry.name, &[])?;
                let published = entry.published.unwrap_or("");
                line(format!(
                    "{:<name$}  {published:>10}  {:<rule$}  {}",
                    entry.name, recipe.wiring.rule, recipe.about
                ))?;
            }
            line("\n`dnw recipes NAME` prints one, `dnw rules` lists what can choose its edges.")?;
        }
    }
    Ok(0)
}

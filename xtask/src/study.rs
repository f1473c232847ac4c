//! Studies: trains many runs by recipes and compares them, for the tables of `docs/`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Instant;

use clap::Args;

use crate::program;

/// The options of a study.
#[derive(Debug, Args)]
pub struct StudyArgs {
    /// The folder with the data set
    #[arg(long, env = "DNW_DATA", value_name = "DIR")]
    data: Option<PathBuf>,
    /// The folder for the run folders
    #[arg(long, default_value = "runs", value_name = "DIR")]
    out: PathBuf,
    /// Runs in parallel, with one thread each [default: one per core]
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// Run only this part
    #[arg(long, value_name = "PART")]
    only: Option<String>,
}

impl StudyArgs {
    /// The absolute path of the folder with the data.
    pub fn data(&self) -> Result<Option<PathBuf>, String> {
        let absolute = |data: &PathBuf| {
            data.canonicalize()
                .map_err(|error| format!("{}: {error}", data.display()))
        };
        self.data.as_ref().map(absolute).transpose()
    }

    /// The folder with the run folders of a study.
    pub fn folder(&self, study: &Study) -> PathBuf {
        program::root()
            .join(&self.out)
            .join(format!("{}-study", study.name))
    }
}

/// The runs for one page of `docs/`.
pub struct Study {
    /// Its name: run folders are in `runs/NAME-study`, tables in `docs/NAME`.
    pub name: &'static str,
    /// Its parts.
    pub parts: Vec<Part>,
}

/// Runs that are compared with each other.
pub struct Part {
    /// Its name.
    pub name: &'static str,
    /// Whether to plot accuracy over budget.
    pub plotted: bool,
    /// The runs.
    pub runs: Vec<Run>,
    /// Runs of other parts to compare with: the part, and the prefix of their names.
    pub compared_with: Vec<(&'static str, &'static str)>,
}

/// A run: the name of its folder, and the arguments of `dnw`.
pub struct Run {
    name: String,
    arguments: Vec<String>,
}

/// The seeds of every study.
pub const SEEDS: [u64; 3] = [0, 1, 2];

/// A run by a recipe with changes, for each of [`SEEDS`].
pub fn seeded(recipe: &str, name: &str, epochs: Option<u64>, changes: &[String]) -> [Run; 3] {
    SEEDS.map(|seed| {
        let mut arguments = vec!["train".to_owned(), recipe.to_owned()];
        arguments.extend(["--seed".to_owned(), seed.to_string()]);
        if let Some(epochs) = epochs {
            arguments.extend(["--epochs".to_owned(), epochs.to_string()]);
        }
        for change in changes {
            arguments.extend(["--set".to_owned(), change.clone()]);
        }
        arguments.extend(["--quiet", "--threads", "1"].map(str::to_owned));
        Run {
            name: format!("{name}-seed-{seed}"),
            arguments,
        }
    })
}

/// The run folders of a part whose names have this prefix.
fn runs_with_prefix(folder: &Path, prefix: &str) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix));
    let mut paths: Vec<String> = names
        .map(|entry| entry.path().display().to_string())
        .collect();
    paths.sort();
    paths
}

/// Trains the missing runs and draws the tables and plots.
pub fn run(study: &Study, args: &StudyArgs) -> Result<(), String> {
    let dnw = &program::build()?;
    let docs = program::root().join("docs").join(study.name);
    std::fs::create_dir_all(&docs).map_err(|error| format!("{}: {error}", docs.display()))?;
    let runs = args.folder(study);
    for part in &study.parts {
        if args.only.as_deref().is_some_and(|only| only != part.name) {
            continue;
        }
        let folder = runs.join(part.name);
        train_missing(args, dnw, &folder, part)?;
        let path = |name: String| docs.join(name).display().to_string();
        let mut compare = vec!["compare".into()];
        for (other, prefix) in &part.compared_with {
            compare.extend(runs_with_prefix(&folder.with_file_name(other), prefix));
        }
        compare.extend([
            folder.display().to_string(),
            "--out".into(),
            folder.join("compare.html").display().to_string(),
            "--markdown".into(),
            path(format!("{}.md", part.name)),
        ]);
        if part.plotted {
            compare.extend(["--svg".into(), path(format!("{}.svg", part.name))]);
        }
        program::call(dnw, &compare)?;
    }
    Ok(())
}

fn train_missing(args: &StudyArgs, dnw: &Path, folder: &Path, part: &Part) -> Result<(), String> {
    let missing: Vec<&Run> = part
        .runs
        .iter()
        .filter(|run| !is_finished(&folder.join(&run.name)))
        .collect();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = args.jobs.unwrap_or(cores).max(1);
    eprintln!(
        "{}: {} runs to train, {jobs} at a time",
        part.name,
        missing.len()
    );
    let (next, began, failed) = (Mutex::new(0), Instant::now(), Mutex::new(None));
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                while let Some(run) = take(&next, &missing) {
                    if failed.lock().is_ok_and(|failed| failed.is_some()) {
                        return;
                    }
                    let folder = folder.join(&run.name);
                    match train(args, dnw, &folder, &run.arguments, Stdio::null()) {
                        Ok(()) => {
                            let minutes = began.elapsed().as_secs_f64() / 60.0;
                            eprintln!("{}: {} done after {minutes:.1} min", part.name, run.name);
                        }
                        Err(error) => {
                            if let Ok(mut failed) = failed.lock() {
                                *failed = Some(error);
                            }
                        }
                    }
                }
            });
        }
    });
    failed.into_inner().ok().flatten().map_or(Ok(()), Err)
}

fn take<'a>(next: &Mutex<usize>, runs: &[&'a Run]) -> Option<&'a Run> {
    let mut next = next.lock().ok()?;
    *next += 1;
    runs.get(*next - 1).copied()
}

/// Trains a run from the beginning, also if its folder holds an unfinished one.
pub fn train(
    args: &StudyArgs,
    dnw: &Path,
    folder: &Path,
    arguments: &[String],
    output: Stdio,
) -> Result<(), String> {
    if folder.exists() {
        std::fs::remove_dir_all(folder)
            .map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    let mut command = Command::new(dnw);
    command.args(arguments).arg("--out").arg(folder);
    if let Some(data) = args.data()? {
        command.arg("--data").arg(data);
    }
    let status = command.current_dir(program::root()).stdout(output).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("dnw {} ended with {status}", arguments.join(" "))),
        Err(error) => Err(format!("{} cannot be run: {error}", dnw.display())),
    }
}

/// Whether a run folder holds a finished run.
pub fn is_finished(folder: &Path) -> bool {
    std::fs::read_to_string(folder.join("run.json"))
        .ok()
        .and_then(|text| serde_json::from_str::<serde_json::Value>(&text).ok())
        .is_some_and(|facts| facts["status"] == "finished")
}

//! Trains many runs by recipes and lays them over each other: what stands behind the tables of `docs/`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Instant;

use clap::Args;

use crate::program;

/// How the study is run.
#[derive(Debug, Args)]
pub struct StudyArgs {
    /// The folder with the data set
    #[arg(long, env = "DNW_DATA", value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where the run folders go
    #[arg(long, default_value = "runs", value_name = "DIR")]
    out: PathBuf,
    /// Runs at a time, one thread each [default: one per core]
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// Only this part
    #[arg(long, value_name = "PART")]
    only: Option<String>,
}

impl StudyArgs {
    /// The folder with the data, wherever the program is run.
    pub fn data(&self) -> Result<Option<PathBuf>, String> {
        let absolute = |data: &PathBuf| {
            data.canonicalize()
                .map_err(|error| format!("{}: {error}", data.display()))
        };
        self.data.as_ref().map(absolute).transpose()
    }

    /// Where the run folders of a study lie.
    pub fn folder(&self, study: &Study) -> PathBuf {
        program::root()
            .join(&self.out)
            .join(format!("{}-study", study.name))
    }
}

/// Runs for one page of `docs/`.
pub struct Study {
    /// Its name: run folders lie in `runs/NAME-study`, tables in `docs/NAME`.
    pub name: &'static str,
    /// What is compared with what.
    pub parts: Vec<Part>,
}

/// Runs that are compared with each other.
pub struct Part {
    /// Its name.
    pub name: &'static str,
    /// Whether accuracy over budget is worth a plot.
    pub plotted: bool,
    /// The runs.
    pub runs: Vec<Run>,
    /// Runs of other parts that stand beside these: part, and how their names begin.
    pub beside: Vec<(&'static str, &'static str)>,
}

/// A run: the name of its folder, and what the program is given.
pub struct Run {
    name: String,
    arguments: Vec<String>,
}

/// The seeds of every study.
pub const SEEDS: [u64; 3] = [0, 1, 2];

/// A run by a recipe with changes.
pub fn planned(recipe: &str, name: String, seed: u64, epochs: Option<u64>, set: &[String]) -> Run {
    let mut arguments = vec![
        "train".into(),
        recipe.into(),
        "--seed".into(),
        seed.to_string(),
    ];
    arguments.extend(
        epochs
            .into_iter()
            .flat_map(|epochs| ["--epochs".into(), epochs.to_string()]),
    );
    arguments.extend(
        set.iter()
            .flat_map(|change| ["--set".into(), change.clone()]),
    );
    Run {
        name: format!("{name}-seed-{seed}"),
        arguments,
    }
}

/// The run folders of another part whose names begin so.
fn runs_beside(folder: &Path, beginning: &str) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(beginning));
    let mut paths: Vec<String> = names
        .map(|entry| entry.path().display().to_string())
        .collect();
    paths.sort();
    paths
}

/// Trains what is missing and draws the tables and plots.
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
        for (other, beginning) in &part.beside {
            compare.extend(runs_beside(&folder.with_file_name(other), beginning));
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
                    match train(args, dnw, &folder.join(&run.name), run) {
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

fn train(args: &StudyArgs, dnw: &Path, folder: &Path, run: &Run) -> Result<(), String> {
    if folder.exists() {
        // A run that was cut off is begun again.
        std::fs::remove_dir_all(folder)
            .map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    let mut command = Command::new(dnw);
    command
        .args(&run.arguments)
        .args(["--quiet", "--threads", "1", "--out"])
        .arg(folder);
    if let Some(data) = args.data()? {
        command.arg("--data").arg(data);
    }
    let status = command
        .current_dir(program::root())
        .stdout(Stdio::null())
        .status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!(
            "dnw {} ended with {status}",
            run.arguments.join(" ")
        )),
        Err(error) => Err(format!("{} cannot be run: {error}", dnw.display())),
    }
}

/// Whether a run folder holds a run that made every update.
pub fn is_finished(folder: &Path) -> bool {
    std::fs::read_to_string(folder.join("run.json"))
        .ok()
        .and_then(|text| serde_json::from_str::<serde_json::Value>(&text).ok())
        .is_some_and(|facts| facts["status"] == "finished")
}

//! The runs behind `docs/mnist.md`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Instant;

use clap::Args;

use crate::program;

/// How the study is run.
#[derive(Debug, Args)]
pub struct StudyArgs {
    /// The folder with MNIST
    #[arg(long, env = "DNW_DATA", value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where the run folders go
    #[arg(long, default_value = "runs/mnist-study", value_name = "DIR")]
    out: PathBuf,
    /// Runs at a time, one thread each [default: one per core]
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// Only this part: budgets, lenet, ranking, default
    #[arg(long, value_name = "PART")]
    only: Option<String>,
}

/// Runs that are compared with each other.
struct Part {
    name: &'static str,
    /// Whether accuracy over budget is worth a plot.
    plotted: bool,
    runs: Vec<Run>,
    /// Runs of other parts that stand beside these: part, and how their names begin.
    beside: Vec<(&'static str, &'static str)>,
}

struct Run {
    name: String,
    arguments: Vec<String>,
}

const SEEDS: [u64; 3] = [0, 1, 2];
/// Epochs of the graph's runs: fewer than the recipe's, so that all of them fit into an hour on two cores.
const EPOCHS: u64 = 4;

fn planned(recipe: &str, name: String, seed: u64, epochs: Option<u64>, set: &[String]) -> Run {
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

fn parts() -> Vec<Part> {
    let rules = ["random", "dnw", "dnw-shrinking"];
    let mut budgets = Vec::new();
    for density in ["0.03", "0.05", "0.10", "0.15", "0.30"] {
        for rule in rules {
            for seed in SEEDS {
                let set = [
                    format!("wiring.density={density}"),
                    format!("wiring.rule={rule}"),
                ];
                budgets.push(planned(
                    "mnist",
                    format!("{density}-{rule}"),
                    seed,
                    Some(EPOCHS),
                    &set,
                ));
            }
        }
    }
    let mut lenet = Vec::new();
    for rule in rules {
        for seed in SEEDS {
            lenet.push(planned(
                "mnist-lenet",
                rule.to_owned(),
                seed,
                None,
                &[format!("wiring.rule={rule}")],
            ));
        }
    }
    let mut ranking = Vec::new();
    for rule in ["dnw", "dnw-shrinking"] {
        for seed in SEEDS {
            // As many edges as the runs that rank legal edges only keep at density 0.05.
            let set = [
                "wiring.ranking=all-entries".into(),
                format!("wiring.rule={rule}"),
                "wiring.edges=149".into(),
            ];
            ranking.push(planned(
                "mnist",
                format!("all-entries-{rule}"),
                seed,
                Some(EPOCHS),
                &set,
            ));
        }
    }
    let mut default = Vec::new();
    for rule in ["dnw-shrinking", "random"] {
        for seed in SEEDS {
            default.push(planned(
                "mnist",
                rule.to_owned(),
                seed,
                None,
                &[format!("wiring.rule={rule}")],
            ));
        }
    }
    let part = |name, runs| Part {
        name,
        plotted: false,
        runs,
        beside: Vec::new(),
    };
    vec![
        part("default", default),
        Part {
            plotted: true,
            ..part("budgets", budgets)
        },
        part("lenet", lenet),
        Part {
            beside: vec![("budgets", "0.05-dnw")],
            ..part("ranking", ranking)
        },
    ]
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
pub fn run(args: &StudyArgs) -> Result<(), String> {
    let dnw = &program::build()?;
    let docs = program::root().join("docs/mnist");
    std::fs::create_dir_all(&docs).map_err(|error| format!("{}: {error}", docs.display()))?;
    for part in parts() {
        if args.only.as_deref().is_some_and(|only| only != part.name) {
            continue;
        }
        let folder = program::root().join(&args.out).join(part.name);
        train_missing(args, dnw, &folder, &part)?;
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
    if let Some(data) = &args.data {
        // The program runs in the repository's root, wherever this was called.
        let data = data
            .canonicalize()
            .map_err(|error| format!("{}: {error}", data.display()))?;
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

fn is_finished(folder: &Path) -> bool {
    std::fs::read_to_string(folder.join("run.json"))
        .ok()
        .and_then(|text| serde_json::from_str::<serde_json::Value>(&text).ok())
        .is_some_and(|facts| facts["status"] == "finished")
}

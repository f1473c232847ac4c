//! `dnw` and `dnw train`.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dnw_train::recipe::{MAIN_JOB, Recipe};
use dnw_train::recording::record;
use dnw_train::run::{Facts, RunFolder, Status, write_whole};
use dnw_train::runner::Runner;

use super::args::{TrainArgs, TrainSettings};
use super::failure::{Failure, device};
use super::progress::Progress;

/// The exit code of a run that was asked to stop, as shells have it.
const STOPPED: u8 = 130;

/// The bare command: trains the main job, then says what else there is.
pub fn main_job(settings: &TrainSettings) -> Result<u8, Failure> {
    let code = train(&TrainArgs { recipe: MAIN_JOB.into(), settings: settings.clone() })?;
    if !settings.json && !settings.quiet && !settings.dry_run {
        println!("\nThere is more: `dnw recipes` lists what can be trained, `dnw --help` what can be done.");
    }
    Ok(code)
}

/// Trains by a recipe.
pub fn train(args: &TrainArgs) -> Result<u8, Failure> {
    let settings = &args.settings;
    let recipe = resolve(args)?;
    if settings.dry_run {
        print!("{}", recipe.to_toml());
        return Ok(0);
    }
    let threads = settings.threads.unwrap_or_else(cores);
    if threads == 0 {
        return Err(Failure::new("0 threads cannot compute", "give `--threads` at least 1, or leave it out"));
    }
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global()
        .map_err(|error| Failure::new(error, "give `--threads` a smaller number"))?;
    let (device, device_name) = device(&settings.device)?;
    let data = dnw_train::data::open(&recipe.data, settings.data.as_deref())?;
    let device = device.autodiff();
    device.seed(recipe.seed);

    // Everything that can be refused is refused before a folder is made.
    check_fits(&recipe, &data)?;
    let folder = match &settings.out {
        Some(path) => RunFolder::create(path)?,
        None => RunFolder::create_numbered(Path::new("runs"), &recipe.name)?,
    };
    let stop = Arc::new(AtomicBool::new(false));
    listen(&stop);
    let mut progress = Progress::new(settings.quiet, recipe.epochs, Arc::clone(&stop));
    let runner = Runner {
        recipe: &recipe,
        data: &data,
        device: &device,
        folder: &folder,
        command: command_line(),
        environment: environment(device_name, threads),
        watcher: &mut progress,
    };
    let trained = recipe.model.build(data.shape(), data.classes.len(), &device, runner)?;
    drop(progress);
    if trained.is_ok() || folder.read_facts().is_ok() {
        let page = dnw_report::explorer_page(&record(&folder)?)?;
        write_whole(&folder.report(), page.as_bytes())?;
    }
    let facts = trained?;
    print_result(&facts, &recipe, &folder, settings);
    Ok(if facts.status == Status::Stopped { STOPPED } else { 0 })
}

fn resolve(args: &TrainArgs) -> Result<Recipe, Failure> {
    let settings = &args.settings;
    let mut changes = settings.set.clone();
    changes.extend(settings.seed.map(|seed| format!("seed={seed}")));
    changes.extend(settings.epochs.map(|epochs| format!("epochs={epochs}")));
    Ok(Recipe::named(&args.recipe, &changes)?)
}

/// Makes the model and wires it once, so that what does not fit is known at once.
fn check_fits(recipe: &Recipe, data: &dnw_train::data::DataSet) -> Result<(), Failure> {
    use burn::module::ModuleDisplay;
    use dnw_models::{Classifier, UseModel};
    use dnw_train::training::{Training, TrainingError};

    struct Try<'a>(&'a Recipe, &'a dnw_train::data::DataSet, burn::tensor::Device);

    impl UseModel for Try<'_> {
        type Output = Result<(), TrainingError>;

        fn with<M: Classifier + ModuleDisplay + 'static>(self, model: M) -> Self::Output {
            Training::begin(model, self.0, self.1, &self.2).map(|_| ())
        }
    }

    let (device, _) = device("auto")?;
    let device = device.autodiff();
    device.seed(recipe.seed);
    recipe.model.build(data.shape(), data.classes.len(), &device.clone(), Try(recipe, data, device))??;
    Ok(())
}

/// Hears Ctrl-C: the first asks the training to stop after its update, the second ends the program.
fn listen(stop: &Arc<AtomicBool>) {
    let stop = Arc::clone(stop);
    let heard = ctrlc::set_handler(move || {
        if stop.swap(true, Ordering::Relaxed) {
            std::process::exit(i32::from(STOPPED));
        }
        eprintln!("\nstopping after this update; press Ctrl-C again to end at once");
    });
    if let Err(error) = heard {
        eprintln!("warning: Ctrl-C will end the program at once ({error})");
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The command line as one would type it.
pub fn command_line() -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=,:".contains(c);
    let quoted = std::env::args().skip(1).map(|argument| {
        if !argument.is_empty() && argument.chars().all(plain) {
            argument
        } else {
            format!("'{}'", argument.replace('\'', r"'\''"))
        }
    });
    std::iter::once("dnw".to_owned()).chain(quoted).collect::<Vec<_>>().join(" ")
}

fn environment(device: &str, threads: usize) -> Vec<(String, String)> {
    let entry = |label: &str, value: String| (label.to_owned(), value);
    vec![
        entry("dnw", env!("CARGO_PKG_VERSION").into()),
        entry("Burn", dnw_train::BURN_VERSION.into()),
        entry("device", device.into()),
        entry("threads", threads.to_string()),
        entry("system", format!("{} {}", std::env::consts::OS, std::env::consts::ARCH)),
    ]
}

fn print_result(facts: &Facts, recipe: &Recipe, folder: &RunFolder, settings: &TrainSettings) {
    let report = folder.report();
    let status = match facts.status {
        Status::Finished => "finished",
        _ => "stopped",
    };
    if settings.json {
        let result = serde_json::json!({
            "run": folder.path(),
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
            "report": report,
        });
        println!("{result:#}");
        return;
    }
    if facts.status == Status::Stopped {
        println!("stopped after {} of {} updates; everything so far is kept", facts.updates, facts.planned_updates);
    }
    println!(
        "test accuracy  {:.2} %  ({} test images)",
        100.0 * facts.test_accuracy,
        facts.test_images
    );
    println!(
        "edges          {} real of {} possible ({:.1} %), {} parameters in all",
        facts.edges_real,
        facts.edges_possible,
        100.0 * facts.edges_real as f64 / facts.edges_possible as f64,
        facts.parameters
    );
    println!("time           {:.1} s", facts.seconds);
    println!("run            {}", folder.path().display());
    println!("watch it       {}", report.display());
}

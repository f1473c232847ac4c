//! `dnw` and `dnw train`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::num::NonZeroUsize;
use std::path::Path;

use dnw_core::graph::Kernels;
use dnw_device::guard::guarded;
use dnw_device::{DeviceName, Opened, processor};
use dnw_kernels::settings::InstructionSet;
use dnw_train::profile::Profile;
use dnw_train::recipe::{MAIN_JOB, Recipe, Unused};
use dnw_train::recording::record;
use dnw_train::run::{Facts, RunFolder, Status, write_whole};
use dnw_train::runner::Runner;
use dnw_train::training::Execution;

use super::count::summary;
use super::device::{cpu, device, device_failed};
use super::failure::Failure;
use super::numbers::edges;
use super::output::{line, note, note_unused, print_bytes};
use super::progress::Progress;
use super::stop::Stop;
use super::train_args::{KernelOption, TrainArgs, TrainSettings};
use super::values::non_empty;

/// The most threads; operating systems fail in different ways beyond.
const MAX_THREADS: usize = 1024;

/// The main job, without a command. Then names other commands.
pub fn main_job(settings: &TrainSettings) -> Result<u8, Failure> {
    let code = train(&TrainArgs {
        recipe: MAIN_JOB.into(),
        settings: settings.clone(),
    })?;
    if !settings.json && !settings.quiet && !settings.dry_run {
        line(
            "\nThere is more: `dnw recipes` lists what can be trained, `dnw --help` what can be done.",
        )?;
    }
    Ok(code)
}

/// Trains by a recipe.
pub fn train(args: &TrainArgs) -> Result<u8, Failure> {
    let settings = &args.settings;
    let (recipe, unused) = resolve(args)?;
    if settings.dry_run {
        let share = recipe.batch.div_ceil(settings.devices.len().max(1));
        let at_once = micro_batch(settings).map_or(share, |images| share.min(images.get()));
        let text = format!(
            "{}\n{}",
            summary(&recipe, settings.data.as_deref(), at_once)?,
            recipe.to_toml()
        );
        note_unused(&unused);
        print_bytes(text.as_bytes())?;
        return Ok(0);
    }
    let threads = settings.threads.unwrap_or_else(cores);
    if !(1..=MAX_THREADS).contains(&threads) {
        let help = format!("give `--threads` between 1 and {MAX_THREADS}, or leave it out");
        return Err(Failure::new(
            format!("{threads} threads cannot compute"),
            help,
        ));
    }
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global()
        .map_err(|error| Failure::new(error, "give `--threads` a smaller number"))?;
    if settings.kernels == KernelOption::Reference {
        Kernels::switch_off();
    }
    let profile = begin_profile(settings)?;
    let opened = devices(settings)?;
    let execution = execution(settings, &opened)?;
    execution.check_batch(recipe.batch)?;
    let data = recipe.open_data(non_empty(&settings.data))?;
    let device = execution.device();
    device.seed(recipe.seed);

    // All checks come before the folder is created.
    check_fits(&recipe, &data)?;
    note_unused(&unused);
    let folder = match &settings.out {
        Some(path) => RunFolder::create(path)?,
        None => RunFolder::create_numbered(Path::new("runs"), &recipe.name)?,
    };
    if let Some(process) = folder.left_by().filter(|_| !settings.quiet) {
        note(format!(
            "`{}` was left by process {process}, which has ended before its run began: it is used for this run",
            folder.path().display()
        ));
    }
    let stop = Stop::listen();
    let epochs = recipe.all_epochs();
    let mut progress = Progress::new(settings.quiet, &opened, epochs, stop.clone());
    let first = &opened[0];
    let mut environment = environment(&first.name, &first.model, Some(threads));
    environment.extend(execution.environment());
    environment.push(("kernels".to_owned(), kernels(settings.kernels)));
    let runner = Runner {
        recipe: &recipe,
        data: &data,
        execution: &execution,
        folder: &folder,
        command: command_line(),
        environment,
        callback: &mut progress,
    };
    // The training catches panics; this is for a device that fails before it.
    let model = &recipe.model;
    let trained = guarded(|| model.build(data.shape(), data.classes.len(), device, runner));
    drop(progress);
    let trained = trained.map_err(|message| device_failed(&opened[0].name, message))??;
    let page = write_page(&folder);
    let facts = match (trained, &page) {
        (Ok(facts), _) => facts,
        (Err(error), Ok(())) => {
            return Err(Failure::from(error).with_help(format!(
                "`{}` shows how far it came",
                folder.report().display()
            )));
        }
        // The failure of the training is more important than that of the page.
        (Err(error), Err(_)) => return Err(error.into()),
    };
    page.map_err(|failure| {
        let path = folder.path().display();
        failure.with_help(format!(
            "the run itself is kept; `dnw report {path}` writes its page again"
        ))
    })?;
    if let Some(profile) = &profile {
        write_profile(profile, &folder)?;
    }
    let code = match facts.status {
        Status::Stopped => stop.exit_code().unwrap_or_default(),
        _ => 0,
    };
    match print(&facts, &recipe, &folder, settings, profile.as_ref()) {
        // A run that was stopped by closing its terminal has no terminal to print to.
        Err(_) if code != 0 => Ok(code),
        printed => printed.map(|()| code),
    }
}

fn print(
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

/// Opens and tests the requested devices.
fn devices(settings: &TrainSettings) -> Result<Vec<Opened>, Failure> {
    match settings.devices.as_slice() {
        [] => Ok(vec![device(&settings.device)?]),
        names => names.iter().map(|name| device(name)).collect(),
    }
}

fn execution(settings: &TrainSettings, opened: &[Opened]) -> Result<Execution, Failure> {
    let execution = Execution::over(opened)?.with_micro_batch(micro_batch(settings));
    Ok(execution.with_precision(settings.precision)?)
}

/// The micro-batch; a number that overflows means all images.
fn micro_batch(settings: &TrainSettings) -> Option<NonZeroUsize> {
    let images = settings.micro_batch?;
    NonZeroUsize::new(usize::try_from(images).unwrap_or(usize::MAX))
}

fn begin_profile(settings: &TrainSettings) -> Result<Option<Profile>, Failure> {
    let begun = settings.profile.then(Profile::begin).transpose();
    begun.map_err(|error| Failure::new(error, "leave `--profile` out"))
}

fn write_profile(profile: &Profile, folder: &RunFolder) -> Result<(), Failure> {
    let folder = folder.path();
    write_whole(&folder.join("profile.txt"), profile.table().as_bytes())?;
    write_whole(&folder.join("profile.folded"), profile.folded().as_bytes())?;
    Ok(())
}

fn write_page(folder: &RunFolder) -> Result<(), Failure> {
    let page = dnw_report::explorer_page(&record(folder)?)?;
    Ok(write_whole(&folder.report(), page.as_bytes())?)
}

fn resolve(args: &TrainArgs) -> Result<(Recipe, Vec<Unused>), Failure> {
    let settings = &args.settings;
    let mut changes = settings.set.clone();
    changes.extend(settings.seed.map(|seed| format!("seed={seed}")));
    changes.extend(settings.epochs.map(|epochs| format!("epochs={epochs}")));
    Ok(Recipe::resolve(&args.recipe, &changes)?)
}

/// Creates and wires the model, so that a recipe that does not fit fails early.
fn check_fits(recipe: &Recipe, data: &dnw_train::data::DataSet) -> Result<(), Failure> {
    use burn::module::ModuleDisplay;
    use dnw_models::{Classifier, UseModel};
    use dnw_train::training::{Training, TrainingError};

    struct CheckFits<'a>(
        &'a Recipe,
        &'a dnw_train::data::DataSet,
        burn::tensor::Device,
    );

    impl UseModel for CheckFits<'_> {
        type Output = Result<(), TrainingError>;

        fn with<M: Classifier + ModuleDisplay + 'static>(self, model: M) -> Self::Output {
            Training::begin(model, self.0, self.1, &self.2).map(|_| ())
        }
    }

    let device = cpu()?;
    let device = device.autodiff();
    device.seed(recipe.seed);
    recipe.model.build(
        data.shape(),
        data.classes.len(),
        &device.clone(),
        CheckFits(recipe, data, device),
    )??;
    Ok(())
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The command line as typed.
pub fn command_line() -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=,:".contains(c);
    // A path need not be valid UTF-8.
    let arguments = std::env::args_os()
        .skip(1)
        .map(|argument| argument.to_string_lossy().into_owned());
    let quoted = arguments.map(|argument| {
        if !argument.is_empty() && argument.chars().all(plain) {
            argument
        } else {
            format!("'{}'", argument.replace('\'', r"'\''"))
        }
    });
    std::iter::once("dnw".to_owned())
        .chain(quoted)
        .collect::<Vec<_>>()
        .join(" ")
}

/// The kernels on CPUs, which determine the bits of a run.
fn kernels(option: KernelOption) -> String {
    if option == KernelOption::Reference {
        return "reference: plain tensors".to_owned();
    }
    let products = std::env::var("DNW_PRODUCTS").unwrap_or_default();
    let products = match products.as_str() {
        "" => String::new(),
        products => format!(", products by DNW_PRODUCTS={products}"),
    };
    format!("fastest, with {}{products}", InstructionSet::in_use())
}

/// How the program was built. `DNW_REVISION`, set at compile time, is its revision. (A build script that asks git would rebuild the program
/// after each commit, and would fail for a package without git.)
fn build() -> String {
    let profile = match cfg!(debug_assertions) {
        true => "debug",
        false => "release",
    };
    let environment = match () {
        () if cfg!(target_env = "gnu") => " gnu",
        () if cfg!(target_env = "musl") => " musl",
        () if cfg!(target_env = "msvc") => " msvc",
        () => "",
    };
    let revision =
        option_env!("DNW_REVISION").map_or(String::new(), |it| format!(", revision {it}"));
    let (system, machine) = (std::env::consts::OS, std::env::consts::ARCH);
    format!("{profile}, {machine} {system}{environment}{revision}")
}

/// Program, libraries, device, threads: label and value.
pub fn environment(
    device: &DeviceName,
    model: &str,
    threads: Option<usize>,
) -> Vec<(String, String)> {
    let entry = |label: &str, value: String| (label.to_owned(), value);
    let mut entries = vec![
        entry("dnw", env!("CARGO_PKG_VERSION").into()),
        entry("build", build()),
        entry("Burn", dnw_train::BURN_VERSION.into()),
        entry("device", format!("{device} ({model})")),
    ];
    entries.extend(threads.map(|threads| entry("threads", threads.to_string())));
    let cpu = processor().unwrap_or_else(|| "unknown".to_owned());
    // Burn and gemm use all instructions, whatever DNW_SIMD says.
    entries.push(entry("CPU", format!("{cpu}, {}", InstructionSet::widest())));
    entries
}

fn print_result(
    facts: &Facts,
    recipe: &Recipe,
    folder: &RunFolder,
    settings: &TrainSettings,
) -> Result<(), Failure> {
    let report = folder.report();
    let status = match facts.status {
        Status::Finished => "finished",
        _ => "stopped",
    };
    if settings.json {
        let result = serde_json::json!({
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
    let _ = writeln!(text, "time           {:.1} s", facts.seconds);
    let made_on = |label| facts.environment.iter().find(|(it, _)| it == label);
    if let (Some((_, cpu)), Some((_, kernels))) = (made_on("CPU"), made_on("kernels")) {
        let _ = writeln!(text, "made on        {cpu}; kernels {kernels}");
    }
    let _ = writeln!(text, "run            {}", folder.path().display());
    let _ = writeln!(text, "watch it       {}", report.display());
    print_bytes(text.as_bytes())
}

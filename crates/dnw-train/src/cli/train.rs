//! `dnw` and `dnw train`.

use std::num::NonZeroUsize;
use std::path::Path;

use dnw_core::graph::Kernels;
use dnw_device::guard::guarded;
use dnw_device::{DeviceName, Opened};
use dnw_train::profile::Profile;
use dnw_train::recipe::{MAIN_JOB, Recipe, Unused};
use dnw_train::recording::record;
use dnw_train::run::{RunFolder, Settings, Status, write_whole};
use dnw_train::runner::{Runner, RunnerError};
use dnw_train::training::Execution;

use super::count::summary;
use super::determinism;
use super::device::{cpu, device, device_failed};
use super::environment::{command_line, environment, kernels, resume_command};
use super::failure::Failure;
use super::memory;
use super::output::{line, note, note_unused, print_bytes};
use super::progress::Progress;
use super::resume::{self, Begun, Unfinished};
use super::stop::Stop;
use super::train_args::{KernelOption, TrainArgs, TrainSettings};
use super::train_result::print;
use super::values::non_empty;
use super::watchdog::{Watchdog, remote_timeout};

/// The most threads; operating systems fail in different ways beyond.
const MAX_THREADS: usize = 1024;

/// The main job, without a command. Then names other commands.
pub fn main_job(settings: &TrainSettings) -> Result<u8, Failure> {
    let code = train(&TrainArgs {
        recipe: None,
        settings: settings.clone(),
    })?;
    if !settings.json && !settings.quiet && !settings.dry_run {
        line(
            "\nThere is more: `dnw recipes` lists what can be trained, `dnw --help` what can be done.",
        )?;
    }
    Ok(code)
}

/// Trains by a recipe, or continues a run.
pub fn train(args: &TrainArgs) -> Result<u8, Failure> {
    let settings = &args.settings;
    if let Some(path) = &settings.resume {
        return match resume::open(path, args)? {
            Begun::Unfinished(run) => {
                let (recipe, settings) = (run.recipe.clone(), run.settings.clone());
                run_training(&recipe, &[], &settings, Some(*run))
            }
            Begun::Finished {
                folder,
                recipe,
                facts,
            } => {
                note(format!(
                    "`{}` has finished: nothing is left to do",
                    path.display()
                ));
                // A run that was killed while it wrote its page or removed its checkpoints has finished all the same.
                folder.remove_interrupted_writes()?;
                folder.remove_checkpoints()?;
                write_page(&folder)?;
                print(&facts, &recipe, &folder, settings, None).map(|()| 0)
            }
        };
    }
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
    run_training(&recipe, &unused, settings, None)
}

/// Trains, in a new folder or in that of the run to continue.
fn run_training(
    recipe: &Recipe,
    unused: &[Unused],
    settings: &TrainSettings,
    continued: Option<Unfinished>,
) -> Result<u8, Failure> {
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
    if settings.deterministic {
        determinism::check(recipe, data.shape(), settings, &opened)?;
    }
    let device = execution.device();
    device.seed(recipe.seed);

    // All checks come before the folder is created.
    let (folder, resume, notes) = match continued {
        Some(run) => (run.folder, Some(run.resume), run.notes),
        None => {
            // A batch of more images than there are is refused as such.
            let share = recipe.batch.min(data.train.len()).div_ceil(opened.len());
            let at_once = micro_batch(settings).map_or(share, |images| share.min(images.get()));
            memory::check(recipe, &data, at_once, &opened)?;
            // The last check: it seeds the weights that it draws, and those of the run are drawn after them.
            check_fits(recipe, &data)?;
            note_unused(unused);
            (create_folder(recipe, settings)?, None, Vec::new())
        }
    };
    if resume.is_none() {
        folder.write_settings(&stored(settings, &opened))?;
    }
    let stop = Stop::listen();
    let epochs = recipe.all_epochs();
    let command = resume_command(folder.path());
    let timeout = remote_timeout(settings.remote_timeout);
    let watchdog = Watchdog::start(&opened, timeout, frozen(&command));
    let mut progress = Progress::new(
        settings.quiet,
        &opened,
        epochs,
        stop.clone(),
        watchdog,
        &command,
    )
    .with_notes(notes);
    let first = &opened[0];
    let mut environment = environment(&first.name, &first.model, Some(threads));
    environment.extend(execution.environment());
    environment.push(("kernels".to_owned(), kernels(settings.kernels)));
    let runner = Runner {
        recipe,
        data: &data,
        execution: &execution,
        folder: &folder,
        command: command_line(),
        environment,
        checkpoints: settings.checkpoints(),
        on_divergence: settings.on_divergence.unwrap_or_default(),
        resume,
        callback: &mut progress,
    };
    // The training catches panics; this is for a device that fails before it.
    let model = &recipe.model;
    let trained = guarded(|| model.build(data.shape(), data.classes.len(), device, runner));
    drop(progress);
    let trained = trained.map_err(|message| device_failed(&opened[0].name, message))??;
    if let Err(RunnerError::Resume(error)) = trained {
        return Err(error.into());
    }
    let page = write_page(&folder);
    let facts = match (trained, &page) {
        (Ok(facts), _) => facts,
        (Err(error), Ok(())) => {
            let continues = match &error {
                RunnerError::Training(error) if error.diverged().is_some() => {
                    " --on-divergence roll-back` goes on from its last checkpoint with half the learning rate"
                }
                _ => "` continues from its last checkpoint",
            };
            return Err(Failure::from(error).with_help(format!(
                "`{}` shows how far it came; `{command}{continues}",
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
    match print(&facts, recipe, &folder, settings, profile.as_ref()) {
        // A run that was stopped by closing its terminal has no terminal to print to.
        Err(_) if code != 0 => Ok(code),
        printed => printed.map(|()| code),
    }
}

/// The failure of a run whose server froze after some updates; `command` continues the run.
fn frozen(command: &str) -> impl Fn(&DeviceName, u64) -> Failure + Send + use<> {
    let command = command.to_owned();
    move |device, updates| {
        Failure::new(
            format!(
                "the device `{device}` failed in update {}: its server is frozen, it no longer answers",
                updates + 1
            ),
            format!(
                "let the server run on or restart it; `{command}` continues from the last checkpoint, and with `--device flex \
                 --accept-other-bits` on another device"
            ),
        )
    }
}

/// The folder of a new run.
fn create_folder(recipe: &Recipe, settings: &TrainSettings) -> Result<RunFolder, Failure> {
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
    Ok(folder)
}

/// The options that a command that continues the run has to know.
fn stored(settings: &TrainSettings, opened: &[Opened]) -> Settings {
    let data = non_empty(&settings.data).map(|path| path.canonicalize().unwrap_or(path.into()));
    let checkpoints = settings.checkpoints();
    Settings {
        data,
        devices: opened
            .iter()
            .map(|device| device.name.to_string())
            .collect(),
        micro_batch: settings.micro_batch,
        precision: settings.precision.to_string(),
        reference_kernels: settings.kernels == KernelOption::Reference,
        checkpoint_every: checkpoints.every.to_string(),
        keep: checkpoints.keep.get(),
        on_divergence: settings.on_divergence.unwrap_or_default().to_string(),
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

/// The recipe that the arguments ask for.
fn resolve(args: &TrainArgs) -> Result<(Recipe, Vec<Unused>), Failure> {
    let settings = &args.settings;
    let changes = settings.changes();
    let name = args.recipe.as_deref().unwrap_or(MAIN_JOB);
    Ok(Recipe::resolve(name, &changes)?)
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

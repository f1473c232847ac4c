//! Opening a run to continue it.

use std::io::ErrorKind;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use dnw_train::recipe::Recipe;
use dnw_train::resuming::Resume;
use dnw_train::run::{Checkpoint, Facts, RunError, RunFolder, Settings, Status};

use super::failure::Failure;
use super::train_args::{KernelOption, TrainArgs, TrainSettings};
use super::values::non_empty;

/// A run that was begun.
pub enum Begun {
    /// It can go on.
    Unfinished(Box<Unfinished>),
    /// Nothing is left to do.
    Finished {
        folder: RunFolder,
        recipe: Box<Recipe>,
        facts: Box<Facts>,
    },
}

/// A run that can go on.
pub struct Unfinished {
    pub folder: RunFolder,
    pub recipe: Recipe,
    /// The settings that it began with, and those of this command that may differ.
    pub settings: TrainSettings,
    pub resume: Resume,
    /// What to say when it goes on.
    pub notes: Vec<String>,
}

/// Opens and locks the run in a folder.
pub fn open(path: &Path, args: &TrainArgs) -> Result<Begun, Failure> {
    let folder = RunFolder::resume(path)?;
    let recipe = folder.read_recipe()?;
    check_recipe(path, &recipe, args)?;
    let facts = folder.read_facts()?;
    match facts.status {
        Status::Finished => {
            return Ok(Begun::Finished {
                folder,
                recipe: Box::new(recipe),
                facts: Box::new(facts),
            });
        }
        Status::Imported => {
            let what = format!("`{}` was not trained by this program", path.display());
            let help = "train its recipe with `dnw train`, or use its weights with `dnw eval`";
            return Err(Failure::new(what, help));
        }
        Status::Running | Status::Stopped | Status::Failed(_) => {}
    }
    let settings = match folder.read_settings() {
        Ok(mut stored) => {
            if let Some(choice) = args.settings.on_divergence {
                // For the commands after this one, too.
                stored.on_divergence = choice.to_string();
                folder.write_settings(&stored)?;
            }
            restored(stored, &args.settings)?
        }
        // A run of the library has none.
        Err(RunError::Read { source, .. }) if source.kind() == ErrorKind::NotFound => {
            args.settings.clone()
        }
        Err(error) => return Err(error.into()),
    };
    let newest = Checkpoint::newest(&folder)?;
    let mut notes = Vec::new();
    if let Some(process) = folder.left_by() {
        notes.push(format!(
            "`{}` was left by process {process}, which has ended: its lock is taken over",
            path.display()
        ));
    }
    let damaged = newest.damaged.iter();
    notes.extend(
        damaged.map(|damage| format!("warning: a newer checkpoint cannot be used: {damage}")),
    );
    let checkpoint = newest.checkpoint;
    notes.push(format!(
        "`{}` goes on after update {} of {}",
        path.display(),
        checkpoint.update(),
        facts.planned_updates
    ));
    let accept_other_bits = settings.accept_other_bits;
    Ok(Begun::Unfinished(Box::new(Unfinished {
        folder,
        recipe,
        settings,
        resume: Resume {
            checkpoint,
            accept_other_bits,
        },
        notes,
    })))
}

/// Checks that a recipe or changes that were also given are those of the run.
fn check_recipe(path: &Path, own: &Recipe, args: &TrainArgs) -> Result<(), Failure> {
    let changes = args.settings.changes();
    let asked = match &args.recipe {
        Some(name) => Recipe::resolve(name, &changes)?.0,
        None => Recipe::read(&own.to_toml(), &changes)?,
    };
    if asked == *own {
        return Ok(());
    }
    let (own, asked) = (own.to_toml(), asked.to_toml());
    let differing = |text: &str, other: &str| {
        let other: Vec<&str> = other.lines().collect();
        let line = text.lines().find(|line| !other.contains(line));
        line.unwrap_or("nothing").to_owned()
    };
    let what = format!(
        "`{}` trains another recipe: it has `{}` where the command asks for `{}`",
        path.display(),
        differing(&own, &asked),
        differing(&asked, &own)
    );
    let help = "leave the recipe and its changes out to continue the run, or leave out `--resume` to begin one";
    Err(Failure::new(what, help))
}

/// The settings of a run, with those of this command that may differ.
fn restored(stored: Settings, given: &TrainSettings) -> Result<TrainSettings, Failure> {
    let mut settings = given.clone();
    settings.data = data(&stored, given);
    if given.devices.is_empty() && given.device == "auto" {
        settings.devices = stored.devices;
    }
    settings.micro_batch = given.micro_batch.or(stored.micro_batch);
    if given.precision == Default::default() {
        let damaged = |error| Failure::new(error, "`settings.json` of the run was changed");
        settings.precision = stored.precision.parse().map_err(damaged)?;
    }
    if stored.reference_kernels {
        settings.kernels = KernelOption::Reference;
    }
    let every = stored.checkpoint_every.parse().ok();
    settings.checkpoint_every = given.checkpoint_every.or(every);
    settings.on_divergence = given.on_divergence.or(stored.on_divergence.parse().ok());
    settings.keep = given.keep.or(NonZeroUsize::new(stored.keep));
    Ok(settings)
}

/// The folder of the data: one that was given with `--data`, or that of the run, or that of the environment.
fn data(stored: &Settings, given: &TrainSettings) -> Option<PathBuf> {
    let given = non_empty(&given.data).map(Path::to_owned);
    let environment = std::env::var_os("DNW_DATA").map(PathBuf::from);
    match given.is_some() && given != environment {
        true => given,
        false => stored.data.clone().or(given),
    }
}

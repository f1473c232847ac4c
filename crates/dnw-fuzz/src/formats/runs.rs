//! Run folders, file by file.
//!
//! A case is the name of a file in the folder of a run, a zero byte, and the content that this file gets; all others stay whole.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use burn::module::ModuleDisplay;
use burn::tensor::Device;
use dnw_models::{Classifier, UseModel};
use dnw_train::checkpoints::{CheckpointEvery, CheckpointPolicy};
use dnw_train::comparison::compare;
use dnw_train::divergence::OnDivergence;
use dnw_train::recipe::Recipe;
use dnw_train::recording::record;
use dnw_train::resuming::Resume;
use dnw_train::run::{Checkpoint, Facts, RunError, RunFolder, load_weights};
use dnw_train::runner::{Callback, Runner};
use dnw_train::training::{Evaluation, Execution, Update};
use fastrand::Rng;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::format::{Format, Outcome};
use crate::mutation;

/// A finished run: shown, compared, its weights loaded.
pub const RUN: Format = Format {
    change,
    ..Format::new("run", finished_files, read_run, most_memory)
};

/// A run that was stopped, with a checkpoint: resumed. The manifest of the checkpoint gets the hash of the changed file.
pub const CHECKPOINT: Format = Format {
    change,
    ..Format::new("checkpoint", stopped_files, read_checkpoint, most_memory)
};

/// Pages and trainings of a small run need some megabytes beside what the files hold.
fn most_memory(bytes: usize) -> usize {
    (64 << 20) + 200 * bytes
}

const SEPARATOR: u8 = 0;

/// Folders with runs.
struct Runs {
    folder: TempDir,
    device: Device,
    execution: Execution,
}

/// Trainings seed and draw from one generator, and cases change one folder.
static ALONE: Mutex<()> = Mutex::new(());

impl Runs {
    fn get() -> &'static Self {
        static RUNS: OnceLock<Runs> = OnceLock::new();
        RUNS.get_or_init(|| {
            let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
            let opened = dnw_device::open(&dnw_device::host()).expect("the host");
            let runs = Self {
                folder: folder.expect("a temporary folder"),
                execution: Execution::over(std::slice::from_ref(&opened)).expect("one device"),
                device: opened.device,
            };
            for (name, last) in [("finished", u64::MAX), ("stopped", 5)] {
                let folder = RunFolder::create(&runs.path(name)).expect("a new folder");
                let facts = runs.train(&recipe(), &folder, None, last);
                facts
                    .expect("a training of a valid recipe")
                    .expect("a model")
                    .expect("a training");
            }
            runs
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Trains until an update, if nothing forbids it.
    fn train(
        &self,
        recipe: &Recipe,
        folder: &RunFolder,
        resume: Option<Resume>,
        last: u64,
    ) -> Result<Result<Result<Facts, String>, String>, String> {
        let data = recipe.open_data(None).map_err(|error| error.to_string())?;
        if data.train.len() > 2000 {
            return Err("larger than the digits".into());
        }
        let device = self.execution.device();
        device.seed(recipe.seed);
        let runner = Runner {
            recipe,
            data: &data,
            execution: &self.execution,
            folder,
            command: "dnw".into(),
            environment: self.execution.environment(),
            checkpoints: CheckpointPolicy {
                every: CheckpointEvery::Updates(3),
                ..CheckpointPolicy::default()
            },
            on_divergence: OnDivergence::Stop,
            resume,
            callback: &mut Until { last, made: 0 },
        };
        let model = recipe.model.build([1, 8, 8], 10, device, runner);
        let trained = model.map(|trained| trained.map_err(|error| error.to_string()));
        Ok(trained.map_err(|error| error.to_string()))
    }
}

/// Stops a training after an update.
struct Until {
    last: u64,
    made: u64,
}

impl Callback for Until {
    fn on_begin(&mut self, _: &Facts) {}

    fn on_update(&mut self, update: &Update) {
        self.made = update.update;
    }

    fn on_evaluation(&mut self, _: u64, _: &Evaluation, _: &Facts) {}

    fn should_stop(&self) -> bool {
        self.made >= self.last
    }
}

fn recipe() -> Recipe {
    let small = [
        "epochs=2",
        "batch=360",
        "model.fold=2",
        "model.levels=[6, 6]",
        "model.outputs=6",
    ];
    Recipe::named("digits", &small.map(str::to_owned)).expect("a valid recipe")
}

fn finished_files() -> Vec<Vec<u8>> {
    files(&Runs::get().path("finished"))
}

fn stopped_files() -> Vec<Vec<u8>> {
    files(&Runs::get().path("stopped"))
}

/// The files of a run as cases. One frame stands for all; pages are not read.
fn files(run: &Path) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let mut folders = vec![run.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder of the run").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path
                .strip_prefix(run)
                .expect("a path inside")
                .to_str()
                .expect("ASCII");
            let is_other_frame = name.starts_with("frames") && !name.contains("00000000");
            if !is_other_frame && !name.ends_with(".html") && !name.starts_with("run.lock") {
                found.push(case(name, &fs::read(&path).expect("a file of the run")));
            }
        }
    }
    found.sort();
    found
}

fn case(name: &str, content: &[u8]) -> Vec<u8> {
    [name.as_bytes(), &[SEPARATOR], content].concat()
}

/// Name and content of a case.
fn parts(case: &[u8]) -> Option<(&str, &[u8])> {
    let end = case.iter().position(|&byte| byte == SEPARATOR)?;
    Some((std::str::from_utf8(&case[..end]).ok()?, &case[end + 1..]))
}

/// Changes the content only. A part may come from another file.
fn change(random: &mut Rng, files: &[Vec<u8>]) -> Vec<u8> {
    let split = |case: &[u8]| {
        let (name, content) = parts(case).expect("a case");
        (name.to_owned(), content.to_vec())
    };
    let (name, content) = split(&files[random.usize(..files.len())]);
    let (_, other) = split(&files[random.usize(..files.len())]);
    // `changed` begins with either; most cases begin with the file itself.
    let pair = match random.u8(..8) {
        0 => vec![content, other],
        _ => vec![content],
    };
    case(&name, &mutation::changed(random, &pair))
}

/// Whether a run has a file of this name, so that a case cannot write anywhere else.
fn is_file_of(run: &Path, name: &str) -> bool {
    let inside = Path::new(name)
        .components()
        .all(|part| matches!(part, std::path::Component::Normal(_)));
    inside && run.join(name).is_file()
}

fn read_run(bytes: &[u8]) -> Outcome {
    let runs = Runs::get();
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let run = runs.path("finished");
    let Some((name, content)) = parts(bytes).filter(|(name, _)| is_file_of(&run, name)) else {
        return Outcome::Refused;
    };
    let path = run.join(name);
    let whole = fs::read(&path).expect("a file of the run");
    fs::write(&path, content).expect("a file of the run");
    let outcome = show(
        &RunFolder::open(&run).expect("a folder of a run"),
        &runs.device,
    );
    fs::write(&path, whole).expect("a file of the run");
    outcome
}

fn show(folder: &RunFolder, device: &Device) -> Outcome {
    let recording = record(folder);
    if let Ok(recording) = &recording {
        let _ = dnw_report::explorer_page(recording);
        let _ = dnw_report::wiring_svg(recording, &[0, recording.updates]);
    }
    let comparison = compare(std::slice::from_ref(folder), "dnw compare".into());
    if let Ok(comparison) = &comparison {
        let _ = dnw_report::comparison_page(comparison);
        let _ = dnw_report::comparison_svg(comparison);
    }
    let weights = folder.weights("last");
    let load = Load {
        recipe: &recipe(),
        path: &weights,
    };
    let loaded = recipe()
        .model
        .build([1, 8, 8], 10, device, load)
        .expect("a valid model");
    match recording.is_ok() && comparison.is_ok() && loaded.is_ok() {
        true => Outcome::Read,
        false => Outcome::Refused,
    }
}

/// Loads weights into the network of a recipe.
struct Load<'a> {
    recipe: &'a Recipe,
    path: &'a Path,
}

impl UseModel for Load<'_> {
    type Output = Result<(), RunError>;

    fn with<M: Classifier + ModuleDisplay + 'static>(self, model: M) -> Self::Output {
        let wired = self.recipe.wire(1, 10).expect("a valid wiring");
        let mut model = wired.attach(model).expect("a model that can be wired");
        load_weights(&mut *model, self.path)
    }
}

fn read_checkpoint(bytes: &[u8]) -> Outcome {
    let runs = Runs::get();
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let stopped = runs.path("stopped");
    let Some((name, content)) = parts(bytes).filter(|(name, _)| is_file_of(&stopped, name)) else {
        return Outcome::Refused;
    };
    let run = runs.path("resumed");
    let _ = fs::remove_dir_all(&run);
    copy(&stopped, &run);
    let path = run.join(name);
    fs::write(&path, content).expect("a file of the run");
    set_hash(&path, content);
    match resume(runs, &run) {
        Some(()) => Outcome::Read,
        None => Outcome::Refused,
    }
}

/// Goes on with a run for one update.
fn resume(runs: &Runs, run: &Path) -> Option<()> {
    let folder = RunFolder::resume(run).ok()?;
    let _ = folder.read_settings();
    let recipe = folder.read_recipe().ok()?;
    let checkpoint = Checkpoint::newest(&folder).ok()?.checkpoint;
    let resume = Resume {
        checkpoint,
        accept_other_bits: true,
    };
    let trained = runs.train(&recipe, &folder, Some(resume), 0);
    trained.ok()?.ok()?.ok().map(drop)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a new folder");
    for entry in fs::read_dir(from).expect("a folder of the run").flatten() {
        let to = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(fs::copy(entry.path(), to).expect("a file of the run")),
        }
    }
}

/// Writes the hash of a file of a checkpoint into its manifest.
fn set_hash(path: &Path, content: &[u8]) {
    let Some(folder) = path.parent() else {
        return;
    };
    let manifest = folder.join("manifest.json");
    let Ok(text) = fs::read(&manifest) else {
        return;
    };
    let Ok(mut value) = serde_json::from_slice::<Value>(&text) else {
        return;
    };
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let digest: Vec<_> = Sha256::digest(content)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    if let Some(entry) = value.pointer_mut(&format!("/files/{name}")) {
        *entry = json!({ "bytes": content.len(), "sha256": digest.concat() });
        fs::write(&manifest, value.to_string()).expect("a file of the run");
    }
}

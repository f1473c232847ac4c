//! The run folder and its files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::facts::FORMAT;
use super::lock::{LOCK, PROCESS, RunLock};
use super::{
    DrawingFile, Facts, Metrics, RunError, Settings, frame, history, position::hash_of_file,
    write_whole,
};
use crate::recipe::Recipe;

/// The largest `run.json`, `recipe.toml` or `drawing.json` in bytes.
const MAX_TEXT_BYTES: u64 = 64 << 20;

/// A run folder.
#[derive(Clone, Debug)]
pub struct RunFolder {
    path: PathBuf,
    /// The lock of a folder that is being written; readers need none.
    #[allow(dead_code, reason = "it is held, not used")]
    lock: Option<Arc<RunLock>>,
    left_by: Option<u32>,
}

/// The files that a run writes before `run.json`.
const BEGINNING: [&str; 9] = [
    "checkpoints",
    "settings.json",
    "weights",
    "wiring",
    "frames",
    "recipe.toml",
    "metrics.jsonl",
    "samples.safetensors",
    "drawing.json",
];

impl RunFolder {
    /// Creates a run folder. An existing folder must be empty, or hold the files of a process that ended before its run began. No other run can
    /// use the folder as long as this value or a clone of it exists.
    ///
    /// # Errors
    /// [`RunError::Used`] if the folder is not empty; [`RunError::InUse`] if another process writes into it; [`RunError::Write`] if it cannot be
    /// created.
    pub fn create(path: &Path) -> Result<Self, RunError> {
        let failed = |source| RunError::Write {
            path: path.to_owned(),
            source,
        };
        let used = || RunError::Used {
            path: path.to_owned(),
        };
        // Nothing, not even a lock, is written into a folder that is used for something else.
        let there = entries(path).map_err(failed)?;
        if !there.is_empty() && !there.iter().any(|name| name == LOCK) {
            return Err(used());
        }
        std::fs::create_dir_all(path).map_err(failed)?;
        let taken = RunLock::take(path)?;
        let mut there = entries(path).map_err(failed)?;
        there.retain(|name| name != LOCK && name != PROCESS);
        let is_beginning =
            |name: &String| BEGINNING.contains(&name.as_str()) || name.starts_with(".writing-");
        let is_left = taken.was_left && there.iter().all(is_beginning);
        if !there.is_empty() && !is_left {
            return Err(used());
        }
        for name in &there {
            let left = path.join(name);
            let removed = match left.is_dir() {
                true => std::fs::remove_dir_all(&left),
                false => std::fs::remove_file(&left),
            };
            removed.map_err(failed)?;
        }
        for part in ["weights", "wiring", "frames"] {
            std::fs::create_dir_all(path.join(part)).map_err(failed)?;
        }
        Ok(Self {
            path: path.to_owned(),
            lock: Some(Arc::new(taken.lock)),
            left_by: taken.left_by,
        })
    }

    /// Opens the folder of a run to go on with it. No other run can use the folder as long as this value or a clone of it exists.
    ///
    /// # Errors
    /// [`RunError::NoFolder`] if there is no folder, [`RunError::NoRun`] if it has no run, [`RunError::InUse`] if another process writes into it,
    /// [`RunError::Write`] if it cannot be written.
    pub fn resume(path: &Path) -> Result<Self, RunError> {
        let mut folder = Self::open(path)?;
        let taken = RunLock::take(path)?;
        folder.lock = Some(Arc::new(taken.lock));
        folder.left_by = taken.left_by;
        Ok(folder)
    }

    /// The process that had the folder before and ended without releasing it, if any.
    pub fn left_by(&self) -> Option<u32> {
        self.left_by
    }

    /// Creates the next free folder `NAME-1`, `NAME-2`, .. inside `parent`.
    ///
    /// # Errors
    /// [`RunError::Write`] if it cannot be created.
    pub fn create_numbered(parent: &Path, name: &str) -> Result<Self, RunError> {
        let failed = |source| RunError::Write {
            path: parent.to_owned(),
            source,
        };
        std::fs::create_dir_all(parent).map_err(failed)?;
        let mut number = 1u64;
        loop {
            let path = parent.join(format!("{name}-{number}"));
            // Creating the folder decides which of two simultaneous runs gets the number.
            match std::fs::create_dir(&path) {
                Ok(()) => match Self::create(&path) {
                    // Another run took it before it was locked.
                    Err(RunError::InUse { .. } | RunError::Used { .. }) => number += 1,
                    created => return created,
                },
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => number += 1,
                Err(source) => return Err(RunError::Write { path, source }),
            }
        }
    }

    /// Opens a run folder.
    ///
    /// # Errors
    /// [`RunError::NoFolder`] if there is no folder, [`RunError::NoRun`] if it has no run.
    pub fn open(path: &Path) -> Result<Self, RunError> {
        let path = path.to_owned();
        if path.join("run.json").is_file() {
            Ok(Self {
                path,
                lock: None,
                left_by: None,
            })
        } else if path.is_dir() {
            Err(RunError::NoRun { path })
        } else {
            Err(RunError::NoFolder { path })
        }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The short name of the run: the name of the folder.
    pub fn name(&self) -> String {
        let path = self
            .path
            .canonicalize()
            .unwrap_or_else(|_| self.path.clone());
        path.file_name()
            .map_or_else(|| "run".into(), |name| name.to_string_lossy().into_owned())
    }

    /// `weights/WHICH.safetensors`, `WHICH` being `best` or `last`.
    pub fn weights(&self, which: &str) -> PathBuf {
        self.path
            .join("weights")
            .join(format!("{which}.safetensors"))
    }

    /// SHA-256 of these weights' file, in hexadecimal. `WHICH` as in [`weights`](Self::weights).
    ///
    /// # Errors
    /// [`RunError::Read`] if it cannot be read.
    pub fn weights_hash(&self, which: &str) -> Result<String, RunError> {
        hash_of_file(&self.weights(which))
    }

    /// The history of a tensor's wiring.
    pub fn history(&self, tensor: &str) -> PathBuf {
        self.path.join("wiring").join(format!("{tensor}.history"))
    }

    /// The frame of an update.
    pub fn frame(&self, update: u64) -> PathBuf {
        self.path
            .join("frames")
            .join(format!("{update:08}.safetensors"))
    }

    /// `report.html`.
    pub fn report(&self) -> PathBuf {
        self.path.join("report.html")
    }

    /// `samples.safetensors`.
    pub fn samples(&self) -> PathBuf {
        self.path.join("samples.safetensors")
    }

    /// `metrics.jsonl`.
    pub fn metrics(&self) -> PathBuf {
        self.path.join("metrics.jsonl")
    }

    /// `checkpoints`.
    pub(crate) fn checkpoints(&self) -> PathBuf {
        self.path.join("checkpoints")
    }

    /// Writes `settings.json`.
    ///
    /// # Errors
    /// [`RunError::Write`].
    pub fn write_settings(&self, settings: &Settings) -> Result<(), RunError> {
        self.write_json("settings.json", settings)
    }

    /// Reads `settings.json`.
    ///
    /// # Errors
    /// [`RunError::Read`], or [`RunError::Damaged`] if it is invalid.
    pub fn read_settings(&self) -> Result<Settings, RunError> {
        self.read_json("settings.json")
    }

    /// Writes `recipe.toml`.
    ///
    /// # Errors
    /// [`RunError::Write`].
    pub fn write_recipe(&self, recipe: &Recipe) -> Result<(), RunError> {
        write_whole(&self.path.join("recipe.toml"), recipe.to_toml().as_bytes())
    }

    /// Writes `run.json`.
    ///
    /// # Errors
    /// [`RunError::Write`].
    pub fn write_facts(&self, facts: &Facts) -> Result<(), RunError> {
        self.write_json("run.json", facts)
    }

    /// Writes `drawing.json`.
    ///
    /// # Errors
    /// [`RunError::Write`].
    pub fn write_drawing(&self, drawing: &DrawingFile) -> Result<(), RunError> {
        self.write_json("drawing.json", drawing)
    }

    fn write_json(&self, name: &str, value: &impl serde::Serialize) -> Result<(), RunError> {
        let path = self.path.join(name);
        let text =
            serde_json::to_vec_pretty(value).map_err(|error| RunError::damaged(&path, error))?;
        write_whole(&path, &text)
    }

    /// Reads `recipe.toml`.
    ///
    /// # Errors
    /// [`RunError::Read`], or [`RunError::Damaged`] if it is not a valid recipe.
    pub fn read_recipe(&self) -> Result<Recipe, RunError> {
        let path = self.path.join("recipe.toml");
        let text = read_text(&path)?;
        Recipe::read(&text, &[]).map_err(|error| RunError::damaged(&path, error))
    }

    /// Reads `run.json`.
    ///
    /// # Errors
    /// [`RunError::Read`], or [`RunError::Damaged`] if it is invalid.
    pub fn read_facts(&self) -> Result<Facts, RunError> {
        let facts: Facts = self.read_json("run.json")?;
        let reason = match facts.format {
            FORMAT => facts.problem(),
            other => Some(format!(
                "its format is {other}, this program reads {FORMAT}"
            )),
        };
        match reason {
            None => Ok(facts),
            Some(reason) => Err(RunError::damaged(self.path.join("run.json"), reason)),
        }
    }

    /// Reads `drawing.json`, if there is one.
    ///
    /// # Errors
    /// [`RunError::Read`], or [`RunError::Damaged`] if it is invalid.
    pub fn read_drawing(&self) -> Result<Option<DrawingFile>, RunError> {
        if !self.path.join("drawing.json").exists() {
            return Ok(None);
        }
        let drawing: DrawingFile = self.read_json("drawing.json")?;
        match drawing.problem() {
            None => Ok(Some(drawing)),
            Some(reason) => Err(RunError::damaged(self.path.join("drawing.json"), reason)),
        }
    }

    fn read_json<T: DeserializeOwned>(&self, name: &str) -> Result<T, RunError> {
        let path = self.path.join(name);
        serde_json::from_str(&read_text(&path)?)
            .map_err(|error| RunError::no_json(&path, None, &error))
    }

    /// Reads the metrics of a run with this number of classes, up to the last complete line.
    ///
    /// # Errors
    /// [`RunError::Read`], or [`RunError::Damaged`] if a complete line is invalid or does not follow the line before.
    pub fn read_metrics(&self, classes: usize) -> Result<Metrics, RunError> {
        let metrics = Metrics::read(&self.metrics())?;
        match metrics.problem(classes) {
            None => Ok(metrics),
            Some(reason) => Err(RunError::damaged(self.metrics(), reason)),
        }
    }

    /// Reads the history of the wiring of a tensor with this number of entries, up to the last complete record.
    ///
    /// # Errors
    /// [`RunError::Read`], or [`RunError::Damaged`] if its header is invalid.
    pub fn read_history(&self, tensor: &str, entries: usize) -> Result<history::History, RunError> {
        history::read(&self.history(tensor), entries)
    }

    /// The updates that have frames, ascending.
    ///
    /// # Errors
    /// [`RunError::Read`].
    pub fn frame_updates(&self) -> Result<Vec<u64>, RunError> {
        let path = self.path.join("frames");
        let entries = std::fs::read_dir(&path).map_err(|source| RunError::Read { path, source })?;
        let mut updates: Vec<u64> = entries
            .flatten()
            .filter_map(|entry| {
                entry
                    .file_name()
                    .to_str()?
                    .strip_suffix(".safetensors")?
                    .parse()
                    .ok()
            })
            .collect();
        updates.sort_unstable();
        Ok(updates)
    }

    /// Reads the frame of an update.
    ///
    /// # Errors
    /// [`RunError::Read`] or [`RunError::Damaged`].
    pub fn read_frame(&self, update: u64) -> Result<frame::Frame, RunError> {
        frame::Frame::read(&self.frame(update))
    }
}

/// The names of the entries of a folder; empty if there is no folder.
pub(super) fn entries(path: &Path) -> std::io::Result<Vec<String>> {
    match std::fs::read_dir(path) {
        Ok(entries) => entries
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn read_text(path: &Path) -> Result<String, RunError> {
    let failed = |source| RunError::Read {
        path: path.to_owned(),
        source,
    };
    let size = std::fs::metadata(path).map_err(failed)?.len();
    if size > MAX_TEXT_BYTES {
        return Err(RunError::damaged(
            path,
            format!("it has {size} bytes, more than {MAX_TEXT_BYTES}"),
        ));
    }
    std::fs::read_to_string(path).map_err(|source| RunError::unreadable(path, source))
}

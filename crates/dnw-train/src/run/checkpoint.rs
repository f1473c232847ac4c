//! Checkpoints: everything that the rest of a run depends on.
//!
//! A checkpoint is a folder `checkpoints/UPDATE` with the tensors, the state of the optimizer, everything else as JSON, links to the weights
//! of the last and of the best evaluation, and a manifest with the size and the SHA-256 of each file. It is written under another name, the
//! manifest last, everything is synced, and then the folder gets its name. So a checkpoint is whole or absent, and one that was damaged later
//! is recognised.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use dnw_core::WiredProgress;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::frame::read_bounded;
use super::position::{Position, check_beginning};
use super::{RunError, RunFolder};
use crate::training::{LossScaleRecord, TrainingRecord};

mod state;
mod tensors;

pub(crate) use state::{FilesState, Origin, RunState, Scores, SumsState};

use tensors::Named;

/// The version of the format.
const FORMAT: u32 = 1;
/// The beginning of the name of what is being written, as in [`super::write_whole`].
const WRITING: &str = ".writing-";
/// The largest manifest in bytes.
const MAX_MANIFEST_BYTES: u64 = 1 << 16;

const TENSORS: &str = "tensors.safetensors";
const OPTIMIZER: &str = "optimizer.burnpack";
const STATE: &str = "state.json";
const MANIFEST: &str = "manifest.json";
/// The weights of the last and of the best evaluation.
const WEIGHTS: [&str; 2] = ["last", "best"];

/// A checkpoint that was read: whole, and with all files of its run that it needs.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    pub(crate) record: TrainingRecord,
    pub(crate) state: RunState,
}

/// The newest whole checkpoint, and why newer ones are not.
#[derive(Debug)]
pub struct Newest {
    /// The checkpoint.
    pub checkpoint: Checkpoint,
    /// Newer checkpoints that are damaged.
    pub damaged: Vec<RunError>,
}

/// `state.json`.
#[derive(Serialize, Deserialize)]
struct StateFile {
    format: u32,
    run: RunState,
    progress: WiredProgress,
    loss_scale: Option<LossScaleRecord>,
    #[serde(default)]
    rate_halvings: u32,
    /// The ids of parameters, by the name of their tensor.
    ids: BTreeMap<String, u64>,
    /// Whether there is a model to rewind to.
    rewinds: bool,
}

/// `manifest.json`.
#[derive(Serialize, Deserialize)]
struct Manifest {
    format: u32,
    files: BTreeMap<String, Position>,
}

impl Checkpoint {
    /// The updates made before it.
    pub fn update(&self) -> u64 {
        self.record.model.progress.clock.update
    }

    /// The newest whole checkpoint of a run.
    ///
    /// # Errors
    /// [`RunError::NoCheckpoint`] if there is none, with the damage of those that there are; [`RunError::Read`] if the folder cannot be read.
    pub fn newest(folder: &RunFolder) -> Result<Newest, RunError> {
        let mut damaged = Vec::new();
        for (_, path) in list(folder)?.into_iter().rev() {
            match read(folder, &path) {
                Ok(checkpoint) => {
                    return Ok(Newest {
                        checkpoint,
                        damaged,
                    });
                }
                Err(error) => damaged.push(error),
            }
        }
        Err(RunError::NoCheckpoint {
            path: folder.path().to_owned(),
            damaged: damaged.iter().map(ToString::to_string).collect(),
        })
    }

    /// The checkpoint that was made after an update.
    ///
    /// # Errors
    /// [`RunError::Read`], or [`RunError::Damaged`] if it, or a file of the run that it needs, is not as it was.
    pub(crate) fn at(folder: &RunFolder, update: u64) -> Result<Self, RunError> {
        read(folder, &path_of(folder, update))
    }

    /// Writes a checkpoint, and then removes all but the `keep` newest and the one to roll back to.
    pub(crate) fn write(
        folder: &RunFolder,
        record: TrainingRecord,
        state: RunState,
        keep: usize,
    ) -> Result<(), RunError> {
        let update = record.model.progress.clock.update;
        let parent = folder.checkpoints();
        let failed = |source| RunError::Write {
            path: parent.clone(),
            source,
        };
        match fs::create_dir(&parent) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(failed(error)),
            _ => {}
        }
        let new = tempfile::Builder::new().prefix(WRITING).tempdir_in(&parent);
        let new = new.map_err(failed)?;
        let good = state.good;
        write_files(folder, new.path(), record, state)?;
        let path = path_of(folder, update);
        let rename = || {
            sync_folder(new.path())?;
            if path.exists() {
                fs::remove_dir_all(&path)?;
            }
            fs::rename(new.path(), &path)?;
            sync_folder(&parent)
        };
        rename().map_err(failed)?;
        // It has another name now.
        let _ = new.keep();
        let all = list(folder)?;
        let old = all[..all.len().saturating_sub(keep)].iter();
        for (_, old) in old.filter(|(update, _)| good != Some(*update)) {
            remove(old)?;
        }
        Ok(())
    }

    /// Removes newer checkpoints, which the run that is resumed from this one will write again, and what was not finished.
    pub(crate) fn remove_others(&self, folder: &RunFolder) -> Result<(), RunError> {
        let path = folder.checkpoints();
        let failed = |source| RunError::Write {
            path: path.clone(),
            source,
        };
        for (_, newer) in list(folder)?.iter().filter(|(at, _)| *at > self.update()) {
            remove(newer)?;
        }
        for entry in fs::read_dir(&path).map_err(failed)?.flatten() {
            if entry.file_name().to_string_lossy().starts_with(WRITING) {
                fs::remove_dir_all(entry.path()).map_err(failed)?;
            }
        }
        Ok(())
    }

    /// The bytes of the weights of the last or best evaluation before it, if there was one.
    pub(crate) fn weights(
        &self,
        folder: &RunFolder,
        which: &str,
    ) -> Result<Option<Vec<u8>>, RunError> {
        if !self.state.files.weights.contains_key(which) {
            return Ok(None);
        }
        let path = path_of(folder, self.update());
        read_bounded(&path.join(weights_name(which))).map(Some)
    }
}

fn path_of(folder: &RunFolder, update: u64) -> PathBuf {
    folder.checkpoints().join(format!("{update:08}"))
}

fn weights_name(which: &str) -> String {
    format!("{which}.safetensors")
}

/// The checkpoints of a run with their updates, ascending. A folder without a manifest is not one: its removal was interrupted.
fn list(folder: &RunFolder) -> Result<Vec<(u64, PathBuf)>, RunError> {
    let path = folder.checkpoints();
    let entries = match fs::read_dir(&path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(RunError::Read { path, source }),
    };
    let mut found: Vec<(u64, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path())))
        .filter(|(_, path)| path.join(MANIFEST).exists())
        .collect();
    found.sort();
    Ok(found)
}

/// Removes a checkpoint, its manifest first, so that an interrupted removal leaves none.
fn remove(path: &Path) -> Result<(), RunError> {
    let removed = fs::remove_file(path.join(MANIFEST)).and_then(|()| fs::remove_dir_all(path));
    removed.map_err(|source| RunError::Write {
        path: path.to_owned(),
        source,
    })
}

fn sync_folder(path: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    File::open(path)?.sync_all()?;
    let _ = path;
    Ok(())
}

fn write_files(
    folder: &RunFolder,
    new: &Path,
    record: TrainingRecord,
    state: RunState,
) -> Result<(), RunError> {
    let mut files = BTreeMap::new();
    let mut add = |name: &str, bytes: &[u8]| {
        let path = new.join(name);
        let write = || {
            let mut file = File::create(&path)?;
            file.write_all(bytes)?;
            file.sync_all()
        };
        files.insert(name.to_owned(), Position::of(bytes));
        write().map_err(|source| RunError::Write {
            path: path.clone(),
            source,
        })
    };
    let named = Named::of(record.model);
    let path = new.join(TENSORS);
    add(TENSORS, &named.to_bytes(&path)?)?;
    add(OPTIMIZER, &record.optimizer)?;
    let weights = state.files.weights.clone();
    let state = StateFile {
        format: FORMAT,
        run: state,
        progress: named.progress,
        loss_scale: record.loss_scale,
        rate_halvings: record.rate_halvings,
        ids: named.ids,
        rewinds: named.rewinds,
    };
    add(STATE, &json(&new.join(STATE), &state)?)?;
    for (which, position) in weights {
        let (from, to) = (folder.weights(&which), new.join(weights_name(&which)));
        // Weights are replaced, never changed, so a link keeps them. Not every file system has links.
        let linked = fs::hard_link(&from, &to)
            .or_else(|_| fs::copy(&from, &to).and_then(|_| File::open(&to)?.sync_all()));
        linked.map_err(|source| RunError::Write { path: to, source })?;
        files.insert(weights_name(&which), position);
    }
    let manifest = Manifest {
        format: FORMAT,
        files,
    };
    let path = new.join(MANIFEST);
    let bytes = json(&path, &manifest)?;
    let write = || {
        let mut file = File::create(&path)?;
        file.write_all(&bytes)?;
        file.sync_all()
    };
    write().map_err(|source| RunError::Write { path, source })
}

fn json(path: &Path, value: &impl Serialize) -> Result<Vec<u8>, RunError> {
    serde_json::to_vec_pretty(value).map_err(|error| RunError::damaged(path, error))
}

fn parsed<T: DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<T, RunError> {
    serde_json::from_slice(bytes).map_err(|error| RunError::no_json(path, None, &error))
}

/// Reads a checkpoint and checks everything that it names.
fn read(folder: &RunFolder, path: &Path) -> Result<Checkpoint, RunError> {
    let manifest_path = path.join(MANIFEST);
    let size = fs::metadata(&manifest_path).map_or(0, |file| file.len());
    if size > MAX_MANIFEST_BYTES {
        return Err(RunError::damaged(
            manifest_path,
            format!("it has {size} bytes"),
        ));
    }
    let manifest: Manifest = parsed(&manifest_path, &read_bounded(&manifest_path)?)?;
    check_format(&manifest_path, manifest.format)?;
    let checked = |name: &str| {
        let file = path.join(name);
        let Some(position) = manifest.files.get(name) else {
            return Err(RunError::damaged(
                &manifest_path,
                format!("it lacks `{name}`"),
            ));
        };
        let size = fs::metadata(&file).map_or(0, |file| file.len());
        if size != position.bytes {
            let reason = format!("it has {size} bytes of {}", position.bytes);
            return Err(RunError::damaged(file, reason));
        }
        let bytes = read_bounded(&file)?;
        match Position::of(&bytes) == *position {
            true => Ok(bytes),
            false => Err(RunError::damaged(file, "its bytes have changed")),
        }
    };
    let state_path = path.join(STATE);
    let state: StateFile = parsed(&state_path, &checked(STATE)?)?;
    check_format(&state_path, state.format)?;
    check_run(folder, &state)?;
    for which in WEIGHTS {
        if state.run.files.weights.contains_key(which) {
            checked(&weights_name(which))?;
        }
    }
    let named = Named {
        tensors: tensors::from_bytes(&checked(TENSORS)?, &path.join(TENSORS))?,
        ids: state.ids,
        rewinds: state.rewinds,
        progress: state.progress,
    };
    let record = TrainingRecord {
        model: named.into_record(&path.join(TENSORS))?,
        optimizer: checked(OPTIMIZER)?,
        loss_scale: state.loss_scale,
        rate_halvings: state.rate_halvings,
    };
    let at = record.model.progress.clock.update;
    if path.file_name().and_then(|name| name.to_str()) != Some(&format!("{at:08}")) {
        let reason = format!("it was made after update {at}, which its name does not say");
        return Err(RunError::damaged(path, reason));
    }
    Ok(Checkpoint {
        record,
        state: state.run,
    })
}

fn check_format(path: &Path, format: u32) -> Result<(), RunError> {
    if format == FORMAT {
        return Ok(());
    }
    let reason = format!("its format is {format}, this program reads {FORMAT}");
    Err(RunError::damaged(path, reason))
}

/// Checks the files of the run that a checkpoint needs.
fn check_run(folder: &RunFolder, state: &StateFile) -> Result<(), RunError> {
    let files = &state.run.files;
    check_beginning(&folder.metrics(), &files.metrics)?;
    for (tensor, position) in &files.histories {
        check_beginning(&folder.history(tensor), &position.file)?;
    }
    for &update in &files.frames {
        folder.read_frame(update)?;
    }
    Ok(())
}

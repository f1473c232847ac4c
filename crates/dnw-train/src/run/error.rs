//! Errors of run folders.

use std::path::{Path, PathBuf};

/// Why a run folder cannot be created, written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The folder is not empty.
    #[error("`{}` is not empty: a run is never written over", .path.display())]
    Used {
        /// The folder.
        path: PathBuf,
    },
    /// Another process writes a run into the folder.
    #[error("{} a run into `{}`, and two in one folder would destroy each other's", writer(.process), .path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
        /// The process, if known.
        process: Option<u32>,
    },
    /// The run has no whole checkpoint.
    #[error("`{}` has no checkpoint to go on from{}", .path.display(), listed(.damaged))]
    NoCheckpoint {
        /// The folder.
        path: PathBuf,
        /// What is wrong with its checkpoints, newest first.
        damaged: Vec<String>,
    },
    /// A file or folder cannot be written.
    #[error("cannot write `{}`: {source}", .path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A file cannot be read.
    #[error("cannot read `{}`: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The folder is not a run folder.
    #[error("`{}` is no run folder: there is no `run.json` in it", .path.display())]
    NoRun {
        /// The folder.
        path: PathBuf,
    },
    /// There is no such folder.
    #[error("there is no folder `{}`", .path.display())]
    NoFolder {
        /// The path.
        path: PathBuf,
    },
    /// A file has invalid content.
    #[error("`{}` is damaged: {reason}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl RunError {
    /// An error for a file with invalid content.
    pub fn damaged(path: impl Into<PathBuf>, reason: impl ToString) -> Self {
        Self::Damaged {
            path: path.into(),
            reason: reason.to_string(),
        }
    }

    /// An error for a file with invalid JSON; `line` is its line in a file with one value per line.
    pub(crate) fn no_json(path: &Path, line: Option<usize>, error: &serde_json::Error) -> Self {
        let at = line.unwrap_or(error.line());
        let reason = match error.classify() {
            serde_json::error::Category::Eof => format!("it ends in the middle, in line {at}"),
            serde_json::error::Category::Syntax => format!("line {at} is not JSON"),
            _ => {
                let message = error.to_string();
                let what = message.split(" at line ").next().unwrap_or_default();
                format!("line {at} holds something else than this program writes: {what}")
            }
        };
        Self::damaged(path, reason)
    }

    /// An error for a file that cannot be read: damaged if it is there but is not text.
    pub(crate) fn unreadable(path: &Path, source: std::io::Error) -> Self {
        match source.kind() {
            std::io::ErrorKind::InvalidData => Self::damaged(path, "it is not text"),
            _ => Self::Read {
                path: path.to_owned(),
                source,
            },
        }
    }

    /// What to do about it.
    pub fn help(&self) -> String {
        match self {
            Self::Used { path } if path.join("run.json").is_file() => format!(
                "choose another folder with `--out`, move this one away, or continue its run with `dnw train --resume {}`",
                path.display()
            ),
            Self::Used { .. } => "choose another folder with `--out`, or move this one away".into(),
            Self::NoCheckpoint { .. } => "train again to another folder with the command that `run.json` names".into(),
            Self::InUse { .. } => "choose another folder with `--out`, or wait until that process has ended".into(),
            Self::Write { .. } => "choose a folder that can be written with `--out`, and look whether the disk is full".into(),
            Self::Read { path, source } if source.kind() == std::io::ErrorKind::NotFound => match name(path) {
                Some("best.safetensors") => "no epoch of this run was evaluated: try `--weights last`".into(),
                _ => "a file of the run is missing: copy the whole folder again, or train again to another folder".into(),
            },
            Self::Read { .. } => "look whether the file may be read".into(),
            Self::NoFolder { path } | Self::NoRun { path } => match runs_beside(path) {
                Some(run) => format!("give the folder that a training wrote, such as `{}`", run.display()),
                None => "give the folder that `dnw train` wrote; the last line it prints names it".into(),
            },
            Self::Damaged { path, .. } => match name(path) {
                Some("best.safetensors") => "the other weights may be sound: try `--weights last`".into(),
                Some("last.safetensors") => "the other weights may be sound: try `--weights best`".into(),
                Some("run.json") => "the run cannot be mended; train again to another folder".into(),
                _ => "the run cannot be mended; train it again with the command that `run.json` names".into(),
            },
        }
    }
}

fn writer(process: &Option<u32>) -> String {
    match process {
        Some(process) => format!("process {process} is writing"),
        None => "another process is writing".to_owned(),
    }
}

fn listed(damaged: &[String]) -> String {
    damaged.iter().map(|reason| format!("; {reason}")).collect()
}

fn name(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()
}

/// A run folder inside `path` or beside it, as a suggestion.
fn runs_beside(path: &Path) -> Option<PathBuf> {
    let holds_run = |folder: &PathBuf| folder.join("run.json").is_file();
    let inside = |folder: &Path| {
        let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
            .ok()?
            .flatten()
            .map(|e| e.path())
            .filter(holds_run)
            .collect();
        found.sort();
        found.pop()
    };
    inside(path).or_else(|| inside(path.parent()?))
}

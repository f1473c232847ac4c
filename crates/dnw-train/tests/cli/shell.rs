//! Runs the program in a temporary folder.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Settings of a training of eight updates, independent of the recipe's own.
pub const SHORT: [&str; 12] = [
    "--set",
    "epochs=2",
    "--set",
    "batch=360",
    "--set",
    "model.fold=2",
    "--set",
    "model.levels=[6, 6]",
    "--set",
    "model.outputs=6",
    "--set",
    "wiring.rule=dnw",
];

/// A temporary folder in which the program runs.
pub struct Shell(tempfile::TempDir);

/// The result of a run of the program.
#[derive(Debug)]
pub struct Answer {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Shell {
    pub fn new() -> Self {
        // Every file of a run is synced, which is slow on a busy disk.
        let memory = tempfile::tempdir_in("/dev/shm");
        Self(memory.or_else(|_| tempfile::tempdir()).unwrap())
    }

    /// A folder with the finished run `run`.
    pub fn with_run() -> Self {
        let shell = Self::new();
        shell.train("run", &[]).succeeded();
        shell
    }

    pub fn path(&self, inside: impl AsRef<Path>) -> PathBuf {
        self.0.path().join(inside)
    }

    /// A command that runs the program here, without the environment variables that it reads.
    pub fn command(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dnw"));
        command
            .args(arguments)
            .current_dir(self.0.path())
            .env_remove("DNW_DATA")
            .env_remove("DNW_TOKEN")
            // On a software adapter, tuning needs minutes.
            .env("CUBECL_AUTOTUNE_LEVEL", "minimal");
        command
    }

    pub fn dnw(&self, arguments: &[&str]) -> Answer {
        self.command(arguments).output().unwrap().into()
    }

    pub fn dnw_owned(&self, arguments: &[String]) -> Answer {
        self.command(arguments).output().unwrap().into()
    }

    /// Runs `dnw` with the arguments of a command line, separated by spaces.
    pub fn run(&self, line: &str) -> Answer {
        self.command(line.split(' ')).output().unwrap().into()
    }

    /// A short training of the digits into `out`, with further arguments.
    pub fn train(&self, out: &str, more: &[&str]) -> Answer {
        self.dnw(
            &[
                &["train", "digits", "--quiet", "--out", out],
                &SHORT[..],
                more,
            ]
            .concat(),
        )
    }

    /// Every file below `folder` and its bytes.
    pub fn files(&self, folder: &str) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        let mut waiting = vec![self.path(folder)];
        while let Some(folder) = waiting.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    waiting.push(path);
                } else {
                    let name = path.strip_prefix(self.0.path()).unwrap();
                    files.insert(name.to_str().unwrap().to_owned(), fs::read(&path).unwrap());
                }
            }
        }
        files
    }

    /// `run.json` of a run.
    pub fn facts(&self, run: &str) -> serde_json::Value {
        serde_json::from_slice(&fs::read(self.path(run).join("run.json")).unwrap()).unwrap()
    }
}

impl From<Output> for Answer {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Answer {
    #[track_caller]
    pub fn succeeded(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:?}");
        self
    }

    /// Checks that it failed with an error and a remedy that contain these words.
    #[track_caller]
    pub fn refused(self, words: &[&str]) -> Self {
        assert_eq!(self.code, Some(1), "{self:?}");
        assert!(self.stdout.is_empty(), "an error has no result: {self:?}");
        let lines: Vec<&str> = self.stderr.lines().collect();
        assert!(lines[0].starts_with("error: "), "{self:?}");
        assert!(
            lines.len() > 1 && lines[1].starts_with("help: "),
            "{self:?}"
        );
        assert!(!self.stderr.contains("panicked"), "{self:?}");
        for jargon in [
            "Some(",
            "Err(",
            "unwrap",
            "usize",
            "struct ",
            "ParamGroup",
            "TensorFacts",
        ] {
            assert!(
                !self.stderr.contains(jargon),
                "`{jargon}` says nothing to a user: {self:?}"
            );
        }
        for word in words {
            assert!(self.stderr.contains(word), "`{word}` is not in {self:?}");
        }
        self
    }

    /// Checks that standard output contains these words.
    #[track_caller]
    pub fn prints(self, words: &[&str]) -> Self {
        for word in words {
            assert!(self.stdout.contains(word), "`{word}` is not in {self:?}");
        }
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

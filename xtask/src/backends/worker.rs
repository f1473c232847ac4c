//! The process that measures one network on one device.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Seek};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::row::{Asked, Outcome, Row};

/// A program that measures.
pub struct Worker {
    program: PathBuf,
    /// What it is given before anything else.
    first: Vec<OsString>,
}

/// What a worker can measure here.
#[derive(Debug, Deserialize)]
pub struct Listing {
    /// Devices.
    pub devices: Vec<String>,
    /// Networks.
    pub models: Vec<String>,
}

impl Worker {
    /// The worker at this path.
    pub fn new(program: PathBuf) -> Self {
        Self {
            program,
            first: Vec::new(),
        }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.first).stdin(Stdio::null());
        command
    }

    fn cannot_be_run(&self, error: &std::io::Error) -> String {
        format!("{} cannot be run: {error}", self.program.display())
    }

    /// What it can measure here.
    pub fn list(&self) -> Result<Listing, String> {
        let output = self
            .command()
            .arg("--list")
            .stderr(Stdio::inherit())
            .output()
            .map_err(|error| self.cannot_be_run(&error))?;
        serde_json::from_slice(&output.stdout)
            .map_err(|error| format!("the worker did not say what it can measure: {error}"))
    }

    /// Measures one network on one device, for at most so long.
    ///
    /// # Errors
    /// If the program cannot be run at all; whatever it does then is the row's outcome.
    pub fn measure(&self, asked: &Asked, limit: Duration) -> Result<Row, String> {
        let mut command = self.command();
        command.args([&asked.device, &asked.model]);
        command.arg("--rounds").arg(asked.rounds.to_string());
        for (flag, value) in [("--batch", asked.batch), ("--threads", asked.threads)] {
            if let Some(value) = value {
                command.arg(flag).arg(value.to_string());
            }
        }
        if asked.device.ends_with(":cpu") && std::env::var_os("CUBECL_AUTOTUNE_LEVEL").is_none() {
            // Tuning kernels needs minutes on a software adapter, and says nothing about a GPU.
            command.env("CUBECL_AUTOTUNE_LEVEL", "minimal");
        }
        // Files and no pipes: a process that is ended may leave children that hold a pipe open.
        let temporary =
            || tempfile::tempfile().map_err(|error| format!("no temporary file: {error}"));
        let (mut said, mut complained) = (temporary()?, temporary()?);
        let share = |file: &File| {
            file.try_clone()
                .map(Stdio::from)
                .map_err(|error| error.to_string())
        };
        command.stdout(share(&said)?).stderr(share(&complained)?);
        let mut child = command
            .spawn()
            .map_err(|error| self.cannot_be_run(&error))?;
        let began = Instant::now();
        let ended = loop {
            match child.try_wait() {
                Ok(Some(status)) => break Some(status),
                Ok(None) if began.elapsed() < limit => {
                    std::thread::sleep(Duration::from_millis(50));
                }
                _ => break None,
            }
        };
        let outcome = match ended {
            Some(status) => outcome(status, &text_of(&mut said), &text_of(&mut complained)),
            None => {
                // It may have ended by itself in this moment; either way it is gone then.
                let _ = child.kill();
                let _ = child.wait();
                Outcome::OutOfTime(limit.as_secs())
            }
        };
        Ok(Row {
            asked: asked.clone(),
            outcome,
        })
    }
}

fn text_of(file: &mut File) -> String {
    let mut bytes = Vec::new();
    let read = file.rewind().and_then(|()| file.read_to_end(&mut bytes));
    match read {
        Ok(_) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => format!("error: what it said cannot be read: {error}"),
    }
}

/// What came of a worker that ended.
fn outcome(status: ExitStatus, said: &str, complained: &str) -> Outcome {
    if status.success() {
        return match serde_json::from_str(said) {
            Ok(measured) => Outcome::Measured(Box::new(measured)),
            Err(error) => Outcome::Crashed(format!("what it printed cannot be read: {error}")),
        };
    }
    let error = complained
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix("error: "));
    match (status.code(), error) {
        (Some(_), Some(error)) => Outcome::Refused(error.to_owned()),
        _ => {
            let last = complained
                .lines()
                .rev()
                .find(|line| !line.trim().is_empty());
            let last = last.map_or_else(String::new, |line| format!(": {}", line.trim()));
            Outcome::Crashed(format!("{status}{last}"))
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::backends::table::tests::recorded;

    /// A worker that is a line of shell; `$0` is the device, `$1` the network.
    fn shell(script: &str) -> Worker {
        Worker {
            program: "sh".into(),
            first: vec!["-c".into(), script.into()],
        }
    }

    fn outcome_of(script: &str) -> Outcome {
        let asked = Asked {
            device: "wgpu:cpu".into(),
            model: "mnist".into(),
            batch: Some(4),
            threads: None,
            rounds: 3,
        };
        let row = shell(script).measure(&asked, Duration::from_millis(1500));
        let row = row.expect("there is a shell");
        assert_eq!(row.asked, asked);
        row.outcome
    }

    #[test]
    fn a_worker_that_hangs_is_ended_and_is_a_row() {
        let began = Instant::now();
        assert_eq!(outcome_of("sleep 60"), Outcome::OutOfTime(1));
        assert!(
            began.elapsed() < Duration::from_secs(30),
            "it was waited for"
        );
    }

    #[test]
    fn a_worker_that_crashes_is_a_row_with_its_signal_and_last_words() {
        let Outcome::Crashed(how) = outcome_of("echo 'the driver is gone' >&2; kill -SEGV $$")
        else {
            panic!("it crashed")
        };
        assert!(how.contains("signal: 11"), "{how}");
        assert!(how.ends_with(": the driver is gone"), "{how}");
        let silent = outcome_of("exit 3");
        assert_eq!(silent, Outcome::Crashed("exit status: 3".into()));
        let Outcome::Crashed(how) = outcome_of("echo not json") else {
            panic!("it printed no numbers")
        };
        assert!(how.contains("cannot be read"), "{how}");
    }

    #[test]
    fn a_worker_that_refuses_is_a_row_with_its_sentence() {
        let refused = outcome_of("echo \"error: there is no $0 for $1\" >&2; exit 1");
        assert_eq!(
            refused,
            Outcome::Refused("there is no wgpu:cpu for mnist".into())
        );
    }

    #[test]
    fn a_worker_that_measures_is_asked_as_it_should_be_and_is_a_row_of_its_numbers() {
        let Outcome::Measured(known) = &recorded().rows[0].outcome else {
            panic!("the first row was measured")
        };
        let json = serde_json::to_string(known).expect("plain values");
        let script = format!(
            "[ \"$0 $*\" = 'wgpu:cpu mnist --rounds 3 --batch 4' ] && [ $CUBECL_AUTOTUNE_LEVEL ] && echo '{json}'"
        );
        assert_eq!(outcome_of(&script), Outcome::Measured(known.clone()));
    }

    #[test]
    fn a_program_that_is_not_there_is_said_so() {
        let worker = Worker::new("/nowhere/bench-backend".into());
        let error = worker.list().expect_err("it is not there");
        assert!(
            error.contains("/nowhere/bench-backend cannot be run"),
            "{error}"
        );
    }
}

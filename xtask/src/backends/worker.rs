//! The process that measures one network on one device.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Seek};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::row::{Outcome, Request, Row};

/// The program that measures.
pub struct Worker {
    program: PathBuf,
    /// Arguments before all others.
    leading: Vec<OsString>,
}

/// What a worker can measure on this machine.
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
            leading: Vec::new(),
        }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.leading).stdin(Stdio::null());
        command
    }

    fn run_error(&self, error: &std::io::Error) -> String {
        format!("{} cannot be run: {error}", self.program.display())
    }

    /// What it can measure on this machine.
    pub fn list(&self) -> Result<Listing, String> {
        let output = self
            .command()
            .arg("--list")
            .stderr(Stdio::inherit())
            .output()
            .map_err(|error| self.run_error(&error))?;
        serde_json::from_slice(&output.stdout)
            .map_err(|error| format!("the worker did not list what it can measure: {error}"))
    }

    /// Measures one network on one device, within a time limit.
    ///
    /// # Errors
    /// If the program cannot be started. Everything that happens then is the outcome of the row.
    pub fn measure(&self, request: &Request, limit: Duration) -> Result<Row, String> {
        let mut command = self.command();
        command.args([&request.device, &request.model]);
        command.arg("--rounds").arg(request.rounds.to_string());
        for (flag, value) in [("--batch", request.batch), ("--threads", request.threads)] {
            if let Some(value) = value {
                command.arg(flag).arg(value.to_string());
            }
        }
        if request.device.ends_with(":cpu") && std::env::var_os("CUBECL_AUTOTUNE_LEVEL").is_none() {
            // On a software adapter, tuning takes minutes and says nothing about GPUs.
            command.env("CUBECL_AUTOTUNE_LEVEL", "minimal");
        }
        // Files, not pipes: the children of a killed process may keep a pipe open.
        let temporary =
            || tempfile::tempfile().map_err(|error| format!("no temporary file: {error}"));
        let (mut stdout, mut stderr) = (temporary()?, temporary()?);
        let share = |file: &File| {
            file.try_clone()
                .map(Stdio::from)
                .map_err(|error| error.to_string())
        };
        command.stdout(share(&stdout)?).stderr(share(&stderr)?);
        let mut child = command.spawn().map_err(|error| self.run_error(&error))?;
        let began = Instant::now();
        let status = loop {
            match child.try_wait() {
                Ok(Some(status)) => break Some(status),
                Ok(None) if began.elapsed() < limit => {
                    std::thread::sleep(Duration::from_millis(50));
                }
                _ => break None,
            }
        };
        let outcome = match status {
            Some(status) => outcome(status, &read_all(&mut stdout), &read_all(&mut stderr)),
            None => {
                // It may have exited at this moment; in either case it is gone afterwards.
                let _ = child.kill();
                let _ = child.wait();
                Outcome::OutOfTime(limit.as_secs())
            }
        };
        Ok(Row {
            request: request.clone(),
            outcome,
        })
    }
}

fn read_all(file: &mut File) -> String {
    let mut bytes = Vec::new();
    let read = file.rewind().and_then(|()| file.read_to_end(&mut bytes));
    match read {
        Ok(_) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => format!("error: its output cannot be read: {error}"),
    }
}

/// The outcome of a worker that exited.
fn outcome(status: ExitStatus, stdout: &str, stderr: &str) -> Outcome {
    if status.success() {
        return match serde_json::from_str(stdout) {
            Ok(measured) => Outcome::Measured(Box::new(measured)),
            Err(error) => Outcome::Crashed(format!("its output cannot be read: {error}")),
        };
    }
    let error = stderr
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix("error: "));
    match (status.code(), error) {
        (Some(_), Some(error)) => Outcome::Refused(error.to_owned()),
        _ => {
            let last = stderr.lines().rev().find(|line| !line.trim().is_empty());
            let last = last.map_or_else(String::new, |line| format!(": {}", line.trim()));
            Outcome::Crashed(format!("{status}{last}"))
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::backends::table::tests::results;

    /// A worker that is a shell script; `$0` is the device, `$1` the network.
    fn shell(script: &str) -> Worker {
        Worker {
            program: "sh".into(),
            leading: vec!["-c".into(), script.into()],
        }
    }

    fn outcome_of(script: &str) -> Outcome {
        let request = Request {
            device: "wgpu:cpu".into(),
            model: "mnist".into(),
            batch: Some(4),
            threads: None,
            rounds: 3,
        };
        let row = shell(script).measure(&request, Duration::from_millis(1500));
        let row = row.expect("there is a shell");
        assert_eq!(row.request, request);
        row.outcome
    }

    #[test]
    fn a_worker_that_hangs_is_killed_and_is_a_row() {
        let began = Instant::now();
        assert_eq!(outcome_of("sleep 60"), Outcome::OutOfTime(1));
        assert!(
            began.elapsed() < Duration::from_secs(30),
            "the test waited for it"
        );
    }

    #[test]
    fn a_worker_that_crashes_is_a_row_with_its_signal_and_message() {
        let Outcome::Crashed(reason) = outcome_of("echo 'the driver is gone' >&2; kill -SEGV $$")
        else {
            panic!("it crashed")
        };
        assert!(reason.contains("signal: 11"), "{reason}");
        assert!(reason.ends_with(": the driver is gone"), "{reason}");
        let silent = outcome_of("exit 3");
        assert_eq!(silent, Outcome::Crashed("exit status: 3".into()));
        let Outcome::Crashed(reason) = outcome_of("echo not json") else {
            panic!("it printed no numbers")
        };
        assert!(reason.contains("cannot be read"), "{reason}");
    }

    #[test]
    fn a_worker_that_fails_is_a_row_with_its_error_message() {
        let refused = outcome_of("echo \"error: there is no $0 for $1\" >&2; exit 1");
        assert_eq!(
            refused,
            Outcome::Refused("there is no wgpu:cpu for mnist".into())
        );
    }

    #[test]
    fn a_worker_gets_its_arguments_and_its_measurements_are_a_row() {
        let Outcome::Measured(known) = &results().rows[0].outcome else {
            panic!("the first row was measured")
        };
        let json = serde_json::to_string(known).expect("plain values");
        let script = format!(
            "[ \"$0 $*\" = 'wgpu:cpu mnist --rounds 3 --batch 4' ] && [ $CUBECL_AUTOTUNE_LEVEL ] && echo '{json}'"
        );
        assert_eq!(outcome_of(&script), Outcome::Measured(known.clone()));
    }

    #[test]
    fn a_missing_program_is_named() {
        let worker = Worker::new("/nowhere/bench-backend".into());
        let error = worker.list().expect_err("it is not there");
        assert!(
            error.contains("/nowhere/bench-backend cannot be run"),
            "{error}"
        );
    }
}

//! A process that measures on request.
//!
//! When it is ready it prints a line of JSON. Each line of its input is a number of runs, which it answers with a line of JSON. It exits at the
//! end of its input, also when this program is killed. `dnw_benches::dialogue` and `benches/peers/torch_dnw.py` implement this protocol.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use super::results::Memory;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// A process that is ready.
pub struct Peer {
    name: String,
    child: Child,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    stderr: File,
    ready: serde_json::Value,
    /// Resident bytes when it was ready.
    resident_at_start: Option<u64>,
}

/// The answer to a request for times.
#[derive(Debug, Deserialize)]
struct Times {
    milliseconds: Vec<f64>,
}

impl Peer {
    /// Starts a program and waits until it is ready.
    pub fn start(name: &str, command: &mut Command) -> Result<Self, String> {
        // A file, since nobody would read a pipe while waiting for an answer.
        let stderr = tempfile::tempfile().map_err(|error| format!("no temporary file: {error}"))?;
        let copy = stderr.try_clone().map_err(|error| error.to_string())?;
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(copy)
            .spawn()
            .map_err(|error| {
                let program = command.get_program().to_string_lossy();
                format!("{name}: {program} cannot be run: {error}")
            })?;
        let (requests, answers) = (child.stdin.take(), child.stdout.take());
        let answers = answers.ok_or_else(|| format!("{name}: it has no standard output"))?;
        let mut peer = Self {
            name: name.to_owned(),
            child,
            requests,
            answers: BufReader::new(answers),
            stderr,
            ready: serde_json::Value::Null,
            resident_at_start: None,
        };
        peer.ready = peer.line()?;
        peer.resident_at_start = peer.resident("VmRSS:");
        Ok(peer)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it reported when it was ready.
    pub fn ready<T: DeserializeOwned>(&self) -> Result<T, String> {
        self.parse(self.ready.clone())
    }

    /// Requests this many runs and returns the answer.
    pub fn ask<T: DeserializeOwned>(&mut self, runs: usize) -> Result<T, String> {
        let sent = match &mut self.requests {
            Some(requests) => writeln!(requests, "{runs}").and_then(|()| requests.flush()),
            None => Ok(()),
        };
        if sent.is_err() {
            return Err(self.exit_reason());
        }
        let answer = self.line()?;
        self.parse(answer)
    }

    /// The times of this many runs, in milliseconds.
    pub fn times(&mut self, runs: usize) -> Result<Vec<f64>, String> {
        let found: Times = self.ask(runs)?;
        if found.milliseconds.len() == runs {
            Ok(found.milliseconds)
        } else {
            let count = found.milliseconds.len();
            Err(format!(
                "{}: asked for {runs} runs, it sent {count}",
                self.name
            ))
        }
    }

    /// Its memory; `None` except on Linux.
    pub fn memory(&self) -> Option<Memory> {
        Some(Memory {
            before: self.resident_at_start?,
            peak: self.resident("VmHWM:")?,
        })
    }

    /// An entry of its status in Linux, in bytes.
    fn resident(&self, label: &str) -> Option<u64> {
        let path = format!("/proc/{}/status", self.child.id());
        let text = std::fs::read_to_string(path).ok()?;
        let line = text.lines().find(|line| line.starts_with(label))?;
        let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
        Some(kib * 1024)
    }

    fn parse<T: DeserializeOwned>(&self, answer: serde_json::Value) -> Result<T, String> {
        serde_json::from_value(answer)
            .map_err(|error| format!("{}: its answer has another form: {error}", self.name))
    }

    fn line(&mut self) -> Result<serde_json::Value, String> {
        let mut line = String::new();
        match self.answers.read_line(&mut line) {
            Ok(0) | Err(_) => Err(self.exit_reason()),
            Ok(_) => serde_json::from_str(&line)
                .map_err(|error| format!("{}: its output is not JSON: {error}", self.name)),
        }
    }

    /// Why it exited: its error message, or else the last line of its standard error.
    fn exit_reason(&mut self) -> String {
        self.requests = None;
        let status = self.child.wait();
        let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
        let mut bytes = Vec::new();
        let read = self
            .stderr
            .rewind()
            .and_then(|()| self.stderr.read_to_end(&mut bytes));
        let text = String::from_utf8_lossy(&bytes);
        let lines = || {
            text.lines()
                .rev()
                .map(str::trim)
                .filter(|line| !line.is_empty())
        };
        let error = lines().find_map(|line| line.strip_prefix("error: "));
        match (read, error.or_else(|| lines().next())) {
            (Ok(_), Some(reason)) => format!("{} exited: {reason}", self.name),
            _ => format!("{} exited without a message: {status}", self.name),
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It is idle or gone, so nothing is lost.
        self.requests = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(all(test, unix))]
pub(super) mod tests {
    use super::*;

    /// A peer that is a shell script.
    pub(crate) fn shell(name: &str, script: &str) -> Result<Peer, String> {
        Peer::start(name, Command::new("sh").args(["-c", script]))
    }

    /// A peer whose every run takes this many milliseconds.
    pub(crate) fn of_constant_speed(name: &str, milliseconds: f64) -> Peer {
        let script = format!(
            "echo '{{\"threads\":2}}'; while read n; do \
             list={milliseconds}; while [ $n -gt 1 ]; do list=$list,{milliseconds}; n=$((n-1)); done; \
             echo \"{{\\\"milliseconds\\\":[$list]}}\"; done"
        );
        shell(name, &script).expect("there is a shell")
    }

    fn error(result: Result<Peer, String>) -> String {
        result.err().expect("it fails")
    }

    #[test]
    fn requests_are_answered_one_by_one_by_the_same_process() {
        let mut peer = of_constant_speed("a shell", 2.5);
        let ready: serde_json::Value = peer.ready().expect("it said so");
        assert_eq!(ready["threads"], 2);
        assert_eq!(peer.times(1), Ok(vec![2.5]));
        assert_eq!(peer.times(3), Ok(vec![2.5; 3]));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn its_memory_is_read_from_linux() {
        let peer = of_constant_speed("a shell", 2.5);
        let memory = peer.memory().expect("on Linux");
        // A shell and its libraries.
        assert!((1 << 18..1 << 27).contains(&memory.before), "{memory:?}");
        assert!(memory.peak >= memory.before, "{memory:?}");
    }

    #[test]
    fn a_peer_that_exits_is_reported_with_its_error_message() {
        let refused = error(shell(
            "ours",
            "echo 'warning: hot' >&2; echo 'error: no such network' >&2; exit 1",
        ));
        assert_eq!(refused, "ours exited: no such network");
        let traced = error(shell(
            "PyTorch",
            "echo 'Traceback' >&2; echo 'MemoryError: none' >&2; exit 1",
        ));
        assert_eq!(traced, "PyTorch exited: MemoryError: none");
        let silent = error(shell("PyTorch", "kill -SEGV $$"));
        assert!(
            silent.contains("without a message") && silent.contains("11"),
            "{silent}"
        );
        let mut later = shell("ours", "echo 1; read n; echo 'error: the loss is NaN' >&2")
            .expect("it begins well");
        assert_eq!(later.times(2), Err("ours exited: the loss is NaN".into()));
    }

    #[test]
    fn a_wrong_answer_is_an_error() {
        let mut few =
            shell("ours", "echo 1; read n; echo '{\"milliseconds\":[1]}'").expect("it begins well");
        assert_eq!(
            few.times(2),
            Err("ours: asked for 2 runs, it sent 1".into())
        );
        let mut other = shell("ours", "echo 1; read n; echo '[]'").expect("it begins well");
        assert!(
            other
                .times(2)
                .is_err_and(|error| error.contains("another form"))
        );
        assert!(error(shell("ours", "echo Hello")).contains("not JSON"));
    }

    #[test]
    fn a_missing_program_is_named() {
        let none = Peer::start("ours", &mut Command::new("/nowhere/bench-kernel"));
        assert!(error(none).contains("/nowhere/bench-kernel cannot be run"));
    }
}

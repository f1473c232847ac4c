//! A process that measures when it is asked to.
//!
//! It says in a line of JSON that it is ready; each line that it is sent is a number of times, and is answered by a line of JSON; it ends
//! with its input. `dnw_benches::dialogue` and `benches/peers/torch_dnw.py` speak so. Being killed, or this program's being killed,
//! leaves nothing behind: the process ends at the next end of its input.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use super::found::Held;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// A process that has said that it is ready.
pub struct Peer {
    name: String,
    child: Child,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    complaints: File,
    ready: serde_json::Value,
    /// Bytes that were resident then.
    at_first: Option<u64>,
}

/// The usual answer.
#[derive(Debug, Deserialize)]
struct Times {
    milliseconds: Vec<f64>,
}

impl Peer {
    /// Starts a program and waits until it is ready.
    pub fn start(name: &str, command: &mut Command) -> Result<Self, String> {
        // A file and no pipe, which nobody would empty while it is waited for an answer.
        let complaints =
            tempfile::tempfile().map_err(|error| format!("no temporary file: {error}"))?;
        let written = complaints.try_clone().map_err(|error| error.to_string())?;
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(written)
            .spawn()
            .map_err(|error| {
                let program = command.get_program().to_string_lossy();
                format!("{name}: {program} cannot be run: {error}")
            })?;
        let (requests, answers) = (child.stdin.take(), child.stdout.take());
        let answers = answers.ok_or_else(|| format!("{name}: no way to hear it"))?;
        let mut peer = Self {
            name: name.to_owned(),
            child,
            requests,
            answers: BufReader::new(answers),
            complaints,
            ready: serde_json::Value::Null,
            at_first: None,
        };
        peer.ready = peer.line()?;
        peer.at_first = peer.resident("VmRSS:");
        Ok(peer)
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it said of itself when it was ready.
    pub fn ready<T: DeserializeOwned>(&self) -> Result<T, String> {
        self.of(self.ready.clone())
    }

    /// Its answer to a request for so many times.
    pub fn ask<T: DeserializeOwned>(&mut self, times: usize) -> Result<T, String> {
        let sent = match &mut self.requests {
            Some(requests) => writeln!(requests, "{times}").and_then(|()| requests.flush()),
            None => Ok(()),
        };
        if sent.is_err() {
            return Err(self.last_words());
        }
        let answer = self.line()?;
        self.of(answer)
    }

    /// Milliseconds of each of so many times.
    pub fn times(&mut self, times: usize) -> Result<Vec<f64>, String> {
        let found: Times = self.ask(times)?;
        if found.milliseconds.len() == times {
            Ok(found.milliseconds)
        } else {
            let given = found.milliseconds.len();
            Err(format!(
                "{}: asked for {times} times, it gave {given}",
                self.name
            ))
        }
    }

    /// What it holds in memory, of which the system tells on Linux alone.
    pub fn memory(&self) -> Option<Held> {
        Some(Held {
            before: self.at_first?,
            peak: self.resident("VmHWM:")?,
        })
    }

    /// A line of what Linux says about it, in bytes.
    fn resident(&self, label: &str) -> Option<u64> {
        let path = format!("/proc/{}/status", self.child.id());
        let text = std::fs::read_to_string(path).ok()?;
        let line = text.lines().find(|line| line.starts_with(label))?;
        let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
        Some(kib * 1024)
    }

    fn of<T: DeserializeOwned>(&self, answer: serde_json::Value) -> Result<T, String> {
        serde_json::from_value(answer)
            .map_err(|error| format!("{}: its answer cannot be understood: {error}", self.name))
    }

    fn line(&mut self) -> Result<serde_json::Value, String> {
        let mut line = String::new();
        match self.answers.read_line(&mut line) {
            Ok(0) | Err(_) => Err(self.last_words()),
            Ok(_) => serde_json::from_str(&line)
                .map_err(|error| format!("{}: what it said is no JSON: {error}", self.name)),
        }
    }

    /// Why it ended: its own sentence, or else the last line of what it complained about.
    fn last_words(&mut self) -> String {
        self.requests = None;
        let status = self.child.wait();
        let how = status.map_or_else(|error| error.to_string(), |status| status.to_string());
        let mut bytes = Vec::new();
        let read = self
            .complaints
            .rewind()
            .and_then(|()| self.complaints.read_to_end(&mut bytes));
        let text = String::from_utf8_lossy(&bytes);
        let lines = || {
            text.lines()
                .rev()
                .map(str::trim)
                .filter(|line| !line.is_empty())
        };
        let error = lines().find_map(|line| line.strip_prefix("error: "));
        match (read, error.or_else(|| lines().next())) {
            (Ok(_), Some(why)) => format!("{} ended: {why}", self.name),
            _ => format!("{} ended without a word: {how}", self.name),
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It is between two requests or gone, so nothing is lost.
        self.requests = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(all(test, unix))]
pub(super) mod tests {
    use super::*;

    /// A peer that is a line of shell.
    pub(crate) fn shell(name: &str, script: &str) -> Result<Peer, String> {
        Peer::start(name, Command::new("sh").args(["-c", script]))
    }

    /// Answers every request with as many times of so many milliseconds.
    pub(crate) fn of_constant_speed(name: &str, milliseconds: f64) -> Peer {
        let script = format!(
            "echo '{{\"threads\":2}}'; while read n; do \
             list={milliseconds}; while [ $n -gt 1 ]; do list=$list,{milliseconds}; n=$((n-1)); done; \
             echo \"{{\\\"milliseconds\\\":[$list]}}\"; done"
        );
        shell(name, &script).expect("there is a shell")
    }

    fn failure(done: Result<Peer, String>) -> String {
        done.err().expect("it cannot do this")
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
    fn what_it_holds_is_seen_from_outside() {
        let peer = of_constant_speed("a shell", 2.5);
        let held = peer.memory().expect("Linux says so");
        // A shell and its libraries.
        assert!((1 << 18..1 << 27).contains(&held.before), "{held:?}");
        assert!(held.peak >= held.before, "{held:?}");
    }

    #[test]
    fn one_that_ends_is_told_of_by_its_own_sentence() {
        let refused = failure(shell(
            "ours",
            "echo 'warning: hot' >&2; echo 'error: no such network' >&2; exit 1",
        ));
        assert_eq!(refused, "ours ended: no such network");
        let traced = failure(shell(
            "PyTorch",
            "echo 'Traceback' >&2; echo 'MemoryError: none' >&2; exit 1",
        ));
        assert_eq!(traced, "PyTorch ended: MemoryError: none");
        let silent = failure(shell("PyTorch", "kill -SEGV $$"));
        assert!(
            silent.contains("without a word") && silent.contains("11"),
            "{silent}"
        );
        let mut later = shell("ours", "echo 1; read n; echo 'error: the loss is NaN' >&2")
            .expect("it begins well");
        assert_eq!(later.times(2), Err("ours ended: the loss is NaN".into()));
    }

    #[test]
    fn an_answer_that_is_not_what_was_asked_for_is_refused() {
        let mut few =
            shell("ours", "echo 1; read n; echo '{\"milliseconds\":[1]}'").expect("it begins well");
        assert_eq!(
            few.times(2),
            Err("ours: asked for 2 times, it gave 1".into())
        );
        let mut other = shell("ours", "echo 1; read n; echo '[]'").expect("it begins well");
        assert!(
            other
                .times(2)
                .is_err_and(|error| error.contains("cannot be understood"))
        );
        assert!(failure(shell("ours", "echo Hello")).contains("no JSON"));
    }

    #[test]
    fn a_program_that_is_not_there_is_said_so() {
        let none = Peer::start("ours", &mut Command::new("/nowhere/bench-kernel"));
        assert!(failure(none).contains("/nowhere/bench-kernel cannot be run"));
    }
}

//! `dnw serve` for a test, and trainings there.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use crate::shell::{Answer, SHORT, Shell};

/// `dnw serve` in a process of its own, which ends with the test.
pub struct Server {
    pub process: Child,
    /// What clients give to `--device`.
    pub device: String,
    /// What else it printed at its start.
    pub lines: Vec<String>,
}

impl Server {
    pub fn start(shell: &Shell, arguments: &[&str], token: Option<&str>) -> Self {
        let all = [&["serve", "--device", "flex"], arguments].concat();
        let mut command = shell.command(all);
        if let Some(token) = token {
            command.env("DNW_TOKEN", token);
        }
        let log = shell.path("server.log");
        let log = fs::File::options().create(true).append(true).open(log);
        let command = command.stdout(Stdio::piped()).stderr(log.unwrap());
        // Whatever a library logs would be in it too.
        command.env("RUST_LOG", "trace");
        let mut process = command.spawn().unwrap();
        let out = BufReader::new(process.stdout.take().unwrap());
        let is_told = token.is_none()
            && !arguments.contains(&"--token-file")
            && !arguments.contains(&"--without-token");
        let expected = if is_told { 2 } else { 1 };
        let lines: Vec<String> = out.lines().take(expected).map(Result::unwrap).collect();
        let device = lines[0].split_whitespace().next().unwrap().to_owned();
        Self {
            process,
            device,
            lines,
        }
    }

    pub fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

pub const TOKEN: &str = "correct horse battery";

/// A short training there.
pub fn train(shell: &Shell, out: &str, device: &str, token: Option<&str>) -> Answer {
    let begin = [
        "train", "digits", "--quiet", "--out", out, "--device", device,
    ];
    let mut command = shell.command([&begin[..], &SHORT[..]].concat());
    if let Some(token) = token {
        command.env("DNW_TOKEN", token);
    }
    command.output().unwrap().into()
}

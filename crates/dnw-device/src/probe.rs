//! Lists devices in a child process.
//!
//! A driver that crashes ends its process, and one that hangs never answers. To list devices safely, a child process queries the driver
//! with a timeout.

use std::ffi::OsString;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::{Adapter, Backend, adapters};

/// A function that lists the devices of a backend, or returns why they are unknown.
pub type Find<'a> = &'a dyn Fn(Backend) -> Result<Vec<Adapter>, String>;

/// Lists devices in this process.
///
/// # Errors
/// The message of a driver that panics.
pub fn here(backend: Backend) -> Result<Vec<Adapter>, String> {
    crate::guard::guarded(|| adapters::of(backend))
}

/// A program that takes a backend's name as its last argument and writes [`answer`] to standard output.
#[derive(Clone, Debug)]
pub struct Probe {
    /// The program.
    pub program: PathBuf,
    /// Its arguments before the backend's name.
    pub arguments: Vec<OsString>,
    /// The timeout.
    pub patience: Duration,
}

/// The devices of a backend as one line of JSON for [`Probe::find`].
pub fn answer(backend: Backend) -> String {
    let found = here(backend);
    serde_json::to_string(&found).unwrap_or_else(|error| error.to_string())
}

impl Probe {
    /// Lists devices in a child process if the backend has a driver, otherwise in this process.
    ///
    /// # Errors
    /// How the child process failed.
    pub fn find(&self, backend: Backend) -> Result<Vec<Adapter>, String> {
        let has_driver = !matches!(
            backend,
            Backend::Flex | Backend::NdArray | Backend::LibTorch | Backend::Remote
        );
        if !backend.is_built() || !has_driver {
            return here(backend);
        }
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .arg(backend.name())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| {
                format!("the process that queries its driver cannot be started ({error})")
            })?;
        let out = child.stdout.take();
        // Read concurrently, because a child with much output blocks until it is read.
        let output = std::thread::spawn(move || {
            let mut output = String::new();
            if let Some(mut out) = out {
                let _ = out.read_to_string(&mut output);
            }
            output
        });
        let Some(status) = ended_within(&mut child, self.patience) else {
            let _ = child.kill();
            let _ = child.wait();
            return Err(format!(
                "its driver does not answer within {} seconds",
                self.patience.as_secs()
            ));
        };
        if !status.success() {
            return Err(format!(
                "its driver ended the process that queries it ({})",
                how(status)
            ));
        }
        let output = output.join().unwrap_or_default();
        let last = output.lines().last().unwrap_or_default();
        serde_json::from_str(last).unwrap_or_else(|_| Err("its answer cannot be read".into()))
    }
}

/// The child's exit status, if it exits in time.
fn ended_within(child: &mut Child, patience: Duration) -> Option<ExitStatus> {
    let began = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if began.elapsed() < patience => {
                std::thread::sleep(Duration::from_millis(5));
            }
            _ => return None,
        }
    }
}

fn how(status: ExitStatus) -> String {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return match signal {
            6 => "aborted".into(),
            11 => "segmentation fault".into(),
            signal => format!("signal {signal}"),
        };
    }
    match status.code() {
        Some(code) => format!("exit code {code}"),
        None => "no exit code".into(),
    }
}

#[cfg(all(test, unix, feature = "wgpu"))]
mod tests {
    use super::*;

    fn probe(script: &str) -> Result<Vec<Adapter>, String> {
        let probe = Probe {
            program: "/bin/sh".into(),
            arguments: vec!["-c".into(), script.into()],
            patience: Duration::from_secs(2),
        };
        probe.find(Backend::Wgpu)
    }

    #[test]
    fn a_crash_of_the_driver_is_an_error() {
        let output = probe("kill -SEGV $$");
        assert_eq!(
            output,
            Err("its driver ended the process that queries it (segmentation fault)".into())
        );
    }

    #[test]
    fn a_hanging_driver_is_an_error() {
        let output = probe("exec sleep 600");
        assert_eq!(
            output,
            Err("its driver does not answer within 2 seconds".into())
        );
    }

    #[test]
    fn other_output_of_the_driver_is_ignored() {
        let output = probe(
            "echo loading; echo '{\"Ok\":[{\"name\":\"wgpu:cpu\",\"model\":\"llvmpipe\",\"driver\":\"\",\"memory\":null,\"kind\":\"cpu\"}]}'",
        );
        let found = output.expect("it answered");
        assert_eq!(found[0].name.to_string(), "wgpu:cpu");
        assert_eq!(found[0].model, "llvmpipe");
    }
}

//! The conformance suite, as one line of JSON per case.
//!
//! Each line is written as soon as its case ends, so that a driver that crashes or hangs loses nothing that was known before.

use std::io::Write;
use std::time::Instant;

use dnw_conformance::{Failure as CaseFailure, TestDevice, cases, known};
use dnw_device::guard::guarded;
use dnw_device::{DeviceName, open};
use serde::Serialize;

use crate::failure::Failure;

/// What became of a case.
#[derive(Serialize)]
struct Line<'a> {
    case: &'a str,
    /// `passed`, `skipped` or `failed`.
    outcome: &'static str,
    /// Why it was skipped or failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    seconds: f64,
}

/// Checks a device with every case but the first `skip`, in order. The name of each is written to standard error before it begins, in case the
/// driver crashes.
///
/// # Errors
/// [`Failure`] if the device cannot be opened, or a line not be written.
pub fn check(device: &DeviceName, skip: usize, output: &mut impl Write) -> Result<(), Failure> {
    let device = TestDevice::from(open(device)?);
    for case in cases().into_iter().skip(skip) {
        eprintln!("case {}", case.name);
        let began = Instant::now();
        let (outcome, reason) = match known::skip_reason(device.backend(), &case.name) {
            Some(reason) => ("skipped", Some(reason.to_owned())),
            None => match guarded(|| case.check(&device)) {
                Ok(Ok(())) => ("passed", None),
                Ok(Err(CaseFailure::Unsupported(reason))) => ("skipped", Some(reason)),
                Ok(Err(CaseFailure::Wrong(reason))) | Err(reason) => ("failed", Some(reason)),
            },
        };
        let line = Line {
            case: &case.name,
            outcome,
            reason,
            seconds: began.elapsed().as_secs_f64(),
        };
        writeln!(output, "{}", serde_json::to_string(&line)?)?;
        output.flush()?;
    }
    Ok(())
}

//! Runs the suite on one device: `--device NAME`, or the one that `DNW_TEST_DEVICE` names, or flex.
//!
//! `--kernels=reference` uses plain tensors on CPUs too. The other arguments are those of Rust's test programs: filters, `--list`, `--skip`,
//! `--exact`, `--test-threads`.

use std::process::ExitCode;
use std::sync::Arc;

use dnw_conformance::{Case, Failure, TestDevice, cases, known};
use dnw_core::graph::Kernels;
use dnw_device::{Backend, DeviceName, open};
use libtest_mimic::{Arguments, Completion, Failed, Trial};

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|a| a == "--kernels=reference") {
        arguments.remove(at);
        Kernels::switch_off();
    }
    let device = match device(&mut arguments) {
        Ok(device) => device,
        Err(message) => {
            eprintln!("error: {message}");
            return ExitCode::from(2);
        }
    };
    let mut arguments = Arguments::from_iter(arguments);
    if arguments.list {
        let trials = cases()
            .into_iter()
            .map(|case| Trial::test(case.name, || Ok(())));
        return libtest_mimic::run(&arguments, trials.collect()).exit_code();
    }
    let device: TestDevice = match open(&device) {
        Ok(opened) => opened.into(),
        Err(error) => {
            eprintln!("error: {error}\nhelp: {}", error.help());
            return ExitCode::from(2);
        }
    };
    eprintln!("device {}: {}", device.name, device.model);
    // A graphics adapter, even a software one, runs one test at a time.
    let on_cpu = matches!(device.backend(), Some(Backend::Flex | Backend::NdArray));
    if !on_cpu && arguments.test_threads.is_none() {
        arguments.test_threads = Some(1);
    }
    let device = Arc::new(device);
    let trials = cases()
        .into_iter()
        .map(|case| trial(case, Arc::clone(&device)));
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

/// Removes `--device` from the arguments and returns the device.
fn device(arguments: &mut Vec<String>) -> Result<DeviceName, String> {
    let mut name = std::env::var("DNW_TEST_DEVICE").ok();
    while let Some(at) = arguments
        .iter()
        .position(|a| a == "--device" || a.starts_with("--device="))
    {
        let argument = arguments.remove(at);
        name = match argument.strip_prefix("--device=") {
            Some(name) => Some(name.to_owned()),
            None if at < arguments.len() => Some(arguments.remove(at)),
            None => return Err("--device needs a name, such as wgpu:cpu".into()),
        };
    }
    let name = name
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "flex".into());
    name.parse()
        .map_err(|error: dnw_device::DeviceError| format!("{error}; {}", error.help()))
}

fn trial(case: Case, device: Arc<TestDevice>) -> Trial {
    Trial::ignorable_test(case.name.clone(), move || {
        if let Some(reason) = known::skip_reason(device.backend(), &case.name) {
            return Ok(Completion::ignored_with(reason));
        }
        match case.check(&device) {
            Ok(()) => Ok(Completion::Completed),
            Err(Failure::Unsupported(reason)) => Ok(Completion::ignored_with(reason)),
            Err(Failure::Wrong(message)) => {
                Err(Failed::from(format!("on {}: {message}", device.name)))
            }
        }
    })
}

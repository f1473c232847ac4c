//! The device that a command computes on.

use std::time::Duration;

use burn::tensor::Device;
use dnw_device::probe::{self, Probe};
use dnw_device::{Adapter, Backend, DeviceError, DeviceName, Opened, host, open, open_found_by};

use super::failure::Failure;

/// How long a driver may take to list its devices.
const PATIENCE: Duration = Duration::from_secs(20);

/// The devices of a backend, asked for in a child process, so that a driver that crashes or hangs is a sentence.
pub fn find(backend: Backend) -> Result<Vec<Adapter>, String> {
    let Ok(program) = std::env::current_exe() else {
        return probe::here(backend);
    };
    let probe = Probe {
        program,
        arguments: vec!["probe".into()],
        patience: PATIENCE,
    };
    probe.find(backend)
}

/// The device of that name, which has proved to work.
pub fn device(name: &str) -> Result<Opened, Failure> {
    let name: DeviceName = name.parse()?;
    Ok(open_found_by(&name, &|backend| find(backend))?)
}

/// A device for what takes no time: the CPU, where the program was built with one.
pub fn cpu() -> Result<Device, Failure> {
    Ok(open(&host())?.device)
}

/// A device that worked and then did not.
pub fn broken(name: &DeviceName, message: String) -> DeviceError {
    DeviceError::Broken {
        name: name.to_string(),
        backend: name.backend().unwrap_or(Backend::Flex),
        message,
    }
}

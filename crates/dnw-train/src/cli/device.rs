//! The device of a command.

use std::time::Duration;

use burn::tensor::Device;
use dnw_device::probe::{self, Probe};
use dnw_device::{Adapter, Backend, DeviceError, DeviceName, Opened, host, open, open_found_by};

use super::failure::Failure;

/// The time limit for a driver to list its devices.
const PATIENCE: Duration = Duration::from_secs(20);

/// The devices of a backend, listed in a child process, so that a crash or a hang of a driver becomes an error.
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

/// Opens and tests a device.
pub fn device(name: &str) -> Result<Opened, Failure> {
    let name: DeviceName = name.parse()?;
    Ok(open_found_by(&name, &|backend| find(backend))?)
}

/// The CPU, or the first device if the program was built without one, for small computations.
pub fn cpu() -> Result<Device, Failure> {
    Ok(open(&host())?.device)
}

/// The error of a device that worked before.
pub fn device_failed(name: &DeviceName, message: String) -> DeviceError {
    DeviceError::Broken {
        name: name.to_string(),
        backend: name.backend().unwrap_or(Backend::Flex),
        message,
    }
}

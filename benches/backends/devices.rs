//! Lists the devices and networks that can be measured.

use clap::ValueEnum;
use dnw_device::{Adapter, backends, preferred, probe};
use serde::Serialize;

use crate::workload::Workload;

/// Devices and networks, by their names on the command line.
#[derive(Serialize)]
pub struct Listing {
    devices: Vec<String>,
    models: Vec<String>,
    /// Every device of every backend, with its driver.
    adapters: Vec<Adapter>,
    /// Why the devices of a backend are not known.
    failures: Vec<String>,
}

/// The preferred device of each compiled-in backend that has one.
pub fn list() -> Listing {
    // A driver that panics here cannot be measured.
    let present = backends(&probe::here);
    let best = present.iter().filter_map(|backend| {
        let found = backend.adapters.as_deref().unwrap_or_default();
        let adapter = found.get(preferred(found))?;
        Some(adapter.name.to_string())
    });
    let failures = present.iter().filter_map(|backend| {
        let error = backend.adapters.as_ref().err()?;
        Some(format!("{}: {error}", backend.backend))
    });
    let adapters = present.iter().filter_map(|b| b.adapters.as_ref().ok());
    let models = Workload::value_variants().iter();
    Listing {
        devices: best.collect(),
        models: models.map(|model| model.name().to_owned()).collect(),
        adapters: adapters.flatten().cloned().collect(),
        failures: failures.collect(),
    }
}

//! What can be measured here.

use clap::ValueEnum;
use dnw_device::{backends, preferred, probe};
use serde::Serialize;

use crate::workload::Workload;

/// Devices and networks, by the names that this program takes.
#[derive(Serialize)]
pub struct Listing {
    devices: Vec<String>,
    models: Vec<String>,
}

/// One device of each backend that is compiled in and finds any: the GPU that it would take by itself, or else software.
pub fn list() -> Listing {
    // A driver that panics here is one that nothing could be measured on.
    let present = backends(&probe::here);
    let best = present.iter().filter_map(|backend| {
        let found = backend.adapters.as_deref().unwrap_or_default();
        let adapter = found.get(preferred(found))?;
        Some(adapter.name.to_string())
    });
    let models = Workload::value_variants().iter();
    Listing {
        devices: best.collect(),
        models: models.map(|model| model.name().to_owned()).collect(),
    }
}

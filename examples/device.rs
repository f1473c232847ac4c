//! The device that an example runs on.

use burn::tensor::Device;

/// A backend's name and its default device.
type Backend = (&'static str, fn() -> Device);

/// The backends that were compiled in, the default one first.
const BACKENDS: &[Backend] = &[
    #[cfg(feature = "flex")]
    ("flex", Device::flex),
    #[cfg(feature = "ndarray")]
    ("ndarray", ndarray),
    #[cfg(feature = "wgpu")]
    ("wgpu", || Device::wgpu(Default::default())),
];

#[cfg(feature = "ndarray")]
#[allow(deprecated)] // Burn deprecates it; it is offered for as long as Burn has it.
fn ndarray() -> Device {
    Device::ndarray()
}

/// The device of the backend that the first argument of the program names, or of the first that was compiled in.
///
/// # Errors
/// A sentence that lists the backends, if the named one was not compiled in or none was.
pub fn device_from_arguments() -> Result<Device, String> {
    let wanted = std::env::args().nth(1);
    let found = match &wanted {
        Some(name) => BACKENDS.iter().find(|(known, _)| known == name),
        None => BACKENDS.first(),
    };
    match found {
        Some((_, make)) => Ok(make()),
        None => {
            let known: Vec<_> = BACKENDS.iter().map(|(name, _)| *name).collect();
            Err(format!(
                "no backend `{}` is compiled in, only [{}]: add it with `--features`",
                wanted.unwrap_or_default(),
                known.join(", ")
            ))
        }
    }
}

//! Where tensors live.

use burn::tensor::Device;

use crate::recipe::nearest;

/// A backend that this program knows: its name, the feature that brings it, and whether it is compiled in.
const KNOWN: [(&str, bool); 3] = [
    ("flex", cfg!(feature = "flex")),
    ("ndarray", cfg!(feature = "ndarray")),
    ("wgpu", cfg!(feature = "wgpu")),
];

/// Why a device cannot be had.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// No device of that name.
    #[error("there is no device `{name}`")]
    Unknown {
        /// The name asked for.
        name: String,
    },
    /// The program was built without it.
    #[error("this program was built without the device `{name}`")]
    NotBuilt {
        /// The name asked for.
        name: String,
    },
}

impl DeviceError {
    /// What to do about it.
    pub fn help(&self) -> String {
        match self {
            Self::Unknown { name } => {
                let near = nearest(name, KNOWN.iter().map(|(known, _)| *known));
                let all = KNOWN.map(|(known, _)| known).join(", ");
                match near {
                    Some(near) => format!("did you mean `{near}`? There are auto, {all}"),
                    None => format!("there are auto, {all}"),
                }
            }
            Self::NotBuilt { name } => {
                format!("build it with `cargo build --release -p dnw-train --features {name}`")
            }
        }
    }
}

/// The device called `name`, without autodiff, and the name it goes by; `auto` is the first that is compiled in, the CPU's fastest
/// before others.
///
/// # Errors
/// [`DeviceError`] if there is none, or it was not compiled in.
pub fn device(name: &str) -> Result<(Device, &'static str), DeviceError> {
    let name = match name {
        "auto" => KNOWN
            .iter()
            .find(|(_, built)| *built)
            .map_or("auto", |(name, _)| *name),
        name => name,
    };
    match name {
        #[cfg(feature = "flex")]
        "flex" => Ok((Device::flex(), "flex")),
        #[cfg(feature = "ndarray")]
        "ndarray" => {
            #[allow(deprecated)]
            let device = Device::ndarray();
            Ok((device, "ndarray"))
        }
        #[cfg(feature = "wgpu")]
        "wgpu" => Ok((
            Device::wgpu(burn::tensor::DeviceKind::DefaultDevice),
            "wgpu",
        )),
        _ if KNOWN.iter().any(|(known, _)| *known == name) => Err(DeviceError::NotBuilt {
            name: name.to_owned(),
        }),
        _ => Err(DeviceError::Unknown {
            name: name.to_owned(),
        }),
    }
}

//! Why a device cannot be had, and what to do about it.

use crate::Backend;

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
    /// What follows the backend's name cannot be read.
    #[error("`{name}` names no device: after the colon comes {expected}")]
    Which {
        /// The name asked for.
        name: String,
        /// What would have been read.
        expected: &'static str,
    },
    /// The program was built without the backend.
    #[error("this program was built without the device `{backend}`")]
    NotBuilt {
        /// The backend asked for.
        backend: Backend,
    },
    /// The program was built with it, but there is none here.
    #[error("there is no device `{name}` here: {found}")]
    Absent {
        /// The name asked for.
        name: String,
        /// Its backend.
        backend: Backend,
        /// What there is instead.
        found: String,
    },
    /// It is there and does not work.
    #[error("the device `{name}` does not work: {message}")]
    Broken {
        /// The name asked for.
        name: String,
        /// Its backend.
        backend: Backend,
        /// What its driver says.
        message: String,
    },
}

impl DeviceError {
    pub(crate) fn unknown(name: &str) -> Self {
        Self::Unknown {
            name: name.to_owned(),
        }
    }

    /// What to do about it.
    pub fn help(&self) -> String {
        match self {
            Self::Unknown { name } => {
                let all = Backend::ALL.map(Backend::name);
                let near = all
                    .iter()
                    .map(|known| (strsim::damerau_levenshtein(known, name), *known))
                    .min()
                    .filter(|(distance, _)| *distance <= 2);
                let all = all.join(", ");
                match near {
                    Some((_, near)) => format!("did you mean `{near}`? There are auto, {all}"),
                    None => format!("there are auto, {all}"),
                }
            }
            Self::Which { .. } => "`dnw devices` lists what is here".into(),
            Self::NotBuilt { backend } => {
                format!("build it with `cargo build --release -p dnw-train --features {backend}`")
            }
            Self::Absent { backend, .. } => {
                format!(
                    "it needs {}; `dnw devices` lists what is here",
                    backend.needs()
                )
            }
            Self::Broken { backend, .. } => {
                format!("it needs {}; `--device flex` always works", backend.needs())
            }
        }
    }
}

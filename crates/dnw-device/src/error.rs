//! The errors of this crate, each with a help text.

use crate::{Backend, TOKEN_VARIABLE};

/// A device cannot be opened.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// There is no device with this name.
    #[error("there is no device `{name}`")]
    Unknown {
        /// The requested name.
        name: String,
    },
    /// The part after the backend's name is invalid.
    #[error("`{name}` is not a device name: the colon must be followed by {expected}")]
    Which {
        /// The requested name.
        name: String,
        /// The expected text.
        expected: &'static str,
    },
    /// The program was built without this backend.
    #[error("this program was built without the device `{backend}`")]
    NotBuilt {
        /// The requested backend.
        backend: Backend,
    },
    /// The program was built with the backend, but this machine has no such device.
    #[error("there is no device `{name}` on this machine: {found}")]
    Absent {
        /// The requested name.
        name: String,
        /// Its backend.
        backend: Backend,
        /// The devices found instead.
        found: String,
        /// Whether the backend has other devices.
        others: bool,
    },
    /// The server does not answer.
    #[error("cannot use the devices of `{server}`: {reason}")]
    Unreachable {
        /// The server's address.
        server: String,
        /// The reason.
        reason: String,
    },
    /// The server rejects the token.
    #[error("`{server}` {}", rejection(.given))]
    Token {
        /// The server's address.
        server: String,
        /// Whether a token was sent.
        given: bool,
    },
    /// The server was built with another version of Burn.
    #[error(
        "`{server}` uses version {theirs} of Burn's remote protocol, this program uses version {ours}"
    )]
    Version {
        /// The server's address.
        server: String,
        /// Its version.
        theirs: u16,
        /// This program's.
        ours: u16,
    },
    /// The server has fewer devices.
    #[error("there is no device {device} at `{server}`: it has {devices}, counted from 0")]
    Number {
        /// The server's address.
        server: String,
        /// The requested index.
        device: usize,
        /// The number of its devices.
        devices: usize,
    },
    /// The device is present but does not work.
    #[error("the device `{name}` does not work: {message}")]
    Broken {
        /// The requested name.
        name: String,
        /// Its backend.
        backend: Backend,
        /// The driver's message.
        message: String,
    },
}

impl DeviceError {
    pub(crate) fn unknown(name: &str) -> Self {
        Self::Unknown {
            name: name.to_owned(),
        }
    }

    /// How to solve the problem.
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
                    Some((_, near)) => {
                        format!("did you mean `{near}`? The devices are auto, {all}")
                    }
                    None => format!("the devices are auto, {all}"),
                }
            }
            Self::Which { .. } => "`dnw devices` lists the devices of this machine".into(),
            Self::NotBuilt { backend } => {
                format!("build it with `cargo build --release -p dnw-train --features {backend}`")
            }
            Self::Absent { others: true, .. } => {
                "`dnw devices` lists the devices of this machine".into()
            }
            Self::Absent { backend, .. } => {
                format!(
                    "it needs {}; `dnw devices` lists the devices of this machine",
                    backend.needs()
                )
            }
            Self::Unreachable { .. } => {
                "start the server with `dnw serve`, which prints the name for `--device`".into()
            }
            Self::Token { .. } => format!(
                "set the environment variable {TOKEN_VARIABLE} to the token that `dnw serve` prints or that is in its `--token-file`"
            ),
            Self::Version { .. } => "build both from the same version of dnw".into(),
            Self::Number { .. } => "omit the index for its first device".into(),
            Self::Broken {
                backend: Backend::Remote,
                ..
            } => "see the output of the server".into(),
            Self::Broken { backend, .. } => {
                format!("it needs {}; `--device flex` always works", backend.needs())
            }
        }
    }
}

fn rejection(given: &bool) -> &'static str {
    match given {
        true => "rejects the token",
        false => "needs a token, but none is set",
    }
}

/// Devices cannot be served.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// A device cannot be opened, or this program cannot serve.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// Burn cannot serve this device.
    #[error("`{name}` cannot be served: {reason}")]
    Unserved {
        /// Its name.
        name: String,
        /// The reason.
        reason: &'static str,
    },
    /// The devices are of different backends.
    #[error("one server cannot serve both `{first}` and `{other}`: they have different backends")]
    Mixed {
        /// The first device.
        first: String,
        /// A device of another backend.
        other: String,
    },
    /// Serving other machines needs a token.
    #[error("serving other machines needs a token of at least {least} characters")]
    Token {
        /// The minimum length of a token.
        least: usize,
    },
    /// The server cannot listen at the address.
    #[error("cannot listen at `{address}`: {reason}")]
    Listen {
        /// The address.
        address: String,
        /// The reason.
        reason: String,
    },
    /// The server's key file cannot be read or written.
    #[error("cannot use the key in `{path}`: {reason}")]
    Key {
        /// Its file.
        path: String,
        /// The reason.
        reason: String,
    },
    /// The server stopped.
    #[error("the server stopped: {reason}")]
    Stopped {
        /// Why.
        reason: String,
    },
}

impl ServeError {
    /// How to solve the problem.
    pub fn help(&self) -> String {
        match self {
            Self::Device(error) => error.help(),
            Self::Unserved { .. } => "serve flex, ndarray or a GPU".into(),
            Self::Mixed { .. } => "start one server per backend, each with its own port".into(),
            Self::Token { .. } => {
                "leave the token out, and one is made and printed; or offer the devices to this machine alone, with \
                 `--listen 127.0.0.1:3000`"
                    .into()
            }
            Self::Listen { .. } => "give `--listen` another port, or an address that this machine has".into(),
            Self::Key { .. } => "use a file of 32 bytes, or the path of a new file in a writable folder".into(),
            Self::Stopped { .. } => "start it again".into(),
        }
    }
}

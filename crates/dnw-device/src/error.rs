//! Why a device cannot be had, and what to do about it.

use crate::{Backend, TOKEN_VARIABLE};

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
        /// Whether the backend has others.
        others: bool,
    },
    /// No server answers there.
    #[error("no devices are to be had from `{server}`: {reason}")]
    Unreachable {
        /// The server's address.
        server: String,
        /// Why not.
        reason: String,
    },
    /// The server does not take the token.
    #[error("`{server}` wants {}", wanted(.given))]
    Token {
        /// The server's address.
        server: String,
        /// Whether one was given.
        given: bool,
    },
    /// The server was built with another version of Burn.
    #[error(
        "`{server}` speaks version {theirs} of Burn's remote protocol, this program version {ours}"
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
        /// The number asked for.
        device: usize,
        /// How many it has.
        devices: usize,
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
            Self::Absent { others: true, .. } => "`dnw devices` lists what is here".into(),
            Self::Absent { backend, .. } => {
                format!(
                    "it needs {}; `dnw devices` lists what is here",
                    backend.needs()
                )
            }
            Self::Unreachable { .. } => {
                "start it there with `dnw serve`, which prints the name to give to `--device`"
                    .into()
            }
            Self::Token { .. } => format!(
                "put the token that `dnw serve` prints, or that is in its `--token-file`, into the environment as {TOKEN_VARIABLE}"
            ),
            Self::Version { .. } => "build both from the same version of dnw".into(),
            Self::Number { .. } => "leave the number out for its first device".into(),
            Self::Broken {
                backend: Backend::Remote,
                ..
            } => "see what the server says where it runs".into(),
            Self::Broken { backend, .. } => {
                format!("it needs {}; `--device flex` always works", backend.needs())
            }
        }
    }
}

fn wanted(given: &bool) -> &'static str {
    match given {
        true => "another token than the one given",
        false => "a token, and none was given",
    }
}

/// Why devices cannot be offered to others.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// A device cannot be had, or this program cannot serve.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// Burn cannot serve such a device.
    #[error("`{name}` cannot be offered: {reason}")]
    Unserved {
        /// Its name.
        name: String,
        /// Why not.
        reason: &'static str,
    },
    /// The devices are of different backends.
    #[error(
        "`{first}` and `{other}` cannot be offered by one server: they are of different backends"
    )]
    Mixed {
        /// The first device.
        first: String,
        /// One of another backend.
        other: String,
    },
    /// Beyond this machine a token is needed.
    #[error(
        "devices are not offered beyond this machine without a token of at least {least} characters"
    )]
    Token {
        /// The fewest characters that are taken.
        least: usize,
    },
    /// The address cannot be listened at.
    #[error("cannot listen at `{address}`: {reason}")]
    Listen {
        /// The address.
        address: String,
        /// Why not.
        reason: String,
    },
    /// The server's key cannot be read or written.
    #[error("cannot use the key in `{path}`: {reason}")]
    Key {
        /// Its file.
        path: String,
        /// Why not.
        reason: String,
    },
    /// It stopped.
    #[error("the server stopped: {reason}")]
    Stopped {
        /// Why.
        reason: String,
    },
}

impl ServeError {
    /// What to do about it.
    pub fn help(&self) -> String {
        match self {
            Self::Device(error) => error.help(),
            Self::Unserved { .. } => "offer flex, ndarray or a GPU".into(),
            Self::Mixed { .. } => "start a server for each, at ports of their own".into(),
            Self::Token { .. } => {
                "leave the token out, and one is made and printed; or offer the devices to this machine alone, with \
                 `--listen 127.0.0.1:3000`"
                    .into()
            }
            Self::Listen { .. } => "give `--listen` another port, or an address that this machine has".into(),
            Self::Key { .. } => "name a file that holds 32 bytes, or none yet, in a folder that can be written".into(),
            Self::Stopped { .. } => "start it again".into(),
        }
    }
}

//! Device names, as for `--device`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Backend, DeviceError, RemoteAddress};

/// The name of a device: `auto`, `flex`, `wgpu:discrete`, `cuda:1`, `remote:ws://127.0.0.1:3000`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum DeviceName {
    /// The best device that this program supports and finds.
    Auto,
    /// A device of a backend.
    Of(Backend, Which),
    /// A device of a server.
    Remote(RemoteAddress),
}

/// Selects one of a backend's devices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Which {
    /// The backend's default.
    #[default]
    Default,
    /// By index among all devices.
    Index(usize),
    /// By index among the devices of a kind.
    Kind(Kind, usize),
}

/// The kind of an adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A GPU with its own memory.
    Discrete,
    /// A GPU that shares the CPU's memory.
    Integrated,
    /// A GPU of a virtual machine.
    Virtual,
    /// A software implementation on the CPU.
    Cpu,
    /// Unknown.
    Other,
}

impl Kind {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Discrete => "discrete",
            Self::Integrated => "integrated",
            Self::Virtual => "virtual",
            Self::Cpu => "cpu",
            Self::Other => "other",
        }
    }

    fn by_name(name: &str) -> Option<Self> {
        use Kind::{Cpu, Discrete, Integrated, Other, Virtual};
        let all = [Discrete, Integrated, Virtual, Cpu, Other];
        all.into_iter().find(|kind| kind.name() == name)
    }
}

impl DeviceName {
    /// The backend's default device.
    pub fn of(backend: Backend) -> Self {
        Self::Of(backend, Which::Default)
    }

    /// The backend; `None` for `auto`.
    pub fn backend(&self) -> Option<Backend> {
        match self {
            Self::Auto => None,
            Self::Of(backend, _) => Some(*backend),
            Self::Remote(_) => Some(Backend::Remote),
        }
    }
}

impl FromStr for DeviceName {
    type Err = DeviceError;

    fn from_str(name: &str) -> Result<Self, DeviceError> {
        let (backend, rest) = match name.split_once(':') {
            Some((backend, rest)) => (backend, Some(rest)),
            None => (name, None),
        };
        if name == "auto" {
            return Ok(Self::Auto);
        }
        let Some(found) = Backend::by_name(backend) else {
            return Err(DeviceError::unknown(backend));
        };
        let bad = |expected| DeviceError::Which {
            name: name.to_owned(),
            expected,
        };
        let number = |text: &str, expected| text.parse().map_err(|_| bad(expected));
        let which = match (found, rest) {
            (Backend::Remote, address) => {
                let address = address.unwrap_or_default().parse();
                return Ok(Self::Remote(address.map_err(bad)?));
            }
            (_, None) => Which::Default,
            (Backend::Flex | Backend::NdArray, Some(_)) => {
                return Err(bad("nothing: there is only one such device"));
            }
            (Backend::Cuda | Backend::Rocm, Some(index)) => {
                Which::Index(number(index, "a number, as in cuda:0")?)
            }
            (_, Some(rest)) => {
                let expected =
                    "discrete, integrated, virtual, cpu or a number, as in wgpu:discrete";
                let (kind, index) = rest.split_once(':').unwrap_or((rest, "0"));
                match Kind::by_name(kind) {
                    Some(kind) => Which::Kind(kind, number(index, expected)?),
                    None => Which::Index(number(rest, expected)?),
                }
            }
        };
        Ok(Self::Of(found, which))
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Of(backend, Which::Default) => write!(f, "{backend}"),
            Self::Of(backend, Which::Index(index)) => write!(f, "{backend}:{index}"),
            Self::Of(backend, Which::Kind(kind, 0)) => write!(f, "{backend}:{}", kind.name()),
            Self::Of(backend, Which::Kind(kind, index)) => {
                write!(f, "{backend}:{}:{index}", kind.name())
            }
            Self::Remote(address) => write!(f, "remote:{address}"),
        }
    }
}

impl From<DeviceName> for String {
    fn from(name: DeviceName) -> Self {
        name.to_string()
    }
}

impl TryFrom<String> for DeviceName {
    type Error = DeviceError;

    fn try_from(name: String) -> Result<Self, DeviceError> {
        name.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_through_text() {
        let names = [
            "auto",
            "flex",
            "ndarray",
            "wgpu",
            "wgpu:discrete",
            "wgpu:integrated:1",
            "wgpu:cpu",
            "wgpu:2",
            "vulkan:0",
            "cuda:1",
            "libtorch",
            "remote:ws://127.0.0.1:3000",
        ];
        for name in names {
            let read: DeviceName = name.parse().expect(name);
            assert_eq!(read.to_string(), name);
        }
    }

    #[test]
    fn errors_describe_the_expected_name() {
        let refused = |name: &str| {
            let error = name.parse::<DeviceName>().expect_err(name);
            format!("{error}; {}", error.help())
        };
        assert_eq!(
            refused("cudda"),
            "there is no device `cudda`; did you mean `cuda`? The devices are auto, flex, ndarray, wgpu, vulkan, metal, cuda, rocm, \
             libtorch, remote"
        );
        assert!(refused("cuda:first").contains("a number, as in cuda:0"));
        assert!(refused("wgpu:fast").contains("discrete, integrated, virtual, cpu or a number"));
        assert!(refused("flex:1").contains("there is only one such device"));
        assert!(refused("remote").contains("the server's address, as in remote:ws://"));
        assert!(refused("remote:").contains("the server's address, as in remote:ws://"));
    }
}

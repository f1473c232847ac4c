//! Opens a device by name and checks that it works.

use std::fmt;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use burn::tensor::{Device, Tensor};

use crate::guard::guarded;
use crate::probe::{self, Find};
use crate::{Adapter, Backend, DeviceError, DeviceName, Kind, RemoteAddress, Which};

/// The timeout of the first computation on a device.
const PATIENCE: Duration = Duration::from_secs(120);

/// A working device.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Opened {
    /// The device, without autodiff.
    pub device: Device,
    /// Its full name, which opens the same device again.
    pub name: DeviceName,
    /// A description, such as the model of the GPU.
    pub model: String,
    /// Why `auto` selected it; `None` if it was requested by name.
    pub why: Option<String>,
}

impl fmt::Display for Opened {
    /// Name and model, and why `auto` selected it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.model)?;
        match &self.why {
            Some(why) => write!(f, ", selected by `auto`: {why}"),
            None => Ok(()),
        }
    }
}

/// Opens a device and checks that it can add two numbers.
///
/// `auto` selects the best GPU that this program supports and finds, otherwise the CPU. A software adapter is only opened if it is
/// requested by name. The token of a server is read from the environment variable ([`TOKEN_VARIABLE`](crate::TOKEN_VARIABLE)).
///
/// # Errors
/// [`DeviceError`] if the program was built without its backend, if it is not present, or if its driver fails.
pub fn open(name: &DeviceName) -> Result<Opened, DeviceError> {
    open_found_by(name, &probe::here)
}

/// [`open`] with a custom function that finds devices.
///
/// # Errors
/// As [`open`].
pub fn open_found_by(name: &DeviceName, find: Find<'_>) -> Result<Opened, DeviceError> {
    let (name, why) = match name {
        DeviceName::Auto => best(find),
        name => (name.clone(), None),
    };
    let backend = name.backend().unwrap_or(Backend::Flex);
    if !backend.is_built() {
        return Err(DeviceError::NotBuilt { backend });
    }
    let broken = |message| DeviceError::Broken {
        name: name.to_string(),
        backend,
        message,
    };
    let (device, found, model) = match &name {
        DeviceName::Remote(address) => (session(address)?, name.clone(), "a server's".into()),
        _ => {
            let adapter = find_named(&name, find)?;
            let device = make(&adapter.name).map_err(broken)?;
            (device, adapter.name, adapter.model)
        }
    };
    answers(&device).map_err(broken)?;
    Ok(Opened {
        device,
        name: found,
        model,
        why,
    })
}

#[cfg(feature = "remote")]
fn session(address: &RemoteAddress) -> Result<Device, DeviceError> {
    let token = std::env::var(crate::TOKEN_VARIABLE).unwrap_or_default();
    let token = token.trim().to_owned();
    crate::remote::connect(address, (!token.is_empty()).then_some(token))
}

#[cfg(not(feature = "remote"))]
fn session(_: &RemoteAddress) -> Result<Device, DeviceError> {
    Err(DeviceError::NotBuilt {
        backend: Backend::Remote,
    })
}

/// The order in which `auto` tries GPU backends.
const GPUS: [Backend; 5] = [
    Backend::Cuda,
    Backend::Rocm,
    Backend::Metal,
    Backend::Vulkan,
    Backend::Wgpu,
];

/// The order in which `auto` tries CPU backends.
const CPUS: [Backend; 3] = [Backend::Flex, Backend::LibTorch, Backend::NdArray];

/// The CPU device of a compiled-in backend, for small computations.
pub fn host() -> DeviceName {
    let cpu = CPUS.into_iter().find(|backend| backend.is_built());
    cpu.map_or(DeviceName::Auto, DeviceName::of)
}

/// The device that `auto` selects, and the reason if there were alternatives.
pub fn best(find: Find<'_>) -> (DeviceName, Option<String>) {
    let gpus = GPUS.into_iter().filter(|backend| backend.is_built());
    let mut found: Vec<Adapter> = Vec::new();
    let mut searched = Vec::new();
    for backend in gpus {
        match find(backend) {
            Ok(adapters) => {
                searched.push(backend.to_string());
                let gpus = adapters.into_iter();
                found.extend(gpus.filter(|adapter| adapter.kind != Kind::Cpu));
            }
            Err(error) => searched.push(format!("{backend} ({error})")),
        }
    }
    if let Some(gpu) = (!found.is_empty()).then(|| found.swap_remove(preferred(&found))) {
        let why = format!("the best GPU found: {}", gpu.model);
        return (gpu.name, Some(why));
    }
    let cpu = CPUS.into_iter().find(|backend| backend.is_built());
    let why = match searched.as_slice() {
        [] => None,
        searched => Some(format!("no GPU found by {}", searched.join(", "))),
    };
    (DeviceName::of(cpu.unwrap_or(Backend::Wgpu)), why)
}

/// The adapter with this name.
fn find_named(name: &DeviceName, find: Find<'_>) -> Result<Adapter, DeviceError> {
    let DeviceName::Of(backend, which) = *name else {
        return Err(DeviceError::unknown(&name.to_string()));
    };
    let mut present = find(backend).map_err(|message| DeviceError::Broken {
        name: name.to_string(),
        backend,
        message,
    })?;
    let found: Vec<_> = present
        .iter()
        .map(|adapter| format!("{} ({})", adapter.name, adapter.model))
        .collect();
    let index = match which {
        Which::Default => (!present.is_empty()).then(|| preferred(&present)),
        Which::Index(index) => (index < present.len()).then_some(index),
        Which::Kind(..) => present.iter().position(|adapter| adapter.name == *name),
    };
    match index {
        Some(index) => Ok(present.swap_remove(index)),
        None => Err(DeviceError::Absent {
            name: name.to_string(),
            backend,
            others: !found.is_empty(),
            found: match found.as_slice() {
                [] => format!("{backend} finds no device"),
                found => format!("{backend} finds {}", found.join(", ")),
            },
        }),
    }
}

/// The index of the preferred adapter: GPUs before software, discrete GPUs first.
pub fn preferred(present: &[Adapter]) -> usize {
    let order = |adapter: &Adapter| match adapter.kind {
        Kind::Discrete => 0,
        Kind::Virtual | Kind::Other => 1,
        Kind::Integrated => 2,
        Kind::Cpu => 3,
    };
    (0..present.len())
        .min_by_key(|index| order(&present[*index]))
        .unwrap_or(0)
}

fn make(name: &DeviceName) -> Result<Device, String> {
    let (backend, which) = match name {
        DeviceName::Of(backend, which) => (*backend, *which),
        name => return Err(format!("{name} is not a device of this machine")),
    };
    let _ = which;
    match backend {
        #[cfg(feature = "flex")]
        Backend::Flex => Ok(Device::flex()),
        #[cfg(feature = "ndarray")]
        #[allow(deprecated)]
        // Burn deprecates it; it stays available as long as Burn has it.
        Backend::NdArray => Ok(Device::ndarray()),
        #[cfg(feature = "wgpu")]
        Backend::Wgpu => graphics(which, burn::tensor::wgpu::WgpuBackend::Auto),
        #[cfg(feature = "vulkan")]
        Backend::Vulkan => graphics(which, burn::tensor::wgpu::WgpuBackend::Vulkan),
        #[cfg(feature = "metal")]
        Backend::Metal => graphics(which, burn::tensor::wgpu::WgpuBackend::Metal),
        #[cfg(feature = "cuda")]
        Backend::Cuda => Ok(Device::cuda(index(which))),
        #[cfg(feature = "rocm")]
        Backend::Rocm => Ok(Device::rocm(index(which))),
        #[cfg(feature = "libtorch")]
        #[allow(deprecated)] // As above.
        Backend::LibTorch => Ok(Device::libtorch()),
        backend => Err(format!("this program was built without {backend}")),
    }
}

#[cfg(any(feature = "cuda", feature = "rocm"))]
fn index(which: Which) -> usize {
    match which {
        Which::Index(index) => index,
        _ => 0,
    }
}

#[cfg(feature = "wgpu")]
fn graphics(which: Which, api: burn::tensor::wgpu::WgpuBackend) -> Result<Device, String> {
    use burn::tensor::DeviceKind;
    use burn::tensor::wgpu::WgpuInitError;
    let kind = match which {
        Which::Kind(Kind::Discrete, index) => DeviceKind::DiscreteGpu(index),
        Which::Kind(Kind::Integrated, index) => DeviceKind::IntegratedGpu(index),
        Which::Kind(Kind::Virtual, index) => DeviceKind::VirtualGpu(index),
        Which::Kind(Kind::Cpu, _) => DeviceKind::Cpu,
        _ => DeviceKind::DefaultDevice,
    };
    let options = Device::wgpu_options()
        .device_kind(kind.clone())
        .graphics_api(api);
    match options.init() {
        Ok(device) => Ok(device),
        // It is open already; another handle refers to the same device.
        Err(WgpuInitError::Registration { .. }) => Ok(match api {
            #[cfg(feature = "vulkan")]
            burn::tensor::wgpu::WgpuBackend::Vulkan => Device::vulkan(kind),
            #[cfg(feature = "metal")]
            burn::tensor::wgpu::WgpuBackend::Metal => Device::metal(kind),
            _ => Device::wgpu(kind),
        }),
        Err(error) => Err(error.to_string()),
    }
}

/// Checks that the device adds two numbers within a timeout. A driver that hangs only blocks its own thread.
fn answers(device: &Device) -> Result<(), String> {
    let (say, hear) = channel();
    let device = device.clone();
    std::thread::spawn(move || {
        let sum = guarded(|| {
            let x = Tensor::<1>::from_floats([1.0, 2.0], &device);
            (x.clone() + x)
                .into_data()
                .iter::<f32>()
                .collect::<Vec<_>>()
        });
        let _ = say.send(sum);
    });
    match hear.recv_timeout(PATIENCE) {
        Ok(Ok(sum)) if sum == [2.0, 4.0] => Ok(()),
        Ok(Ok(sum)) => Err(format!("it computed {sum:?} for 1 + 1 and 2 + 2")),
        Ok(Err(message)) => Err(message),
        Err(RecvTimeoutError::Timeout) => {
            Err(format!("no answer within {} seconds", PATIENCE.as_secs()))
        }
        Err(RecvTimeoutError::Disconnected) => Err("it gave up".into()),
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;

    #[test]
    fn an_opened_device_has_its_full_name() {
        let opened = open(&DeviceName::of(Backend::Flex)).expect("flex is compiled in");
        assert_eq!(opened.name.to_string(), "flex");
        assert_eq!(opened.why, None);
    }

    #[test]
    fn the_error_for_a_missing_backend_names_its_feature() {
        if Backend::Rocm.is_built() {
            return;
        }
        let error = open(&DeviceName::of(Backend::Rocm)).expect_err("not compiled in");
        assert_eq!(
            error,
            DeviceError::NotBuilt {
                backend: Backend::Rocm
            }
        );
        assert!(error.help().contains("--features rocm"), "{}", error.help());
    }
}

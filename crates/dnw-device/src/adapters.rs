//! The devices of a backend on this machine.

use serde::{Deserialize, Serialize};

use crate::Backend;
use crate::name::{DeviceName, Kind};

/// A device of this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adapter {
    /// The name that opens it.
    pub name: DeviceName,
    /// The model name from its manufacturer.
    pub model: String,
    /// Driver and version.
    pub driver: String,
    /// Memory in bytes, if the driver reports it.
    pub memory: Option<u64>,
    /// Its kind.
    pub kind: Kind,
}

/// The devices of a backend; empty if the program was built without it.
pub(crate) fn of(backend: Backend) -> Vec<Adapter> {
    if !backend.is_built() {
        return Vec::new();
    }
    match backend {
        Backend::Flex | Backend::NdArray => vec![cpu(backend)],
        #[cfg(feature = "wgpu")]
        Backend::Wgpu | Backend::Vulkan | Backend::Metal => graphics::adapters(backend),
        #[cfg(feature = "cuda")]
        Backend::Cuda => indexed(backend, burn::tensor::DeviceType::Cuda),
        #[cfg(feature = "rocm")]
        Backend::Rocm => indexed(backend, burn::tensor::DeviceType::Rocm),
        Backend::LibTorch => vec![cpu(backend)],
        _ => Vec::new(),
    }
}

fn cpu(backend: Backend) -> Adapter {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    Adapter {
        name: DeviceName::of(backend),
        model: format!("CPU, {threads} threads"),
        driver: String::new(),
        memory: host_memory(),
        kind: Kind::Cpu,
    }
}

/// The memory of this machine in bytes, or of the container that the program runs in, if the system reports it.
pub fn host_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("MemTotal:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    // `max` where there is no limit.
    let limit = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let limit = limit.and_then(|text| text.trim().parse::<u64>().ok());
    Some((kib * 1024).min(limit.unwrap_or(u64::MAX)))
}

/// The devices of a runtime that addresses them by index. Querying their models and memory opens them.
#[cfg(any(feature = "cuda", feature = "rocm"))]
fn indexed(backend: Backend, runtime: burn::tensor::DeviceType) -> Vec<Adapter> {
    use burn::backend::DispatchDevice;
    use burn::tensor::Device;
    let described = |device: &Device| {
        let model = device.identity().map(|found| found.name);
        let memory = match device.as_dispatch() {
            DispatchDevice::Cube(device) => device.client().properties().memory.max_memory(),
            #[allow(unreachable_patterns)]
            _ => None,
        };
        (model, memory)
    };
    let adapter = |(index, (model, memory)): (usize, (Option<String>, Option<u64>))| Adapter {
        name: DeviceName::Of(backend, crate::name::Which::Index(index)),
        model: model.unwrap_or_else(|| "a GPU without a name".into()),
        driver: String::new(),
        memory,
        kind: Kind::Discrete,
    };
    let devices = Device::enumerate(runtime).into_vec();
    let described = devices.iter().map(described).enumerate();
    described.map(adapter).collect()
}

/// The adapters of wgpu.
#[cfg(feature = "wgpu")]
mod graphics {
    use burn::tensor::wgpu::wgpu::{self, AdapterInfo, Backends, DeviceType};

    use super::{Adapter, Backend, DeviceName, Kind};
    use crate::name::Which;

    /// The graphics APIs that a backend tries, best first, as CubeCL does.
    fn apis(backend: Backend) -> &'static [Backends] {
        match backend {
            Backend::Vulkan => &[Backends::VULKAN],
            Backend::Metal => &[Backends::METAL],
            _ if cfg!(target_os = "macos") => &[Backends::METAL],
            _ => &[Backends::VULKAN, Backends::DX12, Backends::GL],
        }
    }

    fn on(api: Backends) -> Vec<AdapterInfo> {
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
            backends: api,
            ..wgpu::InstanceDescriptor::new_without_display_handle()
        });
        pollster::block_on(instance.enumerate_adapters(api))
            .iter()
            .map(wgpu::Adapter::get_info)
            .collect()
    }

    fn kind(info: &AdapterInfo) -> Kind {
        match info.device_type {
            DeviceType::DiscreteGpu => Kind::Discrete,
            DeviceType::IntegratedGpu => Kind::Integrated,
            DeviceType::VirtualGpu => Kind::Virtual,
            DeviceType::Cpu => Kind::Cpu,
            DeviceType::Other => Kind::Other,
        }
    }

    /// The adapters of the first API that reaches a GPU, or else of the first that reaches any.
    pub(super) fn adapters(backend: Backend) -> Vec<Adapter> {
        let mut software = Vec::new();
        for api in apis(backend) {
            let found = on(*api);
            if found.iter().any(|info| info.device_type != DeviceType::Cpu) {
                return named(backend, &found);
            }
            if software.is_empty() {
                software = found;
            }
        }
        named(backend, &software)
    }

    fn named(backend: Backend, found: &[AdapterInfo]) -> Vec<Adapter> {
        let adapter = |(index, info): (usize, &AdapterInfo)| {
            let this = kind(info);
            let before = found[..index].iter().filter(|other| kind(other) == this);
            let driver = format!("{} {}", info.driver, info.driver_info);
            Adapter {
                name: DeviceName::Of(backend, Which::Kind(this, before.count())),
                model: info.name.clone(),
                driver: format!("{}, {}", info.backend, driver.trim()),
                memory: None,
                kind: this,
            }
        };
        found.iter().enumerate().map(adapter).collect()
    }
}

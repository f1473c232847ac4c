//! The backends.

use std::fmt;

/// A backend of Burn's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Backend {
    /// Burn's fast CPU backend, with this project's kernels.
    Flex,
    /// Burn's older CPU backend.
    NdArray,
    /// GPUs through the first graphics API that finds one; shaders in WGSL.
    Wgpu,
    /// GPUs through Vulkan; shaders in SPIR-V.
    Vulkan,
    /// Apple GPUs.
    Metal,
    /// NVIDIA GPUs.
    Cuda,
    /// AMD GPUs.
    Rocm,
    /// LibTorch, the library of PyTorch.
    LibTorch,
    /// The devices of another process or machine.
    Remote,
}

impl Backend {
    /// All backends, the default first.
    pub const ALL: [Self; 9] = [
        Self::Flex,
        Self::NdArray,
        Self::Wgpu,
        Self::Vulkan,
        Self::Metal,
        Self::Cuda,
        Self::Rocm,
        Self::LibTorch,
        Self::Remote,
    ];

    /// Its name on the command line and the name of its Cargo feature.
    pub fn name(self) -> &'static str {
        match self {
            Self::Flex => "flex",
            Self::NdArray => "ndarray",
            Self::Wgpu => "wgpu",
            Self::Vulkan => "vulkan",
            Self::Metal => "metal",
            Self::Cuda => "cuda",
            Self::Rocm => "rocm",
            Self::LibTorch => "libtorch",
            Self::Remote => "remote",
        }
    }

    /// The backend with this name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|backend| backend.name() == name)
    }

    /// Whether this program was built with it.
    pub fn is_built(self) -> bool {
        match self {
            Self::Flex => cfg!(feature = "flex"),
            Self::NdArray => cfg!(feature = "ndarray"),
            Self::Wgpu => cfg!(feature = "wgpu"),
            Self::Vulkan => cfg!(feature = "vulkan"),
            Self::Metal => cfg!(feature = "metal"),
            Self::Cuda => cfg!(feature = "cuda"),
            Self::Rocm => cfg!(feature = "rocm"),
            Self::LibTorch => cfg!(feature = "libtorch"),
            Self::Remote => cfg!(feature = "remote"),
        }
    }

    /// The requirements of the backend besides this program.
    pub fn needs(self) -> &'static str {
        match self {
            Self::Flex | Self::NdArray => "only a CPU",
            Self::Wgpu | Self::Vulkan => {
                "a graphics driver (on Debian `mesa-vulkan-drivers libvulkan1`, which also has a software adapter, `wgpu:cpu`)"
            }
            Self::Metal => "a Mac with a GPU",
            Self::Cuda => {
                "an NVIDIA GPU, its driver and the CUDA toolkit (and network access at build time, to download LLVM)"
            }
            Self::Rocm => {
                "an AMD GPU and ROCm (and network access at build time, to download LLVM)"
            }
            Self::LibTorch => {
                "PyTorch's library (see LIBTORCH in the documentation of the crate tch)"
            }
            Self::Remote => "a server that `dnw serve` has started, and the token that it prints",
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

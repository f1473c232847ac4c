//! The backends that exist.

use std::fmt;

/// A backend of Burn's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Backend {
    /// Burn's fast CPU backend, with this project's kernels.
    Flex,
    /// Burn's older CPU backend.
    NdArray,
    /// GPUs through the first graphics API that reaches one; shaders in WGSL.
    Wgpu,
    /// GPUs through Vulkan; shaders in SPIR-V.
    Vulkan,
    /// Apple's GPUs.
    Metal,
    /// NVIDIA's GPUs.
    Cuda,
    /// AMD's GPUs.
    Rocm,
    /// PyTorch's library.
    LibTorch,
    /// The devices of another process or machine.
    Remote,
}

impl Backend {
    /// All of them, the default first.
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

    /// Its name on the command line, which is also that of the feature that brings it.
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

    /// The backend of that name.
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

    /// What it needs besides this program, for whoever has not got it.
    pub fn needs(self) -> &'static str {
        match self {
            Self::Flex | Self::NdArray => "nothing besides the CPU",
            Self::Wgpu | Self::Vulkan => {
                "a graphics driver (on Debian `mesa-vulkan-drivers libvulkan1`, which also has a software adapter, `wgpu:cpu`)"
            }
            Self::Metal => "a Mac with a GPU",
            Self::Cuda => {
                "an NVIDIA GPU, its driver and the CUDA toolkit (and, to be built, LLVM from the network)"
            }
            Self::Rocm => "an AMD GPU and ROCm (and, to be built, LLVM from the network)",
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

//! Kernels of learned wirings for GPUs.
//!
//! Written once in [CubeCL](https://docs.rs/cubecl), they run wherever it does: wgpu, Vulkan, Metal, CUDA, ROCm. Like the kernels for CPUs
//! in `dnw-kernels` they know no framework: a [`Buffer`] is a device's memory and a length, and shapes are numbers. Results of one device
//! are the same bits each time, because sums are made in a fixed order and what threads race for are whole numbers.
//!
//! * [`bits`]: a mask packed to a bit an edge, by targets and by sources.
//! * [`product`]: what nodes gather through their real edges, and back.
//! * [`node`]: instance norm, ReLU and a depthwise 3 x 3 convolution in one pass each way.
//! * [`selection`]: the k weights of largest magnitude, by counting, and how the mask differs from the one before.

#![cfg(feature = "cube")]
// Kernels are translated, not compiled: what clippy would write is not always there, and nested conditions say what must not be read.
#![allow(clippy::manual_div_ceil, clippy::collapsible_if)]

pub mod bits;
mod buffer;
pub mod node;
pub mod product;
pub mod selection;

pub use buffer::Buffer;
// How a device stores booleans, which masks are.
pub use cubecl::ir::ElemType;

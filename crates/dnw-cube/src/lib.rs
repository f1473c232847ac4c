//! GPU kernels for networks with learned wirings.
//!
//! The kernels are written in [CubeCL](https://docs.rs/cubecl) and run on every runtime that it supports: wgpu, Vulkan, Metal, CUDA and ROCm.
//! Like the CPU kernels in `dnw-kernels` they depend on no machine learning framework: a [`Buffer`] is device memory and a length. Results
//! on one device are deterministic: sums have a fixed order, and atomic operations only act on integers.
//!
//! * [`bits`]: masks packed to one bit per edge, by target and by source.
//! * [`product`]: the wired product, forward and for the gradient of the input.
//! * [`convolution`]: the wired convolution, forward and backward.
//! * [`node`]: instance norm, ReLU and a depthwise 3 x 3 convolution, fused, forward and backward.
//! * [`norm`]: batch norm and the ReLU after it, forward and backward, and its running averages.
//! * [`add_relu`]: the sum at the end of a residual block with its ReLU.
//! * [`depthwise`]: the node function of MobileNetV1 after its statistics.
//! * [`layout`]: copies that rearrange feature maps and matrices.
//! * [`masked`]: weights with their hallucinated edges set to zero.
//! * [`sgd`]: an update with momentum and weight decay, in place.
//! * [`selection`]: the k weights of largest magnitude, by a radix search, and the difference from the mask before.

#![cfg(feature = "cube")]
// CubeCL does not support everything that clippy suggests, and nested conditions guard out-of-bounds reads.
#![allow(clippy::manual_div_ceil, clippy::collapsible_if)]

pub mod add_relu;
pub mod bits;
mod buffer;
pub mod convolution;
pub mod depthwise;
pub mod layout;
pub mod masked;
pub mod node;
pub mod norm;
pub mod product;
pub mod selection;
pub mod sgd;
mod workgroup;

pub use buffer::Buffer;
// How a device stores booleans, which masks are.
pub use cubecl::ir::ElemType;

//! Operations of wired networks that a backend may implement faster than plain tensors.
//!
//! Each file is one operation: its reference in plain tensors, which runs on every backend; its implementation on CPUs, by the kernels
//! of `dnw-kernels`; on GPUs, where there is one, by those of `dnw-cube`; its gradient; and its tests. [`dispatch`] alone knows how
//! operations reach a backend and autodiff. The device of the tensors decides at run time which implementation is used.

mod add_relu;
mod averages;
mod batch_norm;
mod bias;
mod clip_norm;
mod convolution;
mod cpu;
mod cross_entropy;
// Burn calls its ndarray backend deprecated; it is one of ours for as long as Burn publishes it.
#[cfg_attr(feature = "ndarray", allow(deprecated))]
mod dispatch;
mod fixed_sum;
mod global_average;
#[cfg(feature = "cube")]
mod gpu;
mod index;
mod instance_norm;
mod kernels;
mod levels;
mod linear;
mod masked_weight;
mod node;
mod product;
mod select;
mod sgd;
mod steps;
#[cfg(all(test, feature = "flex"))]
mod testing;

pub use add_relu::add_rectified;
pub use averages::BatchStatistics;
pub use clip_norm::clip_norm;
pub use cross_entropy::cross_entropy;
pub use global_average::global_average;
pub use kernels::Kernels;
pub use node::{GraphNodes, GraphNorm};

pub(crate) use averages::{Move, move_averages};
pub(crate) use batch_norm::batch_norm;
pub(crate) use bias::add_bias;
pub(crate) use convolution::{convolution, wired_convolution};
pub(crate) use cpu::Address;
pub(crate) use index::IndexCache;
pub(crate) use instance_norm::instance_norm;
pub(crate) use kernels::is_cpu;
pub(crate) use levels::levels;
pub(crate) use linear::linear;
pub(crate) use node::node_function;
pub(crate) use product::{wired_linear, wired_product};
pub(crate) use select::{Selecting, Surveyed, TopK, select_top_k, toggle_mask};
pub(crate) use sgd::{SgdStep, address, sgd_step};
pub(crate) use steps::steps;

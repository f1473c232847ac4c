//! Kernels for executing a finished network, one image at a time.
//!
//! Unlike the kernels for training they start no threads: a caller that has several gives each a part of the targets. They take pointers
//! into one block of memory, because a step reads and writes parts of the same block; `dnw-runtime` checks the parts once, when it loads a
//! network.
//!
//! Every output is summed in one order of its terms with fused multiply-adds, whatever the width of the vectors. So AVX2, AVX-512 and NEON
//! give the same bits.

pub use crate::simd::LANES;

mod activation;
mod depthwise;
mod limits;
mod linear;
mod norm;
mod padding;
mod pointwise;
mod pool;
mod resample;
mod shared;
mod sums;
mod together;

pub use activation::{Activation, Function, activate, exp};
pub use depthwise::{Depthwise, DepthwiseShape, Kernel, Lines};
pub use limits::{MULTIPLY_ADDS_PER_ROUND, load_all, multiply_adds};
pub use linear::{Matrix, dense_rows};
pub use norm::{ChannelMaps, NORM_TOGETHER, NormMap, means, norm_maps};
pub use padding::{MapLines, pad_lines};
pub use pointwise::{add_scaled, add_squares, copy_every};
pub use pool::{PoolShape, max_pool, sum_pool};
pub use resample::{Taps, resample};
pub use shared::SharedRows;
pub use sums::{BLOCK, NONE, RowSums, Target, sum_rows};
pub use together::{TOGETHER, sum_rows_together, sums_together};

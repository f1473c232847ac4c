//! CPU kernels for wired networks, over plain slices.
//!
//! A wired product `y = (M * W) x` costs its real edges forward and for the input's gradient, and one
//! dense product for the weights' gradient, because every hallucinated edge learns too. The node
//! function (instance norm, ReLU, depthwise 3 x 3) is fused so that activations are read and written
//! once. No framework is known here: training calls these kernels through a backend's operations, and
//! whatever runs a finished wiring can call the same ones.
//!
//! All tensors are contiguous row-major `f32`. Results do not depend on the number of threads: work is
//! cut into a number of parts that the shapes alone decide, and partial sums are added in their order.
//!
//! ```
//! use dnw_kernels::{EdgeIndex, product, product::ProductShape};
//!
//! // two targets, three sources, one pixel, one image; the real edges are (0, 2) and (1, 0)
//! let index = EdgeIndex::new(2, 3, [(0, 2), (1, 0)]);
//! let shape = ProductShape { images: 1, targets: 2, sources: 3, pixels: 1 };
//! let weight = [9.0, 9.0, 2.0, 3.0, 9.0, 9.0];
//! let mut y = [0.0; 2];
//! product::forward(shape, &[1.0, 10.0, 100.0], &weight, &index, &mut y);
//! assert_eq!(y, [200.0, 3.0]);
//! ```

#![deny(missing_docs)]

mod index;
pub mod node;
pub mod product;
mod simd;

pub use index::EdgeIndex;

/// Parts into which a batch is cut: more than most machines have cores, few enough that adding partial sums costs
/// nothing. A constant, so that sums are the same on every number of threads.
const PARTS: usize = 16;

/// Images per part.
fn part_size(images: usize) -> usize {
    images.div_ceil(PARTS).max(1)
}

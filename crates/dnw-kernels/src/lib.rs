//! CPU kernels for wired networks, over plain slices.
//!
//! A wired product `y = (M * W) x` costs its real edges forward and for the input's gradient, and one
//! dense product for the weights' gradient, because every hallucinated edge learns too. The node
//! function (instance norm, ReLU, depthwise 3 x 3) is fused so that activations are brought and written
//! once. No framework is known here: training calls these kernels through a backend's operations, and
//! whatever runs a finished wiring can call the same ones.
//!
//! All tensors are contiguous row-major `f32`. Results do not depend on the number of threads: work is
//! cut into a number of parts that the shapes alone decide, and partial sums are added in their order.
//!
//! ```
//! use dnw_kernels::{EdgeIndex, product, product::{Layout, ProductShape}};
//!
//! // two targets, three sources, one pixel, one image; the real edges are (0, 2) and (1, 0)
//! let index = EdgeIndex::new(2, 3, [(0, 2), (1, 0)]);
//! let shape = ProductShape { images: 1, targets: 2, sources: 3, pixels: 1, layout: Layout::TargetsFirst };
//! let weight = [9.0, 9.0, 2.0, 3.0, 9.0, 9.0];
//! let mut y = [0.0; 2];
//! product::forward(shape, &[1.0, 10.0, 100.0], &index.weights(&weight), &index, &mut y);
//! assert_eq!(y, [200.0, 3.0]);
//! ```

#![deny(missing_docs)]

pub mod convolution;
mod cost;
mod dense;
mod index;
mod layout;
pub mod levels;
pub mod node;
pub mod norm;
mod planes;
pub mod pool;
pub mod product;
mod rows;
pub mod selection;
pub mod sgd;
mod simd;
pub mod steps;
mod tiles;
mod wired;
mod workers;

pub use index::{EdgeIndex, OfSource, words_of};
pub use pool::Buffer;
pub use workers::on_workers;

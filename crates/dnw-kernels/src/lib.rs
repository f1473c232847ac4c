//! CPU kernels for networks with learned wirings, over plain slices.
//!
//! A wired product `y = (M * W) x` visits only the real edges in the forward pass and for the gradient of the input.
//! The gradient of the weight is one dense product, because hallucinated edges learn too. The node function (norm,
//! ReLU, depthwise 3 x 3 convolution) is fused, so that each activation is read and written once. The crate depends
//! on no machine learning framework: Burn backends call these kernels in training, and any other runtime can call
//! them too.
//!
//! All tensors are contiguous row-major `f32`. Results do not depend on the number of threads: the shapes alone
//! decide how work is split into tasks, and partial sums are added in a fixed order.
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
pub mod settings;
pub mod sgd;
mod simd;
pub mod steps;
mod tiles;
mod wired;
mod workers;

pub use index::{EdgeIndex, OutEdge, words_of};
pub use pool::Buffer;
pub use workers::on_workers;

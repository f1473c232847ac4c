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
//! # #[cfg(feature = "training")] {
//! use dnw_kernels::{EdgeIndex, product, product::{Layout, ProductShape}};
//!
//! // two targets, three sources, one pixel, one image; the real edges are (0, 2) and (1, 0)
//! let index = EdgeIndex::new(2, 3, [(0, 2), (1, 0)]);
//! let shape = ProductShape { images: 1, targets: 2, sources: 3, pixels: 1, layout: Layout::TargetsFirst };
//! let weight = [9.0, 9.0, 2.0, 3.0, 9.0, 9.0];
//! let mut y = [0.0; 2];
//! product::forward(shape, &[1.0, 10.0, 100.0], &index.weights(&weight), &index, &mut y);
//! assert_eq!(y, [200.0, 3.0]);
//! # }
//! ```

#![deny(missing_docs)]

pub mod inference;
pub mod settings;
// Without training, not every helper has a user.
#[cfg_attr(not(feature = "training"), allow(dead_code, unused_macros))]
mod simd;
mod vector;

#[cfg(feature = "training")]
pub mod convolution;
#[cfg(feature = "training")]
mod cost;
#[cfg(feature = "training")]
mod dense;
#[cfg(feature = "training")]
mod index;
#[cfg(feature = "training")]
mod layout;
#[cfg(feature = "training")]
pub mod levels;
#[cfg(feature = "training")]
pub mod linear;
#[cfg(feature = "training")]
pub mod node;
#[cfg(feature = "training")]
pub mod norm;
#[cfg(feature = "training")]
mod planes;
#[cfg(feature = "training")]
pub mod pool;
#[cfg(feature = "training")]
pub mod product;
#[cfg(feature = "training")]
mod rows;
#[cfg(feature = "training")]
pub mod selection;
#[cfg(feature = "training")]
pub mod sgd;
#[cfg(feature = "training")]
pub mod steps;
#[cfg(feature = "training")]
mod tiles;
#[cfg(feature = "training")]
mod wired;
#[cfg(feature = "training")]
mod workers;

#[cfg(feature = "training")]
pub use index::{EdgeIndex, OutEdge, words_of};
#[cfg(feature = "training")]
pub use pool::Buffer;
#[cfg(feature = "training")]
pub use workers::on_workers;

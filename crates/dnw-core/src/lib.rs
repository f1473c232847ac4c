//! Networks whose wiring is learned together with their weights, as Burn modules.
//!
//! Every possible edge of a network has a weight throughout training. The k edges of largest magnitude are
//! **real**: they take part in the forward pass. All others are **hallucinated**: absent from the forward
//! pass, yet updated as if present, so that an edge which grows past the weakest real one swaps in (Wortsman,
//! Farhadi and Rastegari, *Discovering Neural Wirings*, NeurIPS 2019).
//!
//! Any Burn model whose layers read their weights through `Param::val`, as Burn's own layers do, is wired in
//! three steps: attach, train as before, rewire after each update.
//!
//! ```
//! use burn::module::{Module, ParamGroup};
//! use burn::nn::{Linear, LinearConfig, loss::CrossEntropyLossConfig};
//! use burn::optim::{GradientsParams, SgdConfig};
//! use burn::tensor::{Device, Distribution, Int, Tensor};
//! use dnw_core::{Budget, Wire};
//!
//! # fn main() -> Result<(), dnw_core::WiringError> {
//! # #[cfg(feature = "flex")] {
//! let device = Device::flex().autodiff();
//! let model: Linear = LinearConfig::new(20, 10).init(&device);
//! let mut model = Wire::dnw(Budget::Density(0.2)).weights(ParamGroup::all()).attach(model)?;
//!
//! let mut optimizer = SgdConfig::new().init();
//! for _ in 0..3 {
//!     let x = Tensor::<2>::random([8, 20], Distribution::Default, &device);
//!     let y = Tensor::<1, Int>::zeros([8], &device);
//!     let loss = CrossEntropyLossConfig::new().init(&device).forward(model.forward(x), y);
//!     let gradients = GradientsParams::from_grads(loss.backward(), &model);
//!     model = optimizer.step(0.1, model, gradients);
//!     let rewiring = model.rewire()?;
//!     assert_eq!(rewiring.real(), 40);
//! }
//! # } Ok(()) }
//! ```
//!
//! With the feature `train`, a [`Wired`] model runs under Burn's learner, which rewires it after each update.
//!
//! The crate contains no models, file formats or terminal output.

#![deny(missing_docs)]
#![recursion_limit = "256"]

mod agnostic;
mod allocation;
mod budget;
mod error;
mod forward;
mod gradient;
pub mod graph;
pub mod layers;
#[cfg(feature = "train")]
mod learner;
mod moving;
mod ops;
pub mod optim;
mod real_edges;
mod regrowth;
pub mod rule;
pub mod rules;
pub mod schedule;
pub mod score;
mod selection;
mod surveys;
mod swaps;
mod tensor_view;
mod unit;
mod weight_shape;
mod wire;
mod wired;
mod wiring;
mod workers;

/// Burn's selection of a model's parameters, for [`Wire::weights`].
pub use burn::module::ParamGroup;

pub use agnostic::Weights;
pub use allocation::Allocation;
pub use budget::Budget;
pub use error::WiringError;
pub use forward::Forward;
pub use gradient::{Gradient, Penalty};
pub use graph::{GraphSpec, NeuralGraph, NodeFunction};
pub use layers::{DnwLinear, DnwLinearConfig, MaskedConv2d, MaskedConv2dConfig};
pub use moving::carry_masks;
pub use ops::cross_entropy;
pub use real_edges::RealEdges;
pub use regrowth::Regrowth;
pub use rule::Rule;
pub use schedule::{Clock, Schedule};
pub use score::Score;
pub use selection::select_top_edges;
pub use swaps::Swaps;
pub use tensor_view::TensorView;
pub use unit::{Unit, UnitError};
pub use weight_shape::{Layout, WeightShape};
pub use wire::{Ranking, Wire};
pub use wired::{
    RecordError, RecordedTensor, Rewiring, TensorRewiring, Wired, WiredProgress, WiredRecord,
    WiredTensor,
};
pub use wiring::Wiring;
pub use workers::on_workers;

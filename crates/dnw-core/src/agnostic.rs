//! How well a wiring performs without its learned weights.
//!
//! A network whose wiring carries its function classifies better than a random guess even when all edges
//! share one weight or draw new random weights (weight-agnostic networks; Gaier and Ha 2019). Only the
//! weights of wired tensors are replaced; all other parameters stay as trained.

use std::collections::BTreeMap;

use burn::module::Module;

use crate::score::draw;
use crate::wired::Wired;
use crate::{Clock, TensorView, WiringError};

/// The weights that replace the learned ones.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Weights {
    /// Every edge has this weight.
    Shared(f32),
    /// Each edge draws its weight from a normal distribution with mean zero and the standard deviation of its
    /// tensor's real edges.
    Redrawn {
        /// The seed of the draw.
        seed: u64,
    },
}

impl<M: Module> Wired<M> {
    /// A copy of the model with other weights on its edges and the same wiring. Real edges contribute the new
    /// weight in full: any threshold of the rule is removed.
    ///
    /// # Errors
    /// None for a model that this crate wired; the type is that of [`set_weights`](Self::set_weights).
    pub fn with_weights(&self, weights: Weights) -> Result<Self, WiringError> {
        let mut replaced = BTreeMap::new();
        for tensor in self.tensors() {
            let entries = tensor.weights.len();
            let values = match weights {
                Weights::Shared(weight) => vec![weight; entries],
                Weights::Redrawn { seed } => {
                    let real = tensor.active();
                    let squares = real
                        .iter()
                        .map(|entry| f64::from(tensor.weights[entry]).powi(2));
                    let deviation = (squares.sum::<f64>() / real.count().max(1) as f64).sqrt();
                    let view = TensorView {
                        name: &tensor.name,
                        shape: &tensor.shape,
                        weights: &tensor.weights,
                        candidates: &tensor.candidates,
                        wiring: &tensor.wiring,
                        budget: tensor.budget,
                        dense: false,
                        learns: true,
                        clock: Clock::default(),
                        seed,
                        gradients: None,
                        threshold: 0.0,
                    };
                    (0..entries)
                        .map(|entry| (deviation * normal(&view, entry)) as f32)
                        .collect()
                }
            };
            replaced.insert(tensor.name, values);
        }
        let mut model = self.clone();
        model.remove_thresholds();
        model.set_weights(replaced)?;
        Ok(model)
    }
}

/// A sample of the standard normal distribution for an entry (Box and Muller 1958).
fn normal(tensor: &TensorView<'_>, entry: usize) -> f64 {
    // The two halves of one draw. The first is kept above zero, because its logarithm is taken.
    let bits = draw(tensor, entry);
    let unit = |half: u64| (half as f64 + 0.5) / f64::from(u32::MAX);
    let (radius, angle) = (unit(bits >> 32), unit(bits & u64::from(u32::MAX)));
    (-2.0 * libm::log(radius.min(1.0))).sqrt() * libm::cos(std::f64::consts::TAU * angle)
}

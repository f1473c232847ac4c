//! What a wiring is worth whatever its weights are.
//!
//! A network whose wiring does the work classifies better than chance even when all its edges share one weight, or draw new ones
//! (weight-agnostic networks; Gaier and Ha 2019). Only the weights of wired tensors are replaced; what is no edge stays as it was
//! learned.

use std::collections::BTreeMap;

use burn::module::Module;

use crate::score::draw;
use crate::wired::Wired;
use crate::{Clock, TensorView, WiringError};

/// Which weights take the place of the learned ones.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Weights {
    /// Every edge has this weight.
    Shared(f32),
    /// Every edge draws its own from a normal distribution of mean zero and the standard deviation of its tensor's real edges.
    Redrawn {
        /// The seed of the draw.
        seed: u64,
    },
}

impl<M: Module> Wired<M> {
    /// The model with other weights on its edges and the wiring that it has. A real edge gives its new weight, whatever threshold the
    /// rule had set.
    ///
    /// # Errors
    /// None for a model that was wired by this crate; the type is that of [`set_weights`](Self::set_weights).
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

/// A number drawn from the standard normal distribution for an entry (Box and Muller 1958).
fn normal(tensor: &TensorView<'_>, entry: usize) -> f64 {
    // Two halves of one draw; the first is kept from zero, whose logarithm is none.
    let bits = draw(tensor, entry);
    let unit = |half: u64| (half as f64 + 0.5) / f64::from(u32::MAX);
    let (radius, angle) = (unit(bits >> 32), unit(bits & u64::from(u32::MAX)));
    (-2.0 * radius.min(1.0).ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
}

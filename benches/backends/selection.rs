//! The selection of edges in one large tensor, on any device.

use std::time::Instant;

use burn::module::ParamGroup;
use burn::nn::LinearConfig;
use dnw_benches::random_values;
use dnw_benches::timing::{Timing, rounds};
use dnw_core::{Budget, Wire};
use dnw_device::{DeviceName, open};
use serde::Serialize;

use crate::failure::Failure;

/// One edge of so many is selected.
const OF: usize = 20;
/// How far weights move at most before the selection that is measured, as a share of the largest. About as many edges swap as in a
/// training step.
const MOVE: f32 = 1e-3;

/// The results of a measurement.
#[derive(Serialize)]
pub struct Selected {
    device: String,
    adapter: String,
    weights: usize,
    edges: usize,
    /// Edges that swap in.
    swapped: usize,
    /// The selection, with the update of the mask.
    selection: Timing,
}

/// Selects the largest of `weights` weights again, after they have moved.
///
/// # Errors
/// [`Failure`] if the device cannot be opened or fails.
pub fn measure(
    name: &DeviceName,
    weights: usize,
    repeats: usize,
    patience: f64,
) -> Result<Selected, Failure> {
    let opened = open(name)?;
    let device = &opened.device;
    let side = (weights as f64).sqrt() as usize;
    let learning = device.clone().autodiff();
    let layer = LinearConfig::new(side, side).with_bias(false);
    let wire = Wire::dnw(Budget::Density(1.0 / OF as f64)).weights(ParamGroup::all());
    let mut wired = wire.attach(layer.init(&learning))?;
    let moved = wired.tensors().into_iter().map(|tensor| {
        let noise = random_values(5, tensor.weights.len());
        let weights = tensor.weights.iter().zip(noise);
        // Weights are uniform between this and its negative.
        let bound = MOVE / (side as f32).sqrt();
        let weights = weights.map(|(weight, noise)| weight + bound * noise);
        (tensor.name, weights.collect())
    });
    let moved = moved.collect();
    wired.set_weights(moved)?;
    let swapped = wired.clone().rewire()?.added();
    device.sync()?;
    let selection = rounds(1, repeats, 3, patience, || -> Result<f64, Failure> {
        let mut model = wired.clone();
        let began = Instant::now();
        model.rewire()?;
        device.sync()?;
        Ok(began.elapsed().as_secs_f64())
    })?;
    Ok(Selected {
        device: opened.name.to_string(),
        adapter: opened.model,
        weights: side * side,
        edges: side * side / OF,
        swapped,
        selection,
    })
}

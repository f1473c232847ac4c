//! The rates of a device that the cost model needs.

use std::time::Instant;

use burn::module::ParamGroup;
use burn::nn::LinearConfig;
use burn::optim::GradientsParams;
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Distribution, Tensor};
use dnw_benches::timing::rounds;
use dnw_core::optim::Sgd;
use dnw_core::{Budget, Wire};
use dnw_train::scaling::Rates;

use crate::failure::Failure;

/// Rounds per measurement; the median is used.
const ROUNDS: usize = 7;
/// The longest time limit in seconds, after which fewer rounds are enough.
const PATIENCE: f64 = 5.0;

/// Measures the rates, each for about `patience` seconds.
///
/// # Errors
/// [`Failure`] if the device fails.
pub fn rates(device: &Device, patience: f64) -> Result<Rates, Failure> {
    let patience = patience.min(PATIENCE);
    Ok(Rates {
        products: products(device, patience)?,
        numbers: numbers(device, patience)?,
        weights: weights(device, patience)?,
    })
}

fn seconds(patience: f64, mut work: impl FnMut() -> Result<f64, Failure>) -> Result<f64, Failure> {
    Ok(rounds(1, ROUNDS, 1, patience, &mut work)?.median)
}

/// Multiply-adds per second of a 3 x 3 convolution of 64 channels at 16 x 16, one product forward and two backward.
fn products(device: &Device, patience: f64) -> Result<f64, Failure> {
    let (images, channels, side) = (8, 64, 16);
    let training = device.clone().autodiff();
    let normal = Distribution::Normal(0.0, 1.0);
    let x = Tensor::<4>::random([images, channels, side, side], normal, &training).require_grad();
    let w = Tensor::<4>::random([channels, channels, 3, 3], normal, &training).require_grad();
    device.sync()?;
    let made = 3 * images * side * side * 9 * channels * channels;
    let taken = seconds(patience, || {
        let began = Instant::now();
        let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
        let gradients = conv2d(x.clone(), w.clone(), None, options).sum().backward();
        let both = (x.grad(&gradients), w.grad(&gradients));
        device.sync()?;
        drop(both);
        Ok(began.elapsed().as_secs_f64())
    })?;
    Ok(made as f64 / taken)
}

/// Values read or written per second in an elementwise operation.
fn numbers(device: &Device, patience: f64) -> Result<f64, Failure> {
    let size = [64, 64, 32, 32];
    let x = Tensor::<4>::random(size, Distribution::Normal(0.0, 1.0), device);
    device.sync()?;
    let moved = 2 * size.iter().product::<usize>();
    let taken = seconds(patience, || {
        let began = Instant::now();
        let y = x.clone() * 2.0;
        device.sync()?;
        drop(y);
        Ok(began.elapsed().as_secs_f64())
    })?;
    Ok(moved as f64 / taken)
}

/// Weights per second that SGD with momentum updates and the published rule ranks.
fn weights(device: &Device, patience: f64) -> Result<f64, Failure> {
    let side = 1024;
    let training = device.clone().autodiff();
    let layer = LinearConfig::new(side, side)
        .with_bias(false)
        .init(&training);
    let wire = Wire::dnw(Budget::Density(0.1)).weights(ParamGroup::all());
    let mut layer = wire.attach(layer)?;
    let mut optimizer = Sgd::new(0.9).init();
    let taken = seconds(patience, || {
        let x = Tensor::<2>::random([1, side], Distribution::Default, &training);
        let gradients = layer.forward(x).sum().backward();
        let gradients = GradientsParams::from_grads(gradients, &layer);
        device.sync()?;
        let began = Instant::now();
        layer.update(|layer| optimizer.step(0.01, layer, gradients))?;
        device.sync()?;
        Ok(began.elapsed().as_secs_f64())
    })?;
    Ok((side * side) as f64 / taken)
}

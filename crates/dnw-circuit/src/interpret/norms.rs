//! Norms and softmax.

use super::maps::Maps;
use crate::{Block, Circuit, Statistics};

/// Scales and shifts each number after a norm with these statistics.
pub(super) fn norm(
    circuit: &Circuit,
    x: Maps<'_>,
    statistics: &Statistics,
    [gamma, beta]: [&Block; 2],
    epsilon: f64,
) -> Vec<f64> {
    let at = |block: &Block, channel: usize| {
        let tensor = circuit.tensor(block.tensor);
        f64::from(tensor.values[block.rows[channel]])
    };
    let pixels = x.pixels();
    let mut normed = Vec::with_capacity(x.values.len());
    for (place, z) in x.values.iter().enumerate() {
        let channel = place / pixels;
        let (mean, variance) = match statistics {
            Statistics::Batch { mean, variance } => (at(mean, channel), at(variance, channel)),
            _ => (0.0, 1.0 - epsilon),
        };
        let scale = at(gamma, channel) / (variance + epsilon).sqrt();
        normed.push((z - mean) * scale + at(beta, channel));
    }
    // The places that share a mean and a variance.
    let share: Vec<Vec<usize>> = match statistics {
        Statistics::Batch { .. } => Vec::new(),
        Statistics::Instance => {
            let starts = (0..x.values.len()).step_by(pixels);
            starts
                .map(|start| (start..start + pixels).collect())
                .collect()
        }
        Statistics::Pixel => {
            let channels = |pixel: usize| (pixel..x.values.len()).step_by(pixels).collect();
            (0..pixels).map(channels).collect()
        }
    };
    for places in share {
        let count = places.len() as f64;
        let mean = places.iter().map(|&place| x.values[place]).sum::<f64>() / count;
        let squares = places.iter().map(|&place| (x.values[place] - mean).powi(2));
        let deviation = (squares.sum::<f64>() / count + epsilon).sqrt();
        for place in places {
            let channel = place / pixels;
            let scale = at(gamma, channel) / deviation;
            normed[place] = (x.values[place] - mean) * scale + at(beta, channel);
        }
    }
    normed
}

/// A softmax over the channels of each pixel.
pub(super) fn softmax(x: Maps<'_>) -> Vec<f64> {
    let mut shares = vec![0.0; x.values.len()];
    for pixel in 0..x.pixels() {
        let own = || (0..x.shape[0]).map(|channel| channel * x.pixels() + pixel);
        let most = own()
            .map(|at| x.values[at])
            .fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = own().map(|at| (x.values[at] - most).exp()).sum();
        own().for_each(|at| shares[at] = (x.values[at] - most).exp() / sum);
    }
    shares
}

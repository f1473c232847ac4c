//! The operations as loops over plain slices in 64-bit floats, as in their formulas. Gradients are central differences.

use dnw_core::Wiring;

/// The settings of a convolution.
#[derive(Clone, Copy, Debug)]
pub struct Conv {
    /// Stride.
    pub stride: [usize; 2],
    /// Zeros around the image.
    pub padding: [usize; 2],
    /// Spacing between kernel elements.
    pub dilation: [usize; 2],
    /// Groups of channels.
    pub groups: usize,
}

impl Conv {
    /// A depthwise 3 x 3 convolution with a pixel of padding.
    pub fn depthwise(channels: usize, stride: usize) -> Self {
        Self {
            stride: [stride; 2],
            padding: [1; 2],
            dilation: [1; 2],
            groups: channels,
        }
    }

    /// Height and width of the result.
    pub fn sides(&self, image: [usize; 2], kernel: [usize; 2]) -> [usize; 2] {
        [0, 1].map(|i| {
            let reach = self.dilation[i] * (kernel[i] - 1) + 1;
            (image[i] + 2 * self.padding[i] - reach) / self.stride[i] + 1
        })
    }

    /// `x`: `[batch, sources, height, width]`, `weight`: `[targets, sources / groups, height, width]`; the result:
    /// `[batch, targets, height, width]`.
    pub fn apply(
        &self,
        x: &[f64],
        [batch, sources, h, w]: [usize; 4],
        weight: &[f64],
        [targets, of_group, kh, kw]: [usize; 4],
    ) -> Vec<f64> {
        let [oh, ow] = self.sides([h, w], [kh, kw]);
        let mut y = Vec::with_capacity(batch * targets * oh * ow);
        for image in 0..batch {
            for target in 0..targets {
                let first = target / (targets / self.groups) * of_group;
                for (row, column) in pairs(oh, ow) {
                    let mut sum = 0.0;
                    for source in 0..of_group {
                        for (ky, kx) in pairs(kh, kw) {
                            let at = [(row, ky, h, 0), (column, kx, w, 1)];
                            let [Some(py), Some(px)] = at.map(|(out, k, side, i)| {
                                let place = out * self.stride[i] + k * self.dilation[i];
                                place.checked_sub(self.padding[i]).filter(|&p| p < side)
                            }) else {
                                continue;
                            };
                            let pixel = ((image * sources + first + source) * h + py) * w + px;
                            let entry = ((target * of_group + source) * kh + ky) * kw + kx;
                            sum += x[pixel] * weight[entry];
                        }
                    }
                    y.push(sum);
                }
            }
        }
        y
    }
}

fn pairs(height: usize, width: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..height).flat_map(move |y| (0..width).map(move |x| (y, x)))
}

/// `x`: rows of `weight.len() / outputs` numbers; `weight`: `[inputs, outputs]`, as Burn stores it.
pub fn linear(x: &[f64], weight: &[f64], bias: &[f64]) -> Vec<f64> {
    let outputs = bias.len();
    let inputs = weight.len() / outputs;
    let row = |x: &[f64]| -> Vec<f64> {
        let sum = |o: usize| {
            (0..inputs)
                .map(|i| x[i] * weight[i * outputs + o])
                .sum::<f64>()
        };
        (0..outputs).map(|o| sum(o) + bias[o]).collect()
    };
    x.chunks(inputs).flat_map(row).collect()
}

/// `max(x, 0)`.
pub fn relu(x: &[f64]) -> Vec<f64> {
    x.iter().map(|x| x.max(0.0)).collect()
}

/// The mean and the biased variance.
pub fn mean_and_variance(x: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let n = x.clone().count() as f64;
    let mean = x.clone().sum::<f64>() / n;
    (mean, x.map(|x| (x - mean).powi(2)).sum::<f64>() / n)
}

/// Normalises each feature map of each image by its own mean and variance, then multiplies by `gamma` and adds `beta`.
/// `x`: `[batch, channels, pixels]`.
pub fn instance_norm(
    x: &[f64],
    gamma: &[f64],
    beta: &[f64],
    pixels: usize,
    epsilon: f64,
) -> Vec<f64> {
    let map = |(i, map): (usize, &[f64])| {
        let statistics = mean_and_variance(map.iter().copied());
        normalise(map, statistics, gamma, beta, i % gamma.len(), epsilon)
    };
    x.chunks(pixels).enumerate().flat_map(map).collect()
}

/// The mean and the biased variance of each channel over images and pixels. `x`: `[batch, channels, pixels]`.
pub fn channel_statistics(x: &[f64], channels: usize, pixels: usize) -> Vec<(f64, f64)> {
    let of = |channel: usize| {
        let maps = x.chunks(pixels).skip(channel).step_by(channels);
        mean_and_variance(maps.flatten().copied())
    };
    (0..channels).map(of).collect()
}

/// Normalises each channel by this mean and variance, then multiplies by `gamma` and adds `beta`. `x`: `[batch, channels, pixels]`.
pub fn channel_norm(
    x: &[f64],
    statistics: &[(f64, f64)],
    gamma: &[f64],
    beta: &[f64],
    pixels: usize,
    epsilon: f64,
) -> Vec<f64> {
    let map = |(i, map): (usize, &[f64])| {
        let channel = i % gamma.len();
        normalise(map, statistics[channel], gamma, beta, channel, epsilon)
    };
    x.chunks(pixels).enumerate().flat_map(map).collect()
}

/// One feature map of `channel`, normalised.
fn normalise(
    map: &[f64],
    (mean, variance): (f64, f64),
    gamma: &[f64],
    beta: &[f64],
    channel: usize,
    epsilon: f64,
) -> Vec<f64> {
    let scale = gamma[channel] / (variance + epsilon).sqrt();
    let normalised = map.iter().map(|x| (x - mean) * scale + beta[channel]);
    normalised.collect()
}

/// The gradient of `loss` to the input `which`, by central differences. At 64 bits they are correct to about ten digits, unless the input of a
/// ReLU is closer to zero than the step.
pub fn gradient(loss: impl Fn(&[Vec<f64>]) -> f64, inputs: &[Vec<f64>], which: usize) -> Vec<f64> {
    let mut inputs = inputs.to_vec();
    let (entries, step) = (inputs[which].len(), 1e-5);
    let slope = |entry: usize| {
        let at = inputs[which][entry];
        inputs[which][entry] = at + step;
        let above = loss(&inputs);
        inputs[which][entry] = at - step;
        let below = loss(&inputs);
        inputs[which][entry] = at;
        (above - below) / (2.0 * step)
    };
    (0..entries).map(slope).collect()
}

/// The `k` entries of largest magnitude, by a stable sort. Of equal magnitudes the later entry is selected.
pub(crate) fn largest(weights: &[f32], k: usize) -> Wiring {
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by(|&a, &b| weights[a].abs().total_cmp(&weights[b].abs()));
    Wiring::from_entries(weights.len(), order[weights.len() - k..].iter().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_convolution_by_hand() {
        // One image of 1 2 / 3 4 under a kernel of ones with a pixel of padding: the middle of the sums around each pixel.
        let conv = Conv {
            groups: 1,
            ..Conv::depthwise(1, 1)
        };
        let y = conv.apply(&[1.0, 2.0, 3.0, 4.0], [1, 1, 2, 2], &[1.0; 9], [1, 1, 3, 3]);
        assert_eq!(y, [10.0; 4]);
        let strided = Conv {
            stride: [2, 1],
            ..conv
        };
        assert_eq!(strided.sides([5, 4], [3, 3]), [3, 4]);
        let two = Conv {
            padding: [0; 2],
            ..Conv::depthwise(2, 1)
        };
        let y = two.apply(&[1.0, 2.0], [1, 2, 1, 1], &[3.0, 5.0], [2, 1, 1, 1]);
        assert_eq!(y, [3.0, 10.0]);
    }

    #[test]
    fn differences_are_derivatives() {
        let loss = |x: &[Vec<f64>]| x[0][0].powi(3) + x[0][1] * x[1][0];
        let found = gradient(loss, &[vec![2.0, 7.0], vec![5.0]], 0);
        assert!(
            (found[0] - 12.0).abs() < 1e-8 && (found[1] - 5.0).abs() < 1e-8,
            "{found:?}"
        );
    }

    #[test]
    fn norms_by_hand() {
        let y = instance_norm(&[1.0, 3.0, 10.0, 30.0], &[1.0, 2.0], &[0.0, 5.0], 2, 0.0);
        assert_eq!(y, [-1.0, 1.0, 3.0, 7.0]);
        assert_eq!(
            channel_statistics(&[1.0, 5.0, 3.0, 9.0], 2, 1),
            [(2.0, 1.0), (7.0, 4.0)]
        );
    }
}

//! Batch norm, with and without its ReLU, and its running averages.

use dnw_cube::Buffer;
use dnw_cube::norm::{self, Affine, NormShape, Statistics};
use dnw_kernels::norm::{self as on_cpu, NormParameters};

use super::{client, close, floats, normal, read};

/// `[images, channels, pixels]` as `[channels, images, pixels]`.
fn channels_first(x: &[f32], [images, channels]: [usize; 2]) -> Vec<f32> {
    let pixels = x.len() / (images * channels);
    let map = |channel: usize, image: usize| {
        let first = (image * channels + channel) * pixels;
        &x[first..first + pixels]
    };
    let maps = (0..channels).flat_map(|channel| (0..images).map(move |image| (channel, image)));
    maps.flat_map(|(channel, image)| map(channel, image).to_vec())
        .collect()
}

#[test]
fn batch_norms_equal_those_on_the_cpu_in_both_layouts() {
    let (client, mut random) = (client(), fastrand::Rng::with_seed(5));
    // The last has several chunks a channel, of which the last is shorter.
    let large = [(5, 3, 3 * 41 * 41)];
    let drawn = [(); 24].map(|()| (random.usize(2..6), random.usize(1..9), random.usize(1..50)));
    for (images, channels, pixels) in drawn.into_iter().chain(large) {
        let rectified = random.bool();
        let n = images * channels * pixels;
        let x: Vec<f32> = normal(&mut random, n)
            .iter()
            .map(|x| 2.0 * x + 3.0)
            .collect();
        let dy = normal(&mut random, n);
        let (gamma, beta) = (normal(&mut random, channels), normal(&mut random, channels));
        let parameters = NormParameters {
            gamma: &gamma,
            beta: &beta,
            epsilon: 1e-3,
            rectified,
        };
        let shape = on_cpu::NormShape {
            images,
            channels,
            pixels,
        };
        let (mut y, mut dx) = (vec![0.0; n], vec![0.0; n]);
        let pairs = on_cpu::forward(shape, &x, &parameters, &mut y);
        let [dgamma, dbeta] = on_cpu::backward(shape, &x, &pairs, &parameters, &dy, &mut dx);
        let of = |at: usize| {
            pairs
                .iter()
                .skip(at)
                .step_by(2)
                .copied()
                .collect::<Vec<f32>>()
        };

        let affine = Affine {
            gamma: floats(&client, &gamma),
            beta: floats(&client, &beta),
            epsilon: 1e-3,
            rectified,
        };
        for first in [false, true] {
            let shape = NormShape {
                channels,
                images,
                pixels,
                channels_first: first,
            };
            let arranged = |values: &[f32]| match first {
                true => channels_first(values, [images, channels]),
                false => values.to_vec(),
            };
            let (on_device, gradient) = (
                floats(&client, &arranged(&x)),
                floats(&client, &arranged(&dy)),
            );
            let statistics = norm::statistics(&client, shape, &on_device);
            close("mean", &read(&client, &statistics.mean), &of(0));
            close("variance", &read(&client, &statistics.variance), &of(1));
            let found = Buffer::uninitialised(&client, n);
            norm::forward(&client, shape, &on_device, &statistics, &affine, &found);
            close("y", &read(&client, &found), &arranged(&y));
            let found = Buffer::uninitialised(&client, n);
            let [of_gamma, of_beta] = norm::backward(
                &client,
                shape,
                &on_device,
                &statistics,
                &affine,
                &gradient,
                &found,
                0,
            );
            close("dx", &read(&client, &found), &arranged(&dx));
            close("dgamma", &read(&client, &of_gamma), &dgamma);
            close("dbeta", &read(&client, &of_beta), &dbeta);
        }
    }
}

#[test]
fn averages_move_towards_the_statistics() {
    let client = client();
    let of_batch = Statistics {
        mean: floats(&client, &[4.0, -2.0]),
        variance: floats(&client, &[3.0, 6.0]),
    };
    let running = [floats(&client, &[0.0, 2.0]), floats(&client, &[1.0, 2.0])];
    let [mean, variance] = running.each_ref();
    let moved = norm::move_averages(&client, [mean, variance], &of_batch, 0.25, 2.0);
    assert_eq!(read(&client, &moved[0]), [1.0, 1.0]);
    assert_eq!(read(&client, &moved[1]), [2.25, 4.5]);
    assert_eq!(read(&client, mean), [0.0, 2.0]);
}

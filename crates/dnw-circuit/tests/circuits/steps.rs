//! Results of steps that were computed by hand.

use dnw_circuit::{Activation, CircuitBuilder, Function, Pool, Tensor, ValueId, Window, interpret};

use crate::{Made, ones, whole};

/// A circuit of one step, and its result for an image.
fn run(
    image: [usize; 3],
    pixels: &[f32],
    step: impl FnOnce(&mut CircuitBuilder, ValueId) -> Made<ValueId>,
) -> Made<Vec<f64>> {
    let mut builder = CircuitBuilder::new(image)?;
    let input = builder.input();
    let output = step(&mut builder, input)?;
    interpret(&builder.finish(output)?, pixels)
}

#[test]
fn a_convolution_pads_with_zeros_and_strides() -> Made<()> {
    // 1 2 3      The kernel sums nine pixels. The outputs are at the four corners:
    // 4 5 6      1+2+4+5 = 12, 2+3+5+6 = 16, 4+5+7+8 = 24, 5+6+8+9 = 28; and one more from the bias.
    // 7 8 9
    let pixels: Vec<f32> = (1..10).map(|pixel| pixel as f32).collect();
    let result = run([1, 3, 3], &pixels, |builder, x| {
        let weight = whole(builder, ones("weight", [1, 1, 3, 3]))?;
        let bias = whole(builder, Tensor::bias("bias", vec![1.0]))?;
        builder.conv(x, weight, Some(bias), Window::square(2, 1))
    })?;
    assert_eq!(result, [13.0, 17.0, 25.0, 29.0]);
    Ok(())
}

#[test]
fn a_dilated_kernel_skips_pixels() -> Made<()> {
    // A row of five; taps two pixels apart, weights 1, 10, 100: 1 + 10 * 3 + 100 * 5.
    let result = run([1, 1, 5], &[1.0, 2.0, 3.0, 4.0, 5.0], |builder, x| {
        let weight = Tensor::weight("weight", [1, 1, 1, 3], vec![1.0, 10.0, 100.0]);
        let weight = whole(builder, weight)?;
        let window = Window {
            dilation: [1, 2],
            ..Window::default()
        };
        builder.depthwise(x, weight, None, window)
    })?;
    assert_eq!(result, [531.0]);
    Ok(())
}

#[test]
fn groups_are_independent() -> Made<()> {
    // Channels 1, 2 | 3, 4 of one pixel. Targets: 1 * 1 + 10 * 2 | 100 * 3 + 1000 * 4.
    let result = run([4, 1, 1], &[1.0, 2.0, 3.0, 4.0], |builder, x| {
        let weight = Tensor::weight("weight", [2, 2, 1, 1], vec![1.0, 10.0, 100.0, 1000.0]);
        let weight = whole(builder, weight)?;
        builder.grouped_conv(x, weight, None, Window::default(), 2)
    })?;
    assert_eq!(result, [21.0, 4300.0]);
    Ok(())
}

#[test]
fn norms_normalise() -> Made<()> {
    // Instance: mean 4, mean square deviation (9 + 1 + 1 + 9) / 4 = 5; with epsilon 4 the root is 3.
    let instance = run([1, 2, 2], &[1.0, 3.0, 5.0, 7.0], |builder, x| {
        let gamma = whole(builder, Tensor::norm("gamma", vec![6.0]))?;
        let beta = whole(builder, Tensor::norm("beta", vec![1.0]))?;
        builder.instance_norm(x, [gamma, beta], 4.0)
    })?;
    assert_eq!(instance, [-5.0, -1.0, 3.0, 7.0]);
    // Batch: mean 1, variance 3, epsilon 1: (5 - 1) / 2 * 6 + 1.
    let batch = run([1, 1, 1], &[5.0], |builder, x| {
        let gamma = whole(builder, Tensor::norm("gamma", vec![6.0]))?;
        let beta = whole(builder, Tensor::norm("beta", vec![1.0]))?;
        let mean = whole(builder, Tensor::statistic("mean", vec![1.0]))?;
        let variance = whole(builder, Tensor::statistic("variance", vec![3.0]))?;
        builder.batch_norm(x, [mean, variance], [gamma, beta], 1.0)
    })?;
    assert_eq!(batch, [13.0]);
    Ok(())
}

#[test]
fn pixels_are_pooled_cropped_folded_and_flattened() -> Made<()> {
    let pixels: Vec<f32> = (0..16).map(|pixel| pixel as f32 - 8.0).collect();
    let image = [1, 4, 4];
    // -8 -7 -6 -5     The maximum of each 3 x 3 window at stride 2 with one pixel of padding, which is never the maximum.
    // -4 -3 -2 -1
    //  0  1  2  3
    //  4  5  6  7
    let largest = run(image, &pixels, |b, x| b.max_pool(x, [3, 3], [2, 2], [1, 1]))?;
    assert_eq!(largest, [-3.0, -1.0, 5.0, 7.0]);
    let mean = run(image, &pixels, |b, x| b.average_pool(x, [2, 2], [2, 2]))?;
    assert_eq!(mean, [-5.5, -3.5, 2.5, 4.5]);
    let all = run(image, &pixels, CircuitBuilder::global_average)?;
    assert_eq!(all, [-0.5]);
    let window = run(image, &pixels, |b, x| b.crop(x, [1, 2], [2, 1]))?;
    assert_eq!(window, [-2.0, 2.0]);
    let flat = run([2, 1, 2], &[1.0, 2.0, 3.0, 4.0], CircuitBuilder::flatten)?;
    assert_eq!(flat, [1.0, 2.0, 3.0, 4.0]);
    // Two channels of 2 x 4. Channel 0 becomes the top-left, top-right, bottom-left and bottom-right pixels of its two blocks.
    let pixels: Vec<f32> = (0..16).map(|pixel| pixel as f32).collect();
    let folded = run([2, 2, 4], &pixels, |b, x| b.fold(x, 2))?;
    let blocks = [0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15];
    assert_eq!(folded, blocks.map(f64::from));
    Ok(())
}

#[test]
fn sums_have_coefficients_and_selections_reorder() -> Made<()> {
    let result = run([2, 1, 1], &[1.0, -4.0], |builder, x| {
        let positive = builder.relu(x)?;
        // 2 (1, -4) - 3 (1, 0) = (-1, -8)
        let sum = builder.sum(&[(2.0, x), (-3.0, positive)])?;
        let both = builder.concat(&[sum, x])?;
        builder.select(both, [3, 1, 1, 0])
    })?;
    assert_eq!(result, [-4.0, -8.0, -8.0, -1.0]);
    Ok(())
}

#[test]
fn activations_are_functions_of_each_pixel() -> Made<()> {
    let pixels = [-4.0, -1.0, 0.0, 2.0, 8.0];
    let apply = |activation| run([1, 1, 5], &pixels, |b, x| b.activation(x, activation));
    let relu6 = Function::Clip {
        low: 0.0,
        high: 6.0,
    };
    assert_eq!(apply(Activation::plain(relu6))?, [0.0, 0.0, 0.0, 2.0, 6.0]);
    let leaky = Function::LeakyRelu { slope: 0.25 };
    assert_eq!(
        apply(Activation::plain(leaky))?,
        [-1.0, -0.25, 0.0, 2.0, 8.0]
    );
    // x / 4 + 1 / 2, between 0 and 1; gated it is multiplied by x.
    let hard = Function::HardSigmoid {
        slope: 0.25,
        shift: 0.5,
    };
    assert_eq!(apply(Activation::plain(hard))?, [0.0, 0.25, 0.5, 1.0, 1.0]);
    assert_eq!(apply(Activation::gated(hard))?, [0.0, -0.25, 0.0, 2.0, 8.0]);
    // 1 / (1 + e^-x): 0.119203 at -2 and 0.880797 at 2.
    let sigmoid = apply(Activation::plain(Function::Sigmoid))?;
    assert!((sigmoid[3] - 0.880_797_077_977_882).abs() < 1e-12);
    let silu = apply(Activation::gated(Function::Sigmoid))?;
    assert!((silu[3] - 1.761_594_155_955_764).abs() < 1e-12);
    Ok(())
}

#[test]
fn channels_are_scaled_by_factors_from_the_image_and_become_shares() -> Made<()> {
    // Two channels of two pixels; the factors are their means, 2 and 15.
    let scaled = run([2, 1, 2], &[1.0, 3.0, 10.0, 20.0], |b, x| {
        let mean = b.global_average(x)?;
        b.product(x, mean)
    })?;
    assert_eq!(scaled, [2.0, 6.0, 150.0, 300.0]);
    // Shares of 1 : 3 at the first pixel and of 1 : 1 at the second.
    let shares = run([2, 1, 2], &[0.0, 7.0, 3.0f32.ln(), 7.0], |b, x| {
        b.softmax(x)
    })?;
    for (found, expected) in shares.iter().zip([0.25, 0.5, 0.75, 0.5]) {
        assert!((found - expected).abs() < 1e-6, "{shares:?}");
    }
    Ok(())
}

#[test]
fn windows_of_pools_reach_beyond_the_feature_map() -> Made<()> {
    // A line of three pixels, windows of two with a stride of two, one column of padding on the left: [., 1], [2, 3].
    let pool = |pool, padding, width| {
        run([1, 1, 3], &[1.0, 2.0, 3.0], |b, x| {
            b.pool(x, pool, [1, 2], [1, 2], [0, padding], [1, width])
        })
    };
    assert_eq!(pool(Pool::Average, 1, 2)?, [0.5, 2.5]);
    assert_eq!(pool(Pool::InnerAverage, 1, 2)?, [1.0, 2.5]);
    // Without padding the last window reaches beyond the end: [1, 2], [3, .].
    assert_eq!(pool(Pool::InnerAverage, 0, 2)?, [1.5, 3.0]);
    assert_eq!(pool(Pool::Max, 0, 2)?, [2.0, 3.0]);
    assert!(pool(Pool::Max, 0, 3).is_err(), "the third window is empty");
    Ok(())
}

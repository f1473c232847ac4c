//! Operators that resize, pad or enlarge images, and those of channels that come last.

use super::kit::{Kit, With, close, noise};

#[test]
fn images_are_resized_as_onnx_defines_it() {
    // The examples of ONNX's description of Resize, by its reference implementation.
    let x = [1.0f32, 2.0, 3.0, 4.0];
    let resize = |attributes: &[(&str, With<'_>)], scales: [f32; 2]| {
        Kit::new([1, 2, 2])
            .floats("s", &[4], &[1.0, 1.0, scales[0], scales[1]])
            .node("Resize", "x, , s -> y", attributes)
            .run(&x)
    };
    let mode = |mode| ("mode", With::Text(mode));
    let coordinates = |mode| ("coordinate_transformation_mode", With::Text(mode));
    let nearest = resize(&[mode("nearest")], [2.0, 3.0]);
    assert_eq!(
        nearest[..12],
        [1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0]
    );
    let linear = resize(&[mode("linear")], [2.0, 2.0]);
    close(&linear[..8], &[1.0, 1.25, 1.75, 2.0, 1.5, 1.75, 2.25, 2.5]);
    let corners = resize(&[mode("linear"), coordinates("align_corners")], [2.0, 2.0]);
    close(&corners[..4], &[1.0, 4.0 / 3.0, 5.0 / 3.0, 2.0]);
    let floor = ("nearest_mode", With::Text("floor"));
    let old = resize(
        &[mode("nearest"), coordinates("asymmetric"), floor],
        [2.0, 1.0],
    );
    assert_eq!(old, [1.0, 2.0, 1.0, 2.0, 3.0, 4.0, 3.0, 4.0]);
    let wide: Vec<f32> = (1..=16).map(|i| i as f32).collect();
    let cubic = Kit::new([1, 4, 4])
        .floats("s", &[4], &[1.0, 1.0, 2.0, 2.0])
        .node("Resize", "x, , s -> y", &[mode("cubic")])
        .run(&wide);
    close(
        &cubic[..8],
        &[
            0.472_656_25,
            0.769_531_25,
            1.246_093_75,
            1.875,
            2.281_25,
            2.910_156_25,
            3.386_718_75,
            3.683_593_75,
        ],
    );
    let sizes = Kit::new([1, 2, 2]).ints("n", &[1, 1, 1, 3]).node(
        "Resize",
        "x, , , n -> y",
        &[mode("linear")],
    );
    close(&sizes.run(&x), &[2.0, 2.5, 3.0]);
    let upsample = Kit::new([1, 2, 2])
        .opset(9)
        .floats("s", &[4], &[1.0, 1.0, 1.0, 2.0])
        .node("Upsample", "x, s -> y", &[]);
    assert_eq!(upsample.run(&x), [1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 4.0, 4.0]);
    for (attribute, value) in [
        ("mode", "lanczos"),
        ("coordinate_transformation_mode", "tf_crop_and_resize"),
    ] {
        let refused = Kit::new([1, 2, 2])
            .floats("s", &[4], &[1.0, 1.0, 2.0, 2.0])
            .node("Resize", "x, , s -> y", &[(attribute, With::Text(value))]);
        assert!(refused.error().contains(value), "{}", refused.error());
    }
}

#[test]
fn paddings_mirror_repeat_and_wrap() {
    let pad = |mode: &str, before: i64, after: i64| {
        Kit::new([1, 1, 3])
            .ints("p", &[0, 0, 0, before, 0, 0, 0, after])
            .node("Pad", "x, p -> y", &[("mode", With::Text(mode))])
    };
    let x = [1.0, 2.0, 3.0];
    assert_eq!(pad("reflect", 2, 1).run(&x), [3.0, 2.0, 1.0, 2.0, 3.0, 2.0]);
    assert_eq!(pad("edge", 2, 1).run(&x), [1.0, 1.0, 1.0, 2.0, 3.0, 3.0]);
    assert_eq!(
        pad("wrap", 2, 4).run(&x),
        [2.0, 3.0, 1.0, 2.0, 3.0, 1.0, 2.0, 3.0, 1.0]
    );
    assert!(pad("reflect", 3, 0).error().contains("reflect"));
}

/// A transposed convolution by its definition: every input is spread over the kernel.
#[test]
fn transposed_convolutions_spread_their_inputs() {
    for seed in 0..200 {
        let pick = noise(seed, 12);
        let mut at = 0;
        let mut below = |end: usize| {
            at += 1;
            ((pick[at - 1] + 1.0) / 2.0 * end as f32) as usize % end
        };
        let group = 1 + below(2);
        let (sources, targets) = (1 + below(2), 1 + below(3));
        let [height, width] = [1 + below(4), 1 + below(4)];
        let kernel = [1 + below(4), 1 + below(4)];
        let stride = 1 + below(3);
        let more = [below(stride), below(stride)];
        let pads = [below(kernel[0]), below(kernel[1])];
        let full = |i: usize, size: usize| (size - 1) * stride + kernel[i] + more[i];
        let size = [full(0, height), full(1, width)];
        if (0..2).any(|i| size[i] <= 2 * pads[i]) {
            continue;
        }
        let channels = group * sources;
        let x = noise(seed + 500, channels * height * width);
        let w = noise(seed + 900, channels * targets * kernel[0] * kernel[1]);
        let bias = noise(seed + 700, group * targets);
        let mut sums = vec![0.0; group * targets * size[0] * size[1]];
        for (place, sum) in sums.iter_mut().enumerate() {
            *sum = f64::from(bias[place / (size[0] * size[1])]);
        }
        for source in 0..channels {
            for (y, x_) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
                for target in 0..targets {
                    for (i, j) in (0..kernel[0]).flat_map(|i| (0..kernel[1]).map(move |j| (i, j))) {
                        let to = source / sources * targets + target;
                        let place = (to * size[0] + y * stride + i) * size[1] + x_ * stride + j;
                        let entry = ((source * targets + target) * kernel[0] + i) * kernel[1] + j;
                        let pixel = f64::from(x[(source * height + y) * width + x_]);
                        sums[place] += pixel * f64::from(w[entry]);
                    }
                }
            }
        }
        let inside = |place: usize| {
            let (y, x) = (place / size[1] % size[0], place % size[1]);
            let within = |at: usize, i: usize| at >= pads[i] && at < size[i] - pads[i];
            within(y, 0) && within(x, 1)
        };
        let places = (0..sums.len()).filter(|&place| inside(place));
        let expected: Vec<f64> = places.map(|place| sums[place]).collect();
        let [top, left] = pads.map(|pad| pad as i64);
        let found = Kit::new([channels, height, width])
            .floats("w", &[channels, targets, kernel[0], kernel[1]], &w)
            .floats("b", &[group * targets], &bias)
            .node(
                "ConvTranspose",
                "x, w, b -> y",
                &[
                    ("strides", With::Ints(&[stride as i64; 2])),
                    ("pads", With::Ints(&[top, left, top, left])),
                    ("output_padding", With::Ints(&more.map(|n| n as i64))),
                    ("group", With::Int(group as i64)),
                ],
            )
            .run(&x);
        close(&found, &expected);
    }
}

#[test]
fn channels_become_blocks_of_pixels() {
    let x: Vec<f32> = (0..16).map(|i| i as f32).collect();
    for mode in ["DCR", "CRD"] {
        // Back and forth; the other order is that of `torch.nn.PixelShuffle`.
        let blocks = [("blocksize", With::Int(2)), ("mode", With::Text(mode))];
        let found = Kit::new([8, 1, 2])
            .node("DepthToSpace", "x -> y", &blocks)
            .run(&x);
        let mut expected = vec![0.0; 16];
        for (at, &x) in x.iter().enumerate() {
            let (channel, pixel) = (at / 2, at % 2);
            let (place, target) = match mode {
                "DCR" => (channel / 2, channel % 2),
                _ => (channel % 4, channel / 4),
            };
            expected[target * 8 + place / 2 * 4 + pixel * 2 + place % 2] = f64::from(x);
        }
        assert_eq!(found, expected, "{mode}");
    }
}

#[test]
fn signals_are_convolved() {
    // Efficient channel attention: a convolution along the channels.
    let kit = Kit::new([4, 1, 2])
        .ints("signal", &[1, 1, 4])
        .ints("back", &[1, 4, 1, 1])
        .floats("w", &[1, 1, 3], &[1.0, 10.0, 100.0])
        .node("GlobalAveragePool", "x -> m", &[])
        .node("Reshape", "m, signal -> s", &[])
        .node("Conv", "s, w -> c", &[("pads", With::Ints(&[1, 1]))])
        .node("Reshape", "c, back -> f", &[])
        .node("Mul", "x, f -> y", &[]);
    let x = [1.0, 3.0, 0.0, 2.0, -1.0, 1.0, 4.0, 4.0];
    // The means are 2, 1, 0, 4.
    let factors = [120.0, 12.0, 401.0, 40.0];
    let expected: Vec<f64> = (0..8).map(|i| f64::from(x[i]) * factors[i / 2]).collect();
    close(&kit.run(&x), &expected);
}

fn standard(x: &[f64], epsilon: f64) -> Vec<f64> {
    let mean = x.iter().sum::<f64>() / x.len() as f64;
    let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / x.len() as f64;
    x.iter()
        .map(|x| (x - mean) / (variance + epsilon).sqrt())
        .collect()
}

#[test]
fn channels_that_come_last_are_normed_and_mixed() {
    // A block of ConvNeXt: norm and linear layers between two transpositions, a scale for each channel, and a residual.
    let (scale, shift) = ([0.5f32, 2.0, -1.0], [0.1f32, 0.0, 0.3]);
    let (first, second) = (noise(1, 12), noise(2, 12));
    let layer = [1.0f32, -2.0, 0.5];
    let x = noise(7, 3 * 2 * 4);
    let kit = Kit::new([3, 2, 4])
        .floats("g", &[3], &scale)
        .floats("b", &[3], &shift)
        .floats("w1", &[3, 4], &first)
        .floats("w2", &[4, 3], &second)
        .floats("b2", &[3], &shift)
        .floats("layer", &[3, 1, 1], &layer)
        .node(
            "Transpose",
            "x -> t",
            &[("perm", With::Ints(&[0, 2, 3, 1]))],
        )
        .node(
            "LayerNormalization",
            "t, g, b -> n",
            &[("epsilon", With::Float(1e-3))],
        )
        .node("MatMul", "n, w1 -> h", &[])
        .node("Relu", "h -> r", &[])
        .node("MatMul", "r, w2 -> o", &[])
        .node("Add", "b2, o -> a", &[])
        .node(
            "Transpose",
            "a -> c",
            &[("perm", With::Ints(&[0, 3, 1, 2]))],
        )
        .node("Mul", "c, layer -> s", &[])
        .node("Add", "s, x -> y", &[]);
    let mut expected = vec![0.0; x.len()];
    for pixel in 0..8 {
        let own: Vec<f64> = (0..3).map(|c| f64::from(x[c * 8 + pixel])).collect();
        let normed = standard(&own, 1e-3);
        let at = |values: &[f32], i: usize| f64::from(values[i]);
        let normed: Vec<f64> = (0..3)
            .map(|c| normed[c] * at(&scale, c) + at(&shift, c))
            .collect();
        let hidden: Vec<f64> = (0..4)
            .map(|h| {
                (0..3)
                    .map(|c| normed[c] * at(&first, c * 4 + h))
                    .sum::<f64>()
                    .max(0.0)
            })
            .collect();
        for c in 0..3 {
            let sum: f64 = (0..4).map(|h| hidden[h] * at(&second, h * 3 + c)).sum();
            expected[c * 8 + pixel] = (sum + at(&shift, c)) * at(&layer, c) + own[c];
        }
    }
    close(&kit.run(&x), &expected);
    let steps = kit.import().unwrap();
    let moved = steps.circuit.steps().iter();
    let moved = moved.filter(|step| matches!(step.op, dnw_circuit::Op::Select(_)));
    assert_eq!(moved.count(), 0, "nothing is transposed");
}

#[test]
fn channels_that_come_last_are_reduced_and_cut() {
    let x = noise(4, 3 * 2 * 2);
    let last = |kit: Kit| {
        kit.node(
            "Transpose",
            "x -> t",
            &[("perm", With::Ints(&[0, 2, 3, 1]))],
        )
    };
    let at = |c: usize, p: usize| f64::from(x[c * 4 + p]);
    // The second of each pixel's channels, less their mean.
    let kit = last(Kit::new([3, 2, 2]))
        .ints("index", &[1])
        .node("ReduceMean", "t -> m", &[("axes", With::Ints(&[-1]))])
        .node("Sub", "t, m -> d", &[])
        .node("Gather", "d, index -> y", &[("axis", With::Int(3))]);
    let mean = |p: usize| (at(0, p) + at(1, p) + at(2, p)) / 3.0;
    let expected: Vec<f64> = (0..4).map(|p| at(1, p) - mean(p)).collect();
    close(&kit.run(&x), &expected);
    // Means over the pixels, as vectors.
    let kit = last(Kit::new([3, 2, 2])).node(
        "ReduceMean",
        "t -> y",
        &[("axes", With::Ints(&[1, 2])), ("keepdims", With::Int(0))],
    );
    let expected: Vec<f64> = (0..3)
        .map(|c| (0..4).map(|p| at(c, p)).sum::<f64>() / 4.0)
        .collect();
    close(&kit.run(&x), &expected);
    // The result has the model's order.
    let kit = last(Kit::new([3, 2, 2])).node("Relu", "t -> y", &[]);
    let expected: Vec<f64> = (0..12).map(|i| at(i % 3, i / 3).max(0.0)).collect();
    close(&kit.run(&x), &expected);
    // Joined with a map whose channels come last, and a number for each channel.
    let kit = last(Kit::new([3, 2, 2]))
        .floats("c", &[3], &[1.0, 2.0, 3.0])
        .node("Mul", "t, c -> m", &[])
        .node("Concat", "t, m -> j", &[("axis", With::Int(-1))])
        .node(
            "Transpose",
            "j -> y",
            &[("perm", With::Ints(&[0, 3, 1, 2]))],
        );
    let own = (0..12).map(|i| at(i / 4, i % 4));
    let scaled = (0..12).map(|i| at(i / 4, i % 4) * (i / 4 + 1) as f64);
    close(&kit.run(&x), &own.chain(scaled).collect::<Vec<f64>>());
}

#[test]
fn groups_and_neighbouring_channels_are_normed() {
    let x = noise(8, 4 * 3);
    let wide: Vec<f64> = x.iter().map(|&x| f64::from(x)).collect();
    // As the older exporter writes it, and as one node.
    let affine = ([1.0f32, 2.0, 3.0, 4.0], [0.5f32, 0.0, 0.0, -0.5]);
    let expected: Vec<f64> = wide
        .chunks(6)
        .flat_map(|group| standard(group, 1e-5))
        .enumerate()
        .map(|(at, x)| x * f64::from(affine.0[at / 3]) + f64::from(affine.1[at / 3]))
        .collect();
    let parts = Kit::new([4, 1, 3])
        .ints("groups", &[0, 2, -1])
        .ints("back", &[1, 4, 1, 3])
        .floats("ones", &[2], &[1.0; 2])
        .floats("zeros", &[2], &[0.0; 2])
        .floats("g", &[4, 1, 1], &affine.0)
        .floats("b", &[4, 1, 1], &affine.1)
        .node("Reshape", "x, groups -> r", &[])
        .node("InstanceNormalization", "r, ones, zeros -> n", &[])
        .node("Reshape", "n, back -> o", &[])
        .node("Mul", "o, g -> m", &[])
        .node("Add", "m, b -> y", &[]);
    close(&parts.run(&x), &expected);
    let whole = Kit::new([4, 1, 3])
        .opset(21)
        .floats("g", &[4], &affine.0)
        .floats("b", &[4], &affine.1)
        .node(
            "GroupNormalization",
            "x, g, b -> y",
            &[("num_groups", With::Int(2))],
        );
    close(&whole.run(&x), &expected);
    let layer = Kit::new([4, 1, 3])
        .floats("g", &[4, 1, 3], &[1.0; 12])
        .node("LayerNormalization", "x, g -> y", &[("axis", With::Int(1))]);
    close(&layer.run(&x), &standard(&wide, 1e-5));
    // Two neighbours before and one behind, as ONNX counts an even size: one before, two behind.
    let local = Kit::new([4, 1, 3])
        .node(
            "LRN",
            "x -> y",
            &[("size", With::Int(4)), ("alpha", With::Float(0.8))],
        )
        .run(&x);
    let expected: Vec<f64> = (0..12)
        .map(|at| {
            let (channel, pixel) = (at / 3, at % 3);
            let near = (0..4).filter(|other| other + 1 >= channel && *other <= channel + 2);
            let sum: f64 = near.map(|c| wide[c * 3 + pixel].powi(2)).sum();
            wide[at] / (1.0 + 0.8 / 4.0 * sum).powf(0.75)
        })
        .collect();
    close(&local, &expected);
}

#[test]
fn pixels_are_summed_with_weights_of_the_image() {
    // Global context: a softmax over all pixels, and the weighted sum of each channel.
    let kit = Kit::new([3, 2, 2])
        .floats("w", &[1, 3, 1, 1], &[1.0, -1.0, 0.5])
        .ints("maps", &[1, 1, 3, 4])
        .ints("pixels", &[1, 1, 4])
        .ints("last", &[-1])
        .ints("context", &[1, 3, 1, 1])
        .node("Reshape", "x, maps -> m", &[])
        .node("Conv", "x, w -> c", &[])
        .node("Reshape", "c, pixels -> p", &[])
        .node("Softmax", "p -> s", &[("axis", With::Int(-1))])
        .node("Unsqueeze", "s, last -> u", &[])
        .node("MatMul", "m, u -> z", &[]);
    // `u` has three dimensions and one more.
    let x = noise(6, 12);
    let kit = kit.node("Reshape", "z, context -> y", &[]);
    let score: Vec<f64> = (0..4)
        .map(|p| f64::from(x[p]) - f64::from(x[4 + p]) + 0.5 * f64::from(x[8 + p]))
        .collect();
    let total: f64 = score.iter().map(|s| s.exp()).sum();
    let expected: Vec<f64> = (0..3)
        .map(|c| {
            (0..4)
                .map(|p| f64::from(x[c * 4 + p]) * score[p].exp() / total)
                .sum()
        })
        .collect();
    close(&kit.run(&x), &expected);
    // Constant matrices on both sides of each map.
    let kit = Kit::new([2, 2, 3])
        .floats("a", &[1, 2], &[1.0, 10.0])
        .floats("b", &[3, 2], &[1.0, 0.0, 0.0, 1.0, 0.0, 2.0])
        .node("MatMul", "x, b -> p", &[])
        .node("MatMul", "a, p -> y", &[]);
    let x: Vec<f32> = (1..=12).map(|i| i as f32).collect();
    // Rows (1, 2, 3), (4, 5, 6): (1, 8), (4, 17).
    close(&kit.run(&x), &[41.0, 178.0, 107.0, 376.0]);
}

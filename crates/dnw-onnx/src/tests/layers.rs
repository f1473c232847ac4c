//! Convolutions, linear layers, norms and functions of single pixels.

use super::kit::{Kit, With, close, noise};

/// A convolution as ONNX defines it, by its definition.
struct Convolution {
    image: [usize; 3],
    weight: [usize; 4],
    strides: [usize; 2],
    /// Above, left, below, right.
    pads: [usize; 4],
    dilations: [usize; 2],
    group: usize,
}

impl Convolution {
    fn reference(&self, x: &[f32], w: &[f32]) -> Vec<f64> {
        let [_, height, width] = self.image;
        let [targets, sources, kh, kw] = self.weight;
        let reach = |k: usize, d: usize| (k - 1) * d + 1;
        let rows = (height + self.pads[0] + self.pads[2] - reach(kh, self.dilations[0]))
            / self.strides[0]
            + 1;
        let columns = (width + self.pads[1] + self.pads[3] - reach(kw, self.dilations[1]))
            / self.strides[1]
            + 1;
        let mut output = Vec::new();
        for target in 0..targets {
            let group = target / (targets / self.group);
            for (row, column) in (0..rows).flat_map(|r| (0..columns).map(move |c| (r, c))) {
                let mut sum = 0.0;
                for source in 0..sources {
                    for (i, j) in (0..kh).flat_map(|i| (0..kw).map(move |j| (i, j))) {
                        let y = (row * self.strides[0] + i * self.dilations[0])
                            .checked_sub(self.pads[0]);
                        let x_ = (column * self.strides[1] + j * self.dilations[1])
                            .checked_sub(self.pads[1]);
                        let (Some(y), Some(x_)) = (y, x_) else {
                            continue;
                        };
                        if y < height && x_ < width {
                            let channel = group * sources + source;
                            let pixel = x[(channel * height + y) * width + x_];
                            let weight = w[((target * sources + source) * kh + i) * kw + j];
                            sum += f64::from(pixel) * f64::from(weight);
                        }
                    }
                }
                output.push(sum);
            }
        }
        output
    }
}

#[test]
fn convolutions_have_groups_dilations_and_any_padding() {
    for seed in 0..300 {
        let pick = noise(seed, 16);
        let mut at = 0;
        let mut below = |end: usize| {
            at += 1;
            ((pick[at - 1] + 1.0) / 2.0 * end as f32) as usize % end
        };
        let group = 1 + below(3);
        let (sources, targets) = (1 + below(2), group * (1 + below(2)));
        let kernel = [1 + below(3), 1 + below(3)];
        let dilations = [1 + below(2), 1 + below(2)];
        let pads = [below(4), below(4), below(4), below(4)];
        let convolution = Convolution {
            image: [group * sources, 5 + below(3), 5 + below(3)],
            weight: [targets, sources, kernel[0], kernel[1]],
            strides: [1 + below(2), 1 + below(2)],
            pads,
            dilations,
            group,
        };
        let ints = |sizes: &[usize]| -> Vec<i64> { sizes.iter().map(|&n| n as i64).collect() };
        let mut weights = noise(seed + 1000, convolution.weight.iter().product());
        // Zeros are no edges.
        weights.iter_mut().step_by(3).for_each(|w| *w = 0.0);
        let kit = Kit::new(convolution.image)
            .floats("w", &convolution.weight, &weights)
            .node(
                "Conv",
                "x, w -> y",
                &[
                    ("strides", With::Ints(&ints(&convolution.strides))),
                    ("pads", With::Ints(&ints(&pads))),
                    ("dilations", With::Ints(&ints(&dilations))),
                    ("group", With::Int(group as i64)),
                ],
            );
        let image = noise(seed + 2000, convolution.image.iter().product());
        close(&kit.run(&image), &convolution.reference(&image, &weights));
    }
}

#[test]
fn same_paddings_put_the_odd_line_on_the_named_side() {
    // Five pixels, a kernel of two, a stride of one: one column of padding, behind or before.
    let kit = |side| {
        Kit::new([1, 1, 5])
            .floats("w", &[1, 1, 1, 2], &[1.0, 10.0])
            .node("Conv", "x, w -> y", &[("auto_pad", With::Text(side))])
    };
    let image = [1.0, 2.0, 3.0, 4.0, 5.0];
    assert_eq!(kit("SAME_UPPER").run(&image), [21.0, 32.0, 43.0, 54.0, 5.0]);
    assert_eq!(
        kit("SAME_LOWER").run(&image),
        [10.0, 21.0, 32.0, 43.0, 54.0]
    );
    assert_eq!(kit("VALID").run(&image), [21.0, 32.0, 43.0, 54.0]);
}

#[test]
fn a_padding_becomes_part_of_the_convolution_behind_it() {
    let padded = |value: f32| {
        Kit::new([1, 1, 3])
            .ints("pads", &[0, 0, 0, 2, 0, 0, 0, 1])
            .floats("value", &[], &[value])
            .floats("w", &[1, 1, 1, 2], &[1.0, 10.0])
            .node("Pad", "x, pads, value -> p", &[])
            .node("Conv", "p, w -> y", &[])
    };
    // [., ., 1, 2, 3, .]
    let zeros = padded(0.0).import().unwrap();
    assert_eq!(zeros.circuit.steps().len(), 2, "the padding is no step");
    assert_eq!(
        padded(0.0).run(&[1.0, 2.0, 3.0]),
        [0.0, 10.0, 21.0, 32.0, 3.0]
    );
    assert_eq!(
        padded(7.0).run(&[1.0, 2.0, 3.0]),
        [77.0, 17.0, 21.0, 32.0, 73.0]
    );
}

#[test]
fn linear_layers_are_products_with_either_orientation() {
    // Rows (1, 2, 3) and (0, 5, 0).
    let straight = [1.0, 2.0, 3.0, 0.0, 5.0, 0.0];
    let transposed = [1.0, 0.0, 2.0, 5.0, 3.0, 0.0];
    let image = [1.0, 10.0, 100.0];
    let gemm = Kit::new([3, 1, 1])
        .floats("w", &[2, 3], &straight)
        .floats("b", &[2], &[0.5, -1.0])
        .node("Flatten", "x -> f", &[])
        .node(
            "Gemm",
            "f, w, b -> y",
            &[
                ("transB", With::Int(1)),
                ("alpha", With::Float(2.0)),
                ("beta", With::Float(4.0)),
            ],
        );
    assert_eq!(gemm.run(&image), [644.0, 96.0]);
    let product = Kit::new([3, 1, 1])
        .floats("w", &[3, 2], &transposed)
        .floats("b", &[2], &[0.5, -1.0])
        .node("Flatten", "x -> f", &[])
        .node("MatMul", "f, w -> p", &[])
        .node("Add", "p, b -> y", &[]);
    assert_eq!(product.run(&image), [321.5, 49.0]);
}

#[test]
fn norms_use_their_statistics() {
    let kit = Kit::new([2, 1, 2])
        .floats("g", &[2], &[2.0, 3.0])
        .floats("b", &[2], &[1.0, 0.0])
        .floats("m", &[2], &[0.0, 4.0])
        .floats("v", &[2], &[3.0, 0.0]);
    // (x - 0) / 2 * 2 + 1 and (x - 4) / 1 * 3.
    let batch = kit.node(
        "BatchNormalization",
        "x, g, b, m, v -> y",
        &[("epsilon", With::Float(1.0))],
    );
    assert_eq!(batch.run(&[1.0, 2.0, 3.0, 5.0]), [2.0, 3.0, -3.0, 3.0]);
    // Mean 2, variance 4, and 5 and 0: epsilon makes the roots 3 and sqrt(5).
    let instance = Kit::new([1, 1, 2])
        .floats("g", &[1], &[3.0])
        .floats("b", &[1], &[1.0])
        .node(
            "InstanceNormalization",
            "x, g, b -> y",
            &[("epsilon", With::Float(5.0))],
        );
    assert_eq!(instance.run(&[0.0, 4.0]), [-1.0, 3.0]);
}

#[test]
fn activations_have_their_constants() {
    let image = [-8.0, -1.0, 0.5, 8.0];
    let run = |operator: &str, attributes: &[(&str, With<'_>)]| {
        Kit::new([1, 1, 4])
            .node(operator, "x -> y", attributes)
            .run(&image)
    };
    assert_eq!(run("Relu", &[]), [0.0, 0.0, 0.5, 8.0]);
    let quarter = [("alpha", With::Float(0.25))];
    assert_eq!(run("LeakyRelu", &quarter), [-2.0, -0.25, 0.5, 8.0]);
    assert_eq!(run("HardSigmoid", &quarter), [0.0, 0.25, 0.625, 1.0]);
    close(
        &run("HardSwish", &[]),
        &[0.0, -1.0 / 3.0, 0.5 * 3.5 / 6.0, 8.0],
    );
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let wide = image.map(f64::from);
    close(&run("Sigmoid", &[]), &wide.map(sigmoid));
    close(&run("Tanh", &[]), &wide.map(f64::tanh));
    // Since version 11 the bounds are inputs, each may be left out.
    let clip = |names: &str| {
        Kit::new([1, 1, 4])
            .floats("l", &[], &[-2.0])
            .floats("h", &[], &[6.0])
            .node("Clip", names, &[])
            .run(&image)
    };
    assert_eq!(clip("x, l, h -> y"), [-2.0, -1.0, 0.5, 6.0]);
    assert_eq!(clip("x, , h -> y"), [-8.0, -1.0, 0.5, 6.0]);
    let old = Kit::new([1, 1, 4])
        .opset(10)
        .node("Clip", "x -> y", &[("min", With::Float(0.0))]);
    assert_eq!(old.run(&image), [0.0, 0.0, 0.5, 8.0]);
    let slopes = Kit::new([2, 1, 2])
        .floats("s", &[2, 1, 1], &[0.5, 3.0])
        .node("PRelu", "x, s -> y", &[]);
    assert_eq!(slopes.run(&image), [-4.0, -0.5, 0.5, 8.0]);
}

#[test]
fn constants_are_added_to_channels_or_pixels() {
    let image = [1.0, 2.0, 3.0, 4.0];
    let run = |operator: &str, names: &str, dims: &[usize], values: &[f32]| {
        Kit::new([2, 1, 2])
            .floats("c", dims, values)
            .node(operator, names, &[])
            .run(&image)
    };
    assert_eq!(
        run("Add", "x, c -> y", &[], &[10.0]),
        [11.0, 12.0, 13.0, 14.0]
    );
    assert_eq!(
        run("Mul", "c, x -> y", &[2, 1, 1], &[2.0, 3.0]),
        [2.0, 4.0, 9.0, 12.0]
    );
    assert_eq!(
        run("Sub", "c, x -> y", &[1, 2, 1, 1], &[5.0, 0.0]),
        [4.0, 3.0, -3.0, -4.0]
    );
    assert_eq!(
        run("Div", "x, c -> y", &[1], &[4.0]),
        [0.25, 0.5, 0.75, 1.0]
    );
    // Along the width, the same in both channels.
    assert_eq!(
        run("Add", "x, c -> y", &[2], &[10.0, 20.0]),
        [11.0, 22.0, 13.0, 24.0]
    );
    assert_eq!(
        run("Mul", "x, c -> y", &[1, 2, 1, 2], &[1.0, 0.0, 2.0, 3.0]),
        [1.0, 0.0, 6.0, 12.0]
    );
}

#[test]
fn feature_maps_are_combined_with_channels_and_pixels_of_others() {
    let image = [1.0, 3.0, 10.0, 20.0];
    let kit = || Kit::new([2, 1, 2]).node("GlobalAveragePool", "x -> m", &[]);
    // Means 2 and 15.
    assert_eq!(
        kit().node("Mul", "m, x -> y", &[]).run(&image),
        [2.0, 6.0, 150.0, 300.0]
    );
    assert_eq!(
        kit().node("Add", "x, m -> y", &[]).run(&image),
        [3.0, 5.0, 25.0, 35.0]
    );
    assert_eq!(
        kit().node("Sub", "x, m -> y", &[]).run(&image),
        [-1.0, 1.0, -5.0, 5.0]
    );
    // One channel for both.
    let one = Kit::new([2, 1, 2])
        .ints("i", &[1])
        .node("Gather", "x, i -> c", &[("axis", With::Int(1))])
        .node("Mul", "x, c -> y", &[]);
    assert_eq!(one.run(&image), [10.0, 60.0, 100.0, 400.0]);
    let three = Kit::new([2, 1, 2]).node("Sum", "x, x, x -> y", &[]);
    assert_eq!(three.run(&image), [3.0, 9.0, 30.0, 60.0]);
}

#[test]
fn softmax_is_over_channels_or_one_vector() {
    let logs = [0.0, 7.0, 3.0f32.ln(), 7.0];
    let channels = Kit::new([2, 1, 2]).node("Softmax", "x -> y", &[("axis", With::Int(1))]);
    close(&channels.run(&logs), &[0.25, 0.5, 0.75, 0.5]);
    // The last axis, by default.
    let vector = Kit::new([2, 1, 1])
        .node("Flatten", "x -> f", &[])
        .node("Softmax", "f -> y", &[]);
    close(&vector.run(&[0.0, 3.0f32.ln()]), &[0.25, 0.75]);
    // Before version 13: all that follows the axis.
    let old = Kit::new([2, 1, 1]).opset(11).node("Softmax", "x -> y", &[]);
    close(&old.run(&[0.0, 3.0f32.ln()]), &[0.25, 0.75]);
}

//! Functions of single pixels, comparisons, reductions and combinations of different shapes.

use super::kit::{Kit, With, close, noise};

/// The results of an operator without attributes for each number of an image of one pixel each.
fn each(operator: &str, attributes: &[(&str, With<'_>)], numbers: &[f32]) -> Vec<f64> {
    let kit = Kit::new([numbers.len(), 1, 1]).opset(20);
    kit.node(operator, "x -> y", attributes).run(numbers)
}

#[test]
fn activations_are_those_of_their_definitions() {
    let x = [-3.0f32, -1.0, -0.25, 0.0, 0.5, 1.0, 4.0];
    let expected =
        |f: &dyn Fn(f64) -> f64| -> Vec<f64> { x.iter().map(|&x| f(x.into())).collect() };
    let softplus = |x: f64| x.exp().ln_1p();
    close(&each("Softplus", &[], &x), &expected(&softplus));
    close(
        &each("Mish", &[], &x),
        &expected(&|x| x * softplus(x).tanh()),
    );
    close(
        &each("Softsign", &[], &x),
        &expected(&|x| x / (1.0 + x.abs())),
    );
    let elu = |x: f64, alpha: f64| if x > 0.0 { x } else { alpha * x.exp_m1() };
    close(
        &each("Elu", &[("alpha", With::Float(0.5))], &x),
        &expected(&|x| elu(x, 0.5)),
    );
    close(
        &each("Selu", &[], &x),
        &expected(&|x| 1.050_700_987 * elu(x, 1.673_263_242)),
    );
    let celu = |x: f64| if x > 0.0 { x } else { 2.0 * (x / 2.0).exp_m1() };
    close(
        &each("Celu", &[("alpha", With::Float(2.0))], &x),
        &expected(&celu),
    );
    close(
        &each("Swish", &[("alpha", With::Float(1.5))], &x),
        &expected(&|x| x / (1.0 + (-1.5 * x).exp())),
    );
    let tanh_gelu = |x: f64| {
        let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3));
        0.5 * x * (1.0 + inner.tanh())
    };
    let approximate = [("approximate", With::Text("tanh"))];
    close(&each("Gelu", &approximate, &x), &expected(&tanh_gelu));
    // erf(x), and x (1 + erf(x / sqrt(2))) / 2, of a library in C.
    let erf = [
        -0.999_977_909_503,
        -0.842_700_792_950,
        -0.276_326_390_168,
        0.0,
        0.520_499_877_813,
        0.842_700_792_950,
        0.999_999_984_583,
    ];
    close(&each("Erf", &[], &x), &erf);
    let gelu = [
        -0.004_049_694_093,
        -0.158_655_253_931,
        -0.100_323_418_579,
        0.0,
        0.345_731_230_635,
        0.841_344_746_069,
        3.999_873_314_968,
    ];
    close(&each("Gelu", &[], &x), &gelu);
    let positive = [0.25f32, 1.0, 9.0];
    close(&each("Sqrt", &[], &positive), &[0.5, 1.0, 3.0]);
    close(&each("Reciprocal", &[], &positive), &[4.0, 1.0, 1.0 / 9.0]);
    let logarithms = [0.25f64.ln(), 0.0, 9.0f64.ln()];
    close(&each("Log", &[], &positive), &logarithms);
    close(&each("Abs", &[], &[-2.0, 3.0]), &[2.0, 3.0]);
}

#[test]
fn powers_have_one_exponent() {
    for (exponent, numbers) in [
        (1.0, [-2.0f32, 3.0]),
        (2.0, [-2.0, 3.0]),
        (3.0, [-2.0, 3.0]),
        (-1.0, [-2.0, 3.0]),
        (0.5, [2.0, 3.0]),
        (-0.5, [2.0, 3.0]),
        (-0.75, [2.0, 3.0]),
    ] {
        let kit = Kit::new([2, 1, 1]).floats("e", &[], &[exponent]);
        let found = kit.node("Pow", "x, e -> y", &[]).run(&numbers);
        close(&found, &numbers.map(|x| f64::from(x).powf(exponent.into())));
    }
}

#[test]
fn comparisons_choose_between_two_cases() {
    // A softplus with a threshold, as the newer exporter writes it, and a leaky ReLU of slope 3.
    let kit = Kit::new([1, 1, 4])
        .floats("t", &[], &[2.0])
        .floats("s", &[], &[3.0])
        .floats("zero", &[], &[0.0])
        .node("Greater", "x, t -> large", &[])
        .node("Softplus", "x -> soft", &[])
        .node("Where", "large, x, soft -> a", &[])
        .node("GreaterOrEqual", "x, zero -> positive", &[])
        .node("Mul", "x, s -> steep", &[])
        .node("Where", "positive, x, steep -> b", &[])
        .node("Concat", "a, b -> y", &[("axis", With::Int(1))]);
    let x = [-1.0f32, 0.0, 2.0, 5.0];
    let soft = |x: f32| f64::from(x).exp().ln_1p();
    let expected = [soft(-1.0), soft(0.0), soft(2.0), 5.0, -3.0, 0.0, 2.0, 5.0];
    close(&kit.run(&x), &expected);
    let logic = Kit::new([1, 1, 4])
        .floats("t", &[], &[2.0])
        .floats("zero", &[], &[0.0])
        .node("Less", "x, t -> a", &[])
        .node("LessOrEqual", "x, zero -> b", &[])
        .node("Not", "b -> c", &[])
        .node("And", "a, c -> d", &[])
        .node("Or", "b, d -> y", &[]);
    assert_eq!(logic.run(&[-1.0, 0.5, 2.0, 0.0]), [1.0, 1.0, 0.0, 1.0]);
}

#[test]
fn extremes_of_feature_maps_and_constants() {
    let kit = Kit::new([2, 1, 2])
        .floats("c", &[2, 1, 1], &[0.5, -0.5])
        .node("Neg", "x -> n", &[])
        .node("Max", "x, n -> a", &[])
        .node("Min", "a, c -> b", &[])
        .node("Max", "c, b -> d", &[])
        .node("Min", "d, x -> y", &[]);
    let x = [-2.0f32, 0.25, 3.0, -0.75];
    let constant = [0.5, 0.5, -0.5, -0.5];
    let expected: Vec<f64> = x
        .iter()
        .zip(constant)
        .map(|(&x, c): (&f32, f32)| f64::from(x.max(-x).min(c).max(c).min(x)))
        .collect();
    close(&kit.run(&x), &expected);
}

type Reduction = fn(&[f64]) -> f64;

/// All of a reduction by its definition.
fn reduced(x: &[f32], dims: [usize; 3], axes: &[usize], of: Reduction) -> Vec<f64> {
    let keep = |axis: usize, place: usize| if axes.contains(&axis) { 0 } else { place };
    let mut groups = std::collections::BTreeMap::<[usize; 3], Vec<f64>>::new();
    for (at, &x) in x.iter().enumerate() {
        let place = [at / dims[2] / dims[1], at / dims[2] % dims[1], at % dims[2]];
        let group = [0, 1, 2].map(|axis| keep(axis, place[axis]));
        groups.entry(group).or_default().push(f64::from(x));
    }
    groups.values().map(|group| of(group)).collect()
}

#[test]
fn any_axes_are_reduced() {
    let dims = [4, 3, 5];
    let x = noise(5, 60);
    let mean = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
    let operators: [(&str, Reduction); 7] = [
        ("ReduceMean", mean),
        ("ReduceSum", |x| x.iter().sum()),
        ("ReduceMax", |x| x.iter().copied().fold(f64::MIN, f64::max)),
        ("ReduceMin", |x| x.iter().copied().fold(f64::MAX, f64::min)),
        ("ReduceL1", |x| x.iter().map(|x| x.abs()).sum()),
        ("ReduceL2", |x| x.iter().map(|x| x * x).sum::<f64>().sqrt()),
        ("ReduceSumSquare", |x| x.iter().map(|x| x * x).sum()),
    ];
    for (operator, of) in operators {
        for axes in [&[0][..], &[1], &[2], &[1, 2], &[0, 1], &[0, 2], &[0, 1, 2]] {
            let given: Vec<i64> = axes.iter().map(|&axis| axis as i64 + 1).collect();
            let expected = reduced(&x, dims, axes, of);
            for keeps in [0, 1] {
                let attributes = [("axes", With::Ints(&given)), ("keepdims", With::Int(keeps))];
                let kit = Kit::new(dims).node(operator, "x -> y", &attributes);
                close(&kit.run(&x), &expected);
            }
            // The other numbers of each group less what was reduced.
            let attributes = [("axes", With::Ints(&given[..])), ("keepdims", With::Int(1))];
            let kit =
                Kit::new(dims)
                    .node(operator, "x -> m", &attributes)
                    .node("Sub", "x, m -> y", &[]);
            let found = kit.run(&x);
            let sum = |x: &[f64]| x.iter().sum::<f64>();
            let all: Vec<f64> = x.iter().map(|&x| f64::from(x)).collect();
            let expected = sum(&all) - sum(&expected) * (60 / expected.len()) as f64;
            assert!((sum(&found) - expected).abs() < 1e-4, "{operator} {axes:?}");
        }
    }
}

#[test]
fn dimensions_in_five_parts_are_weighed_and_summed() {
    // Split attention: a softmax over two branches for each channel, and the weighted sum of the branches.
    let kit = Kit::new([4, 1, 3])
        .ints("branches", &[1, 2, 2, 1, 3])
        .ints("axes", &[3, 4])
        .ints("one", &[1])
        .node("Reshape", "x, branches -> b", &[])
        .node("ReduceMean", "b -> m", &[("axes", With::Ints(&[3, 4]))])
        .node("Softmax", "m -> s", &[("axis", With::Int(1))])
        .node("Mul", "b, s -> w", &[])
        .node("ReduceSum", "w, one -> y", &[("keepdims", With::Int(0))]);
    let x = noise(9, 12);
    let mut expected = vec![0.0; 6];
    for channel in 0..2 {
        let map = |branch: usize| &x[(branch * 2 + channel) * 3..][..3];
        let mean = |branch: usize| f64::from(map(branch).iter().sum::<f32>()) / 3.0;
        let total = mean(0).exp() + mean(1).exp();
        for branch in 0..2 {
            for (pixel, &x) in map(branch).iter().enumerate() {
                expected[channel * 3 + pixel] += mean(branch).exp() / total * f64::from(x);
            }
        }
    }
    close(&kit.run(&x), &expected);
    // Over the last axis, with several rows.
    let rows = Kit::new([2, 2, 3]).node("Softmax", "x -> y", &[("axis", With::Int(-1))]);
    let x = noise(3, 12);
    let expected: Vec<f64> = x
        .chunks(3)
        .flat_map(|row| {
            let total: f64 = row.iter().map(|&x| f64::from(x).exp()).sum();
            row.iter().map(move |&x| f64::from(x).exp() / total)
        })
        .collect();
    close(&rows.run(&x), &expected);
    let logarithms = Kit::new([5, 1, 1]).node("LogSoftmax", "x -> y", &[("axis", With::Int(1))]);
    let total: f64 = x[..5].iter().map(|&x| f64::from(x).exp()).sum();
    let expected: Vec<f64> = x[..5].iter().map(|&x| f64::from(x) - total.ln()).collect();
    close(&logarithms.run(&x[..5]), &expected);
}

#[test]
fn a_factor_for_each_channel_multiplies_maps_that_were_divided_into_channels() {
    // One map of 4 x 4 pixels becomes two of 4 x 2: a factor for each, and one for each row of each.
    for (axes, pixels) in [(&[2, 3][..], 8), (&[3], 2)] {
        let kit = Kit::new([1, 4, 4])
            .ints("halves", &[1, 2, 4, 2])
            .node("Reshape", "x, halves -> h", &[])
            .node("ReduceMean", "h -> m", &[("axes", With::Ints(axes))])
            .node("Mul", "h, m -> y", &[]);
        let x = noise(4, 16);
        let parts = x.chunks(pixels).flat_map(|part| {
            let mean = part.iter().map(|&x| f64::from(x)).sum::<f64>() / pixels as f64;
            part.iter().map(move |&x| f64::from(x) * mean)
        });
        close(&kit.run(&x), &parts.collect::<Vec<f64>>());
    }
}

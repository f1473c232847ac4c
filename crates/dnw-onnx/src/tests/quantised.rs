//! Quantised models: integers with scales.

use dnw_circuit::interpret;

use super::kit::{Kit, With, close, noise};
use crate::import;

const U8: i32 = 2;
const I8: i32 = 3;
const U16: i32 = 4;
const I32: i32 = 6;

/// Quantises `x` to `q`, and makes floats `y` of it again.
fn round_trip(kit: Kit) -> Kit {
    kit.node("QuantizeLinear", "x, scale, zero -> q", &[]).node(
        "DequantizeLinear",
        "q, scale, zero -> y",
        &[],
    )
}

#[test]
fn weights_are_their_integers_times_the_scale_of_their_channel() {
    let model = Kit::new([2, 1, 1])
        .integers("q", &[2, 2, 1, 1], I8, &[3, 5, -7, 0])
        .floats("scales", &[2], &[0.5, 0.25])
        .integers("zeros", &[2], I8, &[5, 0])
        .integers("bias", &[2], I32, &[100, -4])
        .floats("bias scale", &[], &[0.125])
        .node(
            "DequantizeLinear",
            "q, scales, zeros -> w",
            &[("axis", With::Int(0))],
        )
        .node("DequantizeLinear", "bias, bias scale -> b", &[])
        .node("Conv", "x, w, b -> y", &[]);
    // (3 - 5) / 2 and 0; -7 / 4 and 0.
    close(&model.run(&[2.0, 3.0]), &[-2.0 + 12.5, -3.5 - 0.5]);
    let imported = model.import().unwrap();
    assert!(!imported.quantised, "only weights are");
    let mut tensors = imported.circuit.tensors().iter();
    let weight = tensors.find(|tensor| tensor.name() == "w").unwrap();
    let edges: Vec<bool> = (0..4).map(|entry| weight.is_real(entry)).collect();
    assert_eq!(edges, [true, false, true, false], "zeros are no edges");
}

#[test]
fn feature_maps_are_clipped_to_what_the_integers_express() {
    let of = |element: i32, scale: f32, zero: i32| {
        round_trip(Kit::new([5, 1, 1]).floats("scale", &[], &[scale]).integers(
            "zero",
            &[],
            element,
            &[zero],
        ))
    };
    let x = [-300.0, -1.0, 0.25, 100.0, 1000.0];
    // Without negative numbers the integers are a ReLU, which exporters leave out.
    let unsigned = of(U8, 1.0, 0);
    close(&unsigned.run(&x), &[0.0, 0.0, 0.25, 100.0, 255.0]);
    assert!(unsigned.import().unwrap().quantised);
    let signed = of(I8, 2.0, 28);
    close(&signed.run(&x), &[-300.0, -1.0, 0.25, 100.0, 198.0]);
    let long = of(U16, 0.01, 100);
    close(&long.run(&x), &[-1.0, -1.0, 0.25, 100.0, 654.35]);
}

#[test]
fn channels_may_have_scales_of_their_own() {
    let model = round_trip(
        Kit::new([2, 1, 3])
            .floats("scale", &[2], &[0.5, 0.25])
            .integers("zero", &[2], I8, &[0, -28]),
    );
    let x = [-100.0, 0.3, 100.0, -100.0, 0.3, 100.0];
    close(&model.run(&x), &[-64.0, 0.3, 63.5, -25.0, 0.3, 38.75]);
}

#[test]
fn without_a_zero_point_the_integers_begin_at_zero() {
    let model = Kit::new([3, 1, 1]).floats("scale", &[], &[0.5]);
    let bare = |output: &[(&str, With<'_>)]| {
        let quantised = Kit {
            graph: model.graph.clone(),
            opset: 21,
        };
        quantised
            .node("QuantizeLinear", "x, scale -> q", output)
            .node("DequantizeLinear", "q, scale -> y", &[])
    };
    let x = [-70.0, 1.0, 130.0];
    close(&bare(&[]).run(&x), &[0.0, 1.0, 127.5]);
    let signed = bare(&[("output_dtype", With::Int(3))]);
    close(&signed.run(&x), &[-64.0, 1.0, 63.5]);
}

#[test]
fn integers_may_be_moved_before_they_are_floats_again() {
    let model = Kit::new([2, 2, 2])
        .floats("scale", &[], &[1.0])
        .integers("zero", &[], U8, &[3])
        .node("QuantizeLinear", "x, scale, zero -> q", &[])
        .node(
            "MaxPool",
            "q -> m",
            &[("kernel_shape", With::Ints(&[2, 2]))],
        )
        .node("Flatten", "m -> f", &[])
        .node("DequantizeLinear", "f, scale, zero -> y", &[]);
    let x = [-9.0, -8.0, -7.0, -6.0, 1.0, 2.0, 400.0, 3.0];
    close(&model.run(&x), &[-3.0, 252.0]);
}

#[test]
fn constants_that_a_model_quantises_are_rounded_to_the_even_neighbour() {
    let model = Kit::new([1, 1, 1])
        .floats("w", &[5, 1, 1, 1], &[0.5, 1.5, -2.5, 0.7, 300.0])
        .floats("scale", &[], &[1.0])
        .integers("zero", &[], I8, &[0])
        .node("QuantizeLinear", "w, scale, zero -> q", &[])
        .node("DequantizeLinear", "q, scale, zero -> v", &[])
        .node("Conv", "x, v -> y", &[]);
    close(&model.run(&[1.0]), &[0.0, 2.0, -2.0, 1.0, 127.0]);
}

#[test]
fn products_and_convolutions_of_integers_are_those_of_floats() {
    let weights: Vec<i32> = (0..12).map(|i| 7 * i % 23 - 11).collect();
    let scales = [0.5, 0.25, 2.0];
    let zeros = [1, -2, 0];
    let dynamic = |kit: Kit| {
        kit.integers("zeros", &[3], I8, &zeros)
            .node("DynamicQuantizeLinear", "x -> q, sx, zx", &[])
    };
    let x = noise(3, 4);
    let expected: Vec<f64> = (0..3)
        .map(|target| {
            let edges = (0..4).map(|source| {
                let weight = f64::from(weights[source * 3 + target] - zeros[target]);
                weight * f64::from(scales[target]) * f64::from(x[source])
            });
            edges.sum()
        })
        .collect();
    let product = dynamic(Kit::new([4, 1, 1]))
        .integers("w", &[4, 3], I8, &weights)
        .floats("sw", &[3], &scales)
        .node("Flatten", "x -> flat", &[])
        .node("DynamicQuantizeLinear", "flat -> qf, sf, zf", &[])
        .node("MatMulInteger", "qf, w, zf, zeros -> p", &[])
        .node("Cast", "p -> f", &[("to", With::Int(1))])
        .node("Mul", "sf, sw -> s", &[])
        .node("Mul", "f, s -> y", &[]);
    close(&product.run(&x), &expected);

    let transposed: Vec<i32> = (0..12).map(|i| weights[i % 4 * 3 + i / 4]).collect();
    let convolution = dynamic(Kit::new([4, 1, 1]))
        .integers("w", &[3, 4, 1, 1], I8, &transposed)
        .floats("sw", &[3, 1, 1], &scales)
        .node("ConvInteger", "q, w, zx, zeros -> p", &[])
        .node("Cast", "p -> f", &[("to", With::Int(1))])
        .node("Mul", "sx, sw -> s", &[])
        .node("Mul", "f, s -> y", &[]);
    close(&convolution.run(&x), &expected);

    // Integers of a fixed scale: the sums are divided by it, and multiplied again.
    let fixed = Kit::new([4, 1, 1])
        .floats("sx", &[], &[0.01])
        .integers("zx", &[], U8, &[128])
        .integers("w", &[3, 4, 1, 1], I8, &transposed)
        .integers("zeros", &[3], I8, &zeros)
        .floats("sw", &[3, 1, 1], &scales)
        .node("QuantizeLinear", "x, sx, zx -> q", &[])
        .node("ConvInteger", "q, w, zx, zeros -> p", &[])
        .node("Cast", "p -> f", &[("to", With::Int(1))])
        .node("Mul", "sx, sw -> s", &[])
        .node("Mul", "f, s -> y", &[]);
    close(&fixed.run(&x), &expected);
}

#[test]
fn other_uses_of_integers_are_refused_with_what_to_do() {
    let quantised = || {
        Kit::new([2, 1, 1])
            .floats("scale", &[], &[0.5])
            .floats("other", &[], &[0.25])
            .floats("two", &[2], &[0.5, 0.5])
            .integers("zero", &[], U8, &[3])
            .integers("zeros", &[2], U8, &[0, 0])
            .integers("long", &[], I32, &[3])
            .integers("w", &[1, 2, 1, 1], I8, &[1, 2])
    };
    let refused = |kit: Kit, what: &str, help: &str| {
        let error = kit.import().expect_err(what);
        assert!(error.to_string().contains(what), "{error}");
        assert!(error.help().contains(help), "{}", error.help());
    };
    let after = |operator: &str, names: &str| {
        quantised()
            .node("QuantizeLinear", "x, scale, zero -> q", &[])
            .node(operator, names, &[])
    };
    refused(after("Relu", "q -> y"), "computes with integers", "QDQ");
    refused(
        after("DequantizeLinear", "q, other, zero -> y"),
        "are not those",
        "QDQ",
    );
    refused(
        after("DequantizeLinear", "q, scale -> y"),
        "are not those",
        "QDQ",
    );
    refused(after("ConvInteger", "q, w -> y"), "is not that", "QDQ");
    let with = |operator: &str, names: &str| quantised().node(operator, names, &[]);
    refused(
        with("DequantizeLinear", "x, scale, zero -> y"),
        "are not those",
        "QDQ",
    );
    refused(
        with("ConvInteger", "x, w -> y"),
        "not quantised with",
        "QDQ",
    );
    refused(with("QLinearConv", "x, w -> y"), "not known", "QDQ");
    let three = Kit::new([3, 1, 1])
        .floats("two", &[2], &[0.5, 0.5])
        .integers("zeros", &[2], U8, &[0, 0]);
    let names = "x, two, zeros -> y";
    let of_others = three.node("QuantizeLinear", names, &[]);
    refused(
        of_others,
        "2 scales for axis 1 of the shape [1, 3",
        "for each channel",
    );
    let moved = quantised()
        .node("QuantizeLinear", "x, two, zeros -> q", &[])
        .node("Flatten", "q -> y", &[]);
    refused(moved, "for each channel", "QDQ");
    refused(
        with("QuantizeLinear", "x, two, zero -> y"),
        "2 scales and 1",
        "",
    );
    refused(
        with("QuantizeLinear", "x, scale, long -> y"),
        "not read",
        "8 or 16 bits",
    );
    let axis = &[("axis", With::Int(0))];
    refused(
        quantised().node("DequantizeLinear", "w, two, zeros -> y", axis),
        "axis 0",
        "",
    );
    let blocks = &[("block_size", With::Int(2))];
    refused(
        quantised().node("DequantizeLinear", "w, scale, zero -> y", blocks),
        "each block",
        "each channel",
    );
    let negative = Kit::new([1, 1, 1]).floats("scale", &[], &[-1.0]);
    refused(
        negative.node("QuantizeLinear", "x, scale -> y", &[]),
        "not positive",
        "",
    );
}

/// A model with each of the operators.
fn every_operator() -> Kit {
    Kit::new([2, 2, 2])
        .floats("scale", &[], &[0.5])
        .integers("zero", &[], U8, &[3])
        .integers("w", &[2, 2, 1, 1], I8, &[1, 2, 3, 4])
        .floats("scales", &[2], &[0.5, 0.25])
        .integers("zeros", &[2], I8, &[1, 0])
        .floats("v", &[2, 3], &[0.5, 1.5, -2.5, 0.7, 3.0, 1.0])
        .integers("p", &[3, 2], I8, &[1, 2, 3, 4, 5, 6])
        .node(
            "DequantizeLinear",
            "w, scales, zeros -> wf",
            &[("axis", With::Int(0))],
        )
        .node("QuantizeLinear", "v, scale, zero -> vq", &[])
        .node("DequantizeLinear", "vq, scale, zero -> vf", &[])
        .node("QuantizeLinear", "x, scale, zero -> q", &[])
        .node(
            "MaxPool",
            "q -> m",
            &[("kernel_shape", With::Ints(&[2, 2]))],
        )
        .node("DequantizeLinear", "m, scale, zero -> f", &[])
        .node("Conv", "f, wf -> c", &[])
        .node("DynamicQuantizeLinear", "c -> cq, cs, cz", &[])
        .node("ConvInteger", "cq, w, cz, zeros -> ci", &[])
        .node("Cast", "ci -> cf", &[("to", With::Int(1))])
        .node("Flatten", "cf -> flat", &[])
        .node("Gemm", "flat, vf -> g", &[])
        .node("DynamicQuantizeLinear", "g -> gq, gs, gz", &[])
        .node("MatMulInteger", "gq, p, gz -> y", &[])
}

#[test]
fn damaged_models_are_read_or_refused() {
    let model = every_operator().model();
    assert_eq!(every_operator().run(&[1.0; 8]).len(), 2);
    let (mut read, mut refused) = (0, 0);
    for seed in 0..20_000 {
        let mut damaged = model.clone();
        let random = noise(seed, 4);
        for change in random.chunks(2).take(1 + seed as usize % 2) {
            let at = (change[0].abs() * model.len() as f32) as usize % model.len();
            damaged[at] ^= 1 << ((change[1].abs() * 8.0) as u32 % 8);
        }
        match import(damaged, None, None) {
            Ok(imported) => {
                read += 1;
                let pixels = imported.circuit.image().iter().product();
                if pixels < 1000 {
                    interpret(&imported.circuit, &vec![1.0; pixels]).unwrap();
                }
            }
            Err(error) => {
                refused += 1;
                assert!(!error.help().is_empty(), "{error}");
            }
        }
    }
    assert!(
        read > 100 && refused > 100,
        "{read} read, {refused} refused"
    );
}

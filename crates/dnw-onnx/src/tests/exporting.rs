//! Exported circuits are read back, and compiled.

#[path = "../../../dnw-circuit/tests/circuits/random.rs"]
#[allow(dead_code, missing_docs)]
mod random;

use dnw_circuit::{Circuit, interpret};
use dnw_compiler::{Passes, compile};
use dnw_runtime::plan::Input;
use dnw_runtime::{Model, Session};
use proptest::prelude::*;

use super::kit::{Kit, With, noise};
use crate::proto::{Graph, Model as Onnx, ValueInfo, decode};
use crate::{Description, ExportOptions, Imported, export, open};

fn round_trip(circuit: &Circuit, description: &Description, options: ExportOptions) -> Imported {
    let folder = tempfile::tempdir().unwrap();
    let exported = export(circuit, description, options);
    std::fs::write(folder.path().join("model.onnx"), exported.model).unwrap();
    if let Some(external) = exported.external {
        std::fs::write(folder.path().join("weights.bin"), external).unwrap();
    }
    open(&folder.path().join("model.onnx"), None).unwrap_or_else(|error| panic!("{error}"))
}

fn ways() -> [ExportOptions; 3] {
    let [plain, mut sparse, mut external] = [const {
        ExportOptions {
            sparse: false,
            external: None,
        }
    }; 3];
    sparse.sparse = true;
    external.external = Some("weights.bin".to_owned());
    [plain, sparse, external]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn an_exported_circuit_computes_the_same(recipe in random::recipes(), seed in any::<u64>(), way in 0usize..3) {
        let circuit = recipe.circuit();
        let image = recipe.image(seed);
        let expected = interpret(&circuit, &image).unwrap();
        // A result that is the same for every image is no network.
        let live = dnw_circuit::Liveness::along_paths(&circuit);
        prop_assume!(live.varies(circuit.output()).contains(&true));
        let imported = round_trip(&circuit, &Description::default(), ways()[way].clone());
        let found = interpret(&imported.circuit, &image).unwrap();
        let largest = expected.iter().fold(1.0, |a: f64, b| a.max(b.abs()));
        prop_assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            prop_assert!((found - expected).abs() <= 1e-4 * largest, "{} instead of {}", found, expected);
        }
    }
}

#[test]
fn the_description_of_images_travels_with_the_model() {
    let circuit = Kit::new([1, 2, 2])
        .node("GlobalAveragePool", "x -> y", &[])
        .import()
        .unwrap()
        .circuit;
    let description = Description {
        name: "tiny".to_owned(),
        mean: vec![0.25],
        deviation: vec![0.5],
        resize: 8,
        classes: vec!["a cat".to_owned()],
    };
    for way in ways() {
        assert_eq!(
            round_trip(&circuit, &description, way).description,
            description
        );
    }
}

#[test]
fn an_imported_network_of_several_blocks_is_compiled() {
    // Convolution, norm, SiLU, squeeze and excitation, shuffle, residual, pool, linear layer.
    let (c, side) = (8, 6);
    let sparse = |seed: u64, count: usize| {
        let mut weights = noise(seed, count);
        weights
            .iter_mut()
            .enumerate()
            .for_each(|(i, w)| *w = if i % 4 == 0 { *w } else { 0.0 });
        weights
    };
    let ones: Vec<f32> = noise(9, c).iter().map(|x| 1.0 + 0.5 * x).collect();
    let kit = Kit::new([3, side, side])
        .floats("w1", &[c, 3, 3, 3], &sparse(1, c * 27))
        .floats("g", &[c], &ones)
        .floats("b", &[c], &noise(2, c))
        .floats("m", &[c], &noise(3, c))
        .floats("v", &[c], &ones)
        .floats("squeeze", &[2, c, 1, 1], &noise(4, 2 * c))
        .floats("excite", &[c, 2, 1, 1], &noise(5, 2 * c))
        .floats("w2", &[c, 4, 3, 3], &sparse(6, c * 36))
        .floats("fc", &[5, c], &noise(7, 5 * c))
        .ints("five", &[0, 2, 4, side as i64, side as i64])
        .ints("four", &[0, 8, side as i64, side as i64])
        .node("Conv", "x, w1 -> a", &[("pads", With::Ints(&[1, 1, 1, 1]))])
        .node("BatchNormalization", "a, g, b, m, v -> n", &[])
        .node("Sigmoid", "n -> s", &[])
        .node("Mul", "n, s -> silu", &[])
        .node("GlobalAveragePool", "silu -> p", &[])
        .node("Conv", "p, squeeze -> q", &[])
        .node("Relu", "q -> r", &[])
        .node("Conv", "r, excite -> e", &[])
        .node("HardSigmoid", "e -> h", &[])
        .node("Mul", "silu, h -> se", &[])
        .node("Reshape", "se, five -> k", &[])
        .node(
            "Transpose",
            "k -> t",
            &[("perm", With::Ints(&[0, 2, 1, 3, 4]))],
        )
        .node("Reshape", "t, four -> u", &[])
        .node(
            "Conv",
            "u, w2 -> d",
            &[("pads", With::Ints(&[0, 1, 2, 1])), ("group", With::Int(2))],
        )
        .node("Add", "d, se -> z", &[])
        .node("HardSwish", "z -> o", &[])
        .node(
            "ReduceMean",
            "o -> mean",
            &[("axes", With::Ints(&[2, 3])), ("keepdims", With::Int(0))],
        )
        .node("Gemm", "mean, fc -> logits", &[("transB", With::Int(1))])
        .node("Softmax", "logits -> y", &[]);
    let circuit = kit.import().unwrap().circuit;
    let image = noise(8, 3 * side * side);
    let expected = interpret(&circuit, &image).unwrap();
    assert!((expected.iter().sum::<f64>() - 1.0).abs() < 1e-9);
    let plan = compile(&circuit, Input::default(), Passes::default());
    let model = Model::new(plan).unwrap();
    let mut found = vec![0.0; 5];
    Session::new(&model, 1).run(&image, &mut found).unwrap();
    for (found, expected) in found.iter().zip(expected) {
        assert!((f64::from(*found) - expected).abs() < 1e-5);
    }
    // The groups are one convolution, and the gate is part of the activation.
    let operations: Vec<&str> = model.steps().map(|(_, operation)| operation).collect();
    let sums = operations
        .iter()
        .filter(|name| name.contains("sums"))
        .count();
    assert_eq!(sums, 2, "{operations:?}");
    assert_eq!(
        operations.iter().filter(|&&name| name == "product").count(),
        1
    );
}

#[test]
fn constants_are_joined_with_feature_maps_of_any_batch() {
    let kit = Kit::new([2, 1, 2])
        .floats("before", &[1, 1, 1, 2], &[1.0, 2.0])
        .floats("between", &[1, 2, 1, 2], &[3.0, 3.0, 4.0, 4.0])
        .floats("after", &[1, 1, 1, 2], &[5.0, 6.0])
        .node("Relu", "x -> r", &[])
        .node(
            "Concat",
            "before, x, between, after, r, after -> y",
            &[("axis", With::Int(1))],
        );
    let circuit = kit.import().unwrap().circuit;
    let image = [-7.0, 8.0, 9.0, -10.0];
    let expected = [
        1.0, 2.0, -7.0, 8.0, 9.0, -10.0, 3.0, 3.0, 4.0, 4.0, 5.0, 6.0, 0.0, 8.0, 9.0, 0.0, 5.0, 6.0,
    ];
    for way in ways() {
        let again = round_trip(&circuit, &Description::default(), way.clone()).circuit;
        assert_eq!(interpret(&again, &image).unwrap(), expected);
        let exported = export(&circuit, &Description::default(), way);
        let model: Onnx = decode(exported.model.into(), "the model").unwrap();
        let graph: Graph = decode(model.graph.unwrap(), "the graph").unwrap();
        for values in [graph.input, graph.output] {
            let value: ValueInfo = decode(values[0].clone(), "a value").unwrap();
            let shape = value.kind.unwrap().tensor.unwrap().shape.unwrap();
            assert_eq!(shape.dim[0].name.as_deref(), Some("batch"));
        }
    }
}

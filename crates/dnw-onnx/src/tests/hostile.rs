//! Files that are wrong, by accident or on purpose.

use prost::Message;
use prost::bytes::Bytes;

use super::kit::{Kit, With, bytes, info, tensor};
use crate::proto::{Entry, Model, SparseTensor, Tensor};
use crate::{ImportError, import};

fn error(file: Vec<u8>) -> ImportError {
    let error = import(file, None, None).expect_err("the file is wrong");
    let sentence = error.to_string();
    assert!(
        !sentence.contains('\n') && !sentence.ends_with('.'),
        "{sentence}"
    );
    assert!(!error.help().is_empty());
    error
}

#[test]
fn files_that_are_no_models_are_refused() {
    assert!(matches!(error(vec![]), ImportError::NoModel { .. }));
    assert!(matches!(
        error(b"\x89PNG\r\n\x1a\n".to_vec()),
        ImportError::Malformed { .. }
    ));
    assert!(matches!(
        error(Model::default().encode_to_vec()),
        ImportError::NoModel { .. }
    ));
    let file = Kit::new([1, 1, 1]).node("Relu", "x -> y", &[]).model();
    for length in 0..file.len() {
        error(file[..length].to_vec());
    }
}

#[test]
fn lengths_that_are_not_there_allocate_nothing() {
    // A graph of 2^62 bytes.
    let mut file = vec![0x3a];
    file.extend([0xff; 8]);
    file.push(0x3f);
    assert!(matches!(error(file), ImportError::Malformed { .. }));
    // Two million empty nodes.
    let mut kit = Kit::new([1, 1, 1]);
    kit.graph.node = vec![Bytes::new(); 2_000_000];
    assert!(matches!(error(kit.model()), ImportError::Limit { .. }));
}

#[test]
fn sizes_that_overflow_or_do_not_fit_are_refused() {
    let with = |dims: &[i64], raw: usize| {
        let mut kit = Kit::new([1, 1, 1]).node("Conv", "x, w -> y", &[]);
        kit.graph.initializer.push(bytes(&Tensor {
            dims: dims.to_vec(),
            data_type: 1,
            name: "w".to_owned(),
            raw_data: Some(Bytes::from(vec![0; raw])),
            ..Tensor::default()
        }));
        error(kit.model())
    };
    assert!(matches!(
        with(&[i64::MAX, 4, 1, 1], 4),
        ImportError::Limit { .. }
    ));
    assert!(matches!(
        with(&[0, i64::MAX, i64::MAX, 1], 0),
        ImportError::Limit { .. }
    ));
    assert!(matches!(
        with(&[-1, 1, 1, 1], 4),
        ImportError::Tensor { .. }
    ));
    assert!(matches!(with(&[2, 1, 1, 1], 4), ImportError::Tensor { .. }));
    assert!(matches!(
        with(&[0, 1, 1, 1], 0),
        ImportError::Invalid { .. }
    ));
    // An image of 2^40 pixels.
    let mut kit = Kit::new([1, 1, 1]).node("Relu", "x -> y", &[]);
    kit.graph.input = vec![info("x", &[1, 1, 1 << 20, 1 << 20])];
    assert!(matches!(error(kit.model()), ImportError::Limit { .. }));
    kit.graph.input = vec![info("x", &[1, i64::MAX, i64::MAX, 1])];
    assert!(matches!(error(kit.model()), ImportError::Interface { .. }));
    // A constant that a few bytes ask for.
    let expanded = Kit::new([1, 1, 1])
        .ints("shape", &[1 << 14, 1 << 14, 1 << 14])
        .node("ConstantOfShape", "shape -> c", &[])
        .node("Add", "x, c -> y", &[]);
    assert!(matches!(error(expanded.model()), ImportError::Limit { .. }));
    let far = Kit::new([1, 1, 1]).floats("w", &[1, 1, 1, 1], &[1.0]).node(
        "Conv",
        "x, w -> y",
        &[("pads", With::Ints(&[0, 0, i64::MAX, 1]))],
    );
    assert!(matches!(error(far.model()), ImportError::Invalid { .. }));
    let wide = Kit::new([1, 1, 1]).floats("w", &[1, 1, 1, 1], &[1.0]).node(
        "Conv",
        "x, w -> y",
        &[("pads", With::Ints(&[16000, 16000, 16000, 16000]))],
    );
    assert!(matches!(error(wide.model()), ImportError::Limit { .. }));
}

#[test]
fn names_are_unique_and_computed() {
    let twice = Kit::new([1, 1, 1])
        .node("Relu", "x -> y", &[])
        .node("Relu", "x -> y", &[]);
    assert_eq!(twice.error(), "two values have the name `y`");
    let shadowed = Kit::new([1, 1, 1])
        .node("Relu", "x -> x", &[])
        .node("Relu", "x -> y", &[]);
    assert_eq!(shadowed.error(), "two values have the name `x`");
    let weights = Kit::new([1, 1, 1])
        .floats("w", &[1], &[1.0])
        .floats("w", &[1], &[1.0]);
    let weights = weights.node("Add", "x, w -> y", &[]);
    assert_eq!(weights.error(), "two values have the name `w`");
    let missing = Kit::new([1, 1, 1]).node("Add", "x, z -> y", &[]);
    assert_eq!(
        missing.error(),
        "the node `node 0` (Add) reads `z`, which no node computes"
    );
    let output = Kit::new([1, 1, 1]).node("Relu", "x -> z", &[]);
    assert_eq!(
        output.error(),
        "the output of the graph reads `y`, which no node computes"
    );
}

#[test]
fn cycles_are_refused_and_any_order_is_read() {
    let cycle = Kit::new([1, 1, 1])
        .node("Add", "x, b -> a", &[])
        .node("Relu", "a -> b", &[])
        .node("Relu", "b -> y", &[]);
    assert!(matches!(error(cycle.model()), ImportError::Cycle { .. }));
    let own = Kit::new([1, 1, 1]).node("Add", "x, y -> y", &[]);
    assert!(matches!(error(own.model()), ImportError::Cycle { .. }));
    let backwards = Kit::new([1, 1, 1])
        .node("Neg", "a -> y", &[])
        .node("Relu", "x -> a", &[]);
    assert_eq!(backwards.run(&[3.0]), [-3.0]);
    // A chain that would overflow the stack if it were followed by recursion.
    let mut long = Kit::new([1, 1, 1]).node("Relu", "x -> n0", &[]);
    for i in 0..100_000 {
        long = long.node("Identity", &format!("n{i} -> n{}", i + 1), &[]);
    }
    assert_eq!(long.node("Neg", "n100000 -> y", &[]).run(&[2.0]), [-2.0]);
}

#[test]
fn what_is_not_supported_is_named_with_its_node_and_an_alternative() {
    let unknown = Kit::new([1, 1, 1]).node("Round", "x -> y", &[]);
    let error = unknown.import().unwrap_err();
    assert_eq!(
        error.to_string(),
        "the node `node 0` (Round) is not supported: the operator is not known"
    );
    assert!(error.help().contains("SiLU"), "{}", error.help());
    let quantised = Kit::new([1, 1, 1]).node("QLinearConv", "x, x, x -> y", &[]);
    assert!(
        quantised
            .import()
            .unwrap_err()
            .help()
            .contains("--weights int8")
    );
    let dilated = Kit::new([1, 4, 4]).node(
        "MaxPool",
        "x -> y",
        &[
            ("kernel_shape", With::Ints(&[2, 2])),
            ("dilations", With::Ints(&[2, 2])),
        ],
    );
    assert!(dilated.error().contains("`node 0` (MaxPool)"));
    let volume = Kit::new([1, 1, 4])
        .floats("w", &[1, 1, 1, 1, 2], &[1.0; 2])
        .node("Conv", "x, w -> y", &[]);
    assert!(
        volume.error().contains("[1, 1, 1, 1, 2]"),
        "{}",
        volume.error()
    );
    let broken = Kit::new([1, 1, 1])
        .floats("w", &[1, 1, 1, 1], &[f32::NAN])
        .node("Conv", "x, w -> y", &[]);
    assert!(broken.error().contains("NaN"));
    let old = Kit::new([1, 1, 1]).opset(6).node("Relu", "x -> y", &[]);
    assert!(old.error().contains("version 6"));
    let constant = Kit::new([1, 1, 1]).floats("y", &[1], &[1.0]);
    assert!(constant.error().contains("does not depend on the image"));
}

#[test]
fn a_few_bytes_cannot_ask_for_much_memory() {
    let huge = Kit::new([1, 1, 1])
        .ints("n", &[1, 1 << 40, 1, 1])
        .node("Expand", "x, n -> y", &[]);
    assert!(huge.error().contains("too large"), "{}", huge.error());
    let sparse = Kit::new([1, 1, 1]).floats("w", &[1, 1, 1, 1], &[1.0]).node(
        "ConvTranspose",
        "x, w -> y",
        &[("strides", With::Ints(&[1 << 13; 2]))],
    );
    assert!(sparse.error().contains("too large"), "{}", sparse.error());
    let wide = Kit::new([1, 1, 1 << 24])
        .ints("zero", &[0])
        .ints("end", &[1 << 24])
        .ints("axis", &[3])
        .ints("step", &[2])
        .node("Slice", "x, zero, end, axis, step -> y", &[]);
    assert!(
        wide.error().contains("selects from axis 3"),
        "{}",
        wide.error()
    );
    // One number without dimensions.
    let number =
        Kit::new([1, 1, 1])
            .node("Squeeze", "x -> a", &[])
            .node("Transpose", "a -> y", &[]);
    assert_eq!(number.run(&[3.0]), [3.0]);
}

#[test]
fn an_image_has_a_known_size() {
    let mut open = Kit::new([1, 1, 1]).node("Relu", "x -> y", &[]);
    open.graph.input = vec![info("x", &[0, 3, 0, 0])];
    assert!(
        open.import()
            .unwrap_err()
            .help()
            .contains("--image 3x224x224")
    );
    let given = import(open.model(), None, Some([3, 2, 4])).unwrap();
    assert_eq!(given.circuit.image(), [3, 2, 4]);
    let other = import(open.model(), None, Some([1, 2, 4])).unwrap_err();
    assert!(matches!(other, ImportError::Interface { .. }));
    let mut two = Kit::new([1, 1, 1]).node("Add", "x, z -> y", &[]);
    two.graph.input.push(info("z", &[1, 1, 1, 1]));
    assert!(two.error().contains("2 inputs (x, z)"));
}

fn sparse(dims: &[i64], indices: (&[i64], &[i64])) -> Kit {
    let mut kit =
        Kit::new([2, 1, 1])
            .node("Flatten", "x -> f", &[])
            .node("MatMul", "f, w -> y", &[]);
    let indices = Tensor {
        dims: indices.0.to_vec(),
        data_type: 7,
        int64_data: indices.1.to_vec(),
        ..Tensor::default()
    };
    kit.graph.sparse_initializer.push(bytes(&SparseTensor {
        values: Some(bytes(&tensor("w", &[2], &[5.0, 7.0]))),
        indices: Some(bytes(&indices)),
        dims: dims.to_vec(),
    }));
    kit
}

#[test]
fn sparse_weights_have_indices_inside_their_shape() {
    // [[0, 5], [7, 0]], by flat indices and by coordinates.
    assert_eq!(
        sparse(&[2, 2], (&[2], &[1, 2])).run(&[1.0, 10.0]),
        [70.0, 5.0]
    );
    assert_eq!(
        sparse(&[2, 2], (&[2, 2], &[0, 1, 1, 0])).run(&[1.0, 10.0]),
        [70.0, 5.0]
    );
    for (dims, shape, indices) in [
        (&[2, 2][..], &[2][..], &[1, 4][..]),
        (&[2, 2], &[2], &[-1, 2]),
        (&[2, 2], &[2], &[1, 1]),
        (&[2, 2], &[2, 2], &[0, 2, 1, 0]),
        (&[2, 2], &[3], &[0, 1, 2]),
    ] {
        let error = error(sparse(dims, (shape, indices)).model());
        assert!(matches!(error, ImportError::Tensor { .. }), "{error}");
    }
    assert!(matches!(
        error(sparse(&[1 << 30, 1 << 30], (&[2], &[0, 1])).model()),
        ImportError::Limit { .. }
    ));
}

/// A model whose bias is in another file.
pub fn external(location: &str, offset: &str) -> Kit {
    let mut kit = Kit::new([1, 1, 1]).node("Add", "x, c -> y", &[]);
    let entry = |key: &str, value: &str| {
        bytes(&Entry {
            key: key.to_owned(),
            value: value.to_owned(),
        })
    };
    kit.graph.initializer.push(bytes(&Tensor {
        dims: vec![1],
        data_type: 1,
        name: "c".to_owned(),
        data_location: 1,
        external_data: vec![entry("location", location), entry("offset", offset)],
        ..Tensor::default()
    }));
    kit
}

#[test]
fn a_padding_of_one_side_is_bounded() {
    // Below and on the right of one pixel; the first is that of pictures that are filled up to a multiple of 32 pixels.
    let padded = |more: i64| {
        Kit::new([3, 1, 1])
            .ints("pads", &[0, 0, 0, 0, 0, 0, more, more])
            .node("Pad", "x, pads -> p", &[])
            .node("Flatten", "p -> y", &[])
    };
    assert_eq!(padded(31).run(&[1.0, 2.0, 3.0]).len(), 3 * 32 * 32);
    let error = padded(512).import().unwrap_err();
    assert!(matches!(error, ImportError::Circuit { .. }), "{error}");
}

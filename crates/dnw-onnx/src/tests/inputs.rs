//! What a model reads: images with their channels first or last, signals, vectors.

use dnw_circuit::interpret;

use super::kit::{Kit, With, bytes, close, info, noise};
use crate::proto::{Node, TensorType, Type, ValueInfo};
use crate::{ImportError, Imported, import};

/// A model whose input has these dimensions without the batch; zeros are left open.
fn with_input(dims: &[i64]) -> Kit {
    let mut kit = Kit::new([1, 1, 1]);
    kit.graph.input = vec![info("x", &[&[0], dims].concat())];
    kit
}

fn for_images(kit: &Kit, image: [usize; 3]) -> Result<Imported, ImportError> {
    import(kit.model(), None, Some(image))
}

/// Two targets of four numbers.
const WEIGHTS: [f32; 8] = [1.0, 0.0, 0.0, -2.0, 0.0, 3.0, 0.0, 0.5];

fn of_vectors(dims: &[i64]) -> Kit {
    let kit = with_input(dims).floats("w", &[2, 4], &WEIGHTS);
    kit.node("Gemm", "x, w -> y", &[("transB", With::Int(1))])
}

#[test]
fn vectors_are_images_of_one_pixel_or_of_the_given_size() {
    let x = [1.0, 2.0, 3.0, 4.0];
    let kit = of_vectors(&[4]);
    assert_eq!(kit.import().unwrap().circuit.image(), [4, 1, 1]);
    close(&kit.run(&x), &[-7.0, 8.0]);
    for kit in [kit, of_vectors(&[0])] {
        let imported = for_images(&kit, [1, 2, 2]).unwrap();
        assert_eq!(imported.circuit.image(), [1, 2, 2]);
        close(&interpret(&imported.circuit, &x).unwrap(), &[-7.0, 8.0]);
    }
    let error = for_images(&of_vectors(&[4]), [1, 2, 3]).unwrap_err();
    assert!(
        error.to_string().contains("another size than 1x2x3"),
        "{error}"
    );
    let error = of_vectors(&[0]).error();
    assert!(
        error.contains("a size that the model leaves open"),
        "{error}"
    );
}

#[test]
fn signals_are_images_of_height_one() {
    // Two channels of five numbers; each output is the sum of a number of the first and the difference of neighbours of the second.
    let kit = |dims: &[i64]| {
        with_input(dims)
            .floats("w", &[1, 2, 2], &[1.0, 0.0, -1.0, 1.0])
            .node("Conv", "x, w -> y", &[("kernel_shape", With::Ints(&[2]))])
    };
    let x = [1.0, 2.0, 3.0, 4.0, 5.0, 0.0, 1.0, 3.0, 6.0, 10.0];
    let imported = kit(&[2, 5]).import().unwrap();
    assert_eq!(imported.circuit.image(), [2, 1, 5]);
    close(
        &interpret(&imported.circuit, &x).unwrap(),
        &[2.0, 4.0, 6.0, 8.0],
    );
    let open = for_images(&kit(&[2, 0]), [2, 1, 5]).unwrap();
    close(
        &interpret(&open.circuit, &x).unwrap(),
        &[2.0, 4.0, 6.0, 8.0],
    );
}

/// As Keras exports a network: what the channels are multiplied with comes before they are moved to the front.
fn as_keras(dims: &[i64], order: &[i64]) -> Kit {
    with_input(dims)
        .floats("s", &[3], &[1.0, 10.0, 100.0])
        .floats("w", &[1, 3, 1, 1], &[1.0, 1.0, 1.0])
        .node("Mul", "x, s -> m", &[])
        .node("Transpose", "m -> t", &[("perm", With::Ints(order))])
        .node("Conv", "t, w -> y", &[])
}

#[test]
fn images_whose_channels_come_last_are_read_channels_first() {
    let x = noise(5, 3 * 2 * 4);
    let expected: Vec<f64> = (0..8)
        .map(|i| f64::from(x[i]) + 10.0 * f64::from(x[8 + i]) + 100.0 * f64::from(x[16 + i]))
        .collect();
    let first = with_input(&[3, 2, 4])
        .floats("s", &[3, 1, 1], &[1.0, 10.0, 100.0])
        .floats("w", &[1, 3, 1, 1], &[1.0, 1.0, 1.0])
        .node("Mul", "x, s -> m", &[])
        .node("Conv", "m, w -> y", &[]);
    let first = first.import().unwrap();
    let closed = as_keras(&[2, 4, 3], &[0, 3, 1, 2]).import();
    let open = for_images(&as_keras(&[0, 0, 3], &[0, 3, 1, 2]), [3, 2, 4]);
    for imported in [closed, open] {
        let imported = imported.unwrap();
        assert!(imported.channels_last);
        assert_eq!(imported.circuit.image(), [3, 2, 4]);
        close(&interpret(&imported.circuit, &x).unwrap(), &expected);
        assert_eq!(
            imported.circuit.steps().len(),
            first.circuit.steps().len(),
            "nothing is moved"
        );
    }
    let wrong = for_images(&as_keras(&[2, 4, 3], &[0, 3, 1, 2]), [3, 4, 2]).unwrap_err();
    assert!(wrong.to_string().contains("another size"), "{wrong}");
}

#[test]
fn pictures_of_one_channel_may_be_reshaped_first() {
    let reshaped = with_input(&[2, 4, 1])
        .ints("to", &[-1, 1, 2, 4])
        .floats("w", &[1, 1, 1, 1], &[2.0])
        .node("Reshape", "x, to -> r", &[])
        .node("Conv", "r, w -> y", &[]);
    let imported = reshaped.import().unwrap();
    assert!(!imported.channels_last, "the order is the same");
    assert_eq!(imported.circuit.image(), [1, 2, 4]);
    close(&reshaped.run(&[1.0; 8]), &[2.0; 8]);
    // Four channels of a signal that is two long.
    let convolved = with_input(&[4, 2, 1])
        .floats("w", &[1, 4, 1, 1], &[1.0; 4])
        .node("Conv", "x, w -> y", &[]);
    assert_eq!(convolved.import().unwrap().circuit.image(), [4, 2, 1]);
}

#[test]
fn a_matrix_may_be_a_picture() {
    let kit = with_input(&[2, 2])
        .ints("to", &[-1, 4])
        .floats("w", &[2, 4], &WEIGHTS)
        .node("Reshape", "x, to -> r", &[])
        .node("Gemm", "r, w -> y", &[("transB", With::Int(1))]);
    let x = [1.0, 2.0, 3.0, 4.0];
    for (image, expected) in [(None, [2, 1, 2]), (Some([1, 2, 2]), [1, 2, 2])] {
        let imported = import(kit.model(), None, image).unwrap();
        assert_eq!(imported.circuit.image(), expected);
        close(&interpret(&imported.circuit, &x).unwrap(), &[-7.0, 8.0]);
    }
    assert!(for_images(&kit, [1, 2, 3]).is_err());
}

#[test]
fn a_last_size_of_three_alone_says_nothing() {
    // The channels are the first size, and stay there: four joints with three coordinates each, over two times.
    let kit = with_input(&[2, 4, 3])
        .floats("w", &[1, 2, 1, 1], &[1.0, -1.0])
        .node("Conv", "x, w -> y", &[]);
    let imported = kit.import().unwrap();
    assert!(!imported.channels_last);
    assert_eq!(imported.circuit.image(), [2, 4, 3]);
    // The same numbers in another order.
    let moved = as_keras(&[3, 4, 3], &[0, 3, 1, 2]).import().unwrap();
    assert!(!moved.channels_last);
    assert_eq!(moved.circuit.image(), [3, 4, 3]);
}

#[test]
fn the_first_output_of_floats_is_taken() {
    // As scikit-learn's classifiers: the class, then what it was chosen by.
    let mut kit = of_vectors(&[4]).node("ArgMax", "y -> label", &[("axis", With::Int(1))]);
    let label = ValueInfo {
        name: "label".to_owned(),
        kind: Some(Type {
            tensor: Some(TensorType {
                element: 7,
                shape: None,
            }),
        }),
    };
    kit.graph.output.insert(0, bytes(&label));
    let imported = kit.import().unwrap();
    assert_eq!(imported.other_outputs, ["label"]);
    close(
        &interpret(&imported.circuit, &[1.0, 2.0, 3.0, 4.0]).unwrap(),
        &[-7.0, 8.0],
    );
    // If there is no other, what cannot be read is named.
    kit.graph.output.truncate(1);
    assert!(kit.error().contains("ArgMax"), "{}", kit.error());
}

#[test]
fn operators_that_only_some_programs_know_are_named_with_what_to_do() {
    let error = |operator: &str, domain: &str| {
        let mut kit = with_input(&[1, 2, 2]);
        let node = Node {
            input: vec!["x".to_owned()],
            output: vec!["y".to_owned()],
            op_type: operator.to_owned(),
            domain: domain.to_owned(),
            ..Node::default()
        };
        kit.graph.node.push(bytes(&node));
        kit.import().unwrap_err().help()
    };
    assert!(error("FusedConv", "com.microsoft").contains("compile the model that it had read"));
    assert!(error("ZipMap", "ai.onnx.ml").contains("zipmap"));
}

#[test]
fn a_fixed_batch_may_be_in_the_shapes_of_feature_maps() {
    // As PyTorch's exporter writes the end of a classifier for an example of four images.
    let of = |shape: &[i64]| {
        let mut kit = Kit::new([1, 1, 1]);
        kit.graph.input = vec![info("x", &[4, 2, 2, 1])];
        kit.ints("shape", shape)
            .floats("w", &[2, 4], &WEIGHTS)
            .node("Reshape", "x, shape -> f", &[])
            .node("Gemm", "f, w -> y", &[("transB", With::Int(1))])
    };
    for shape in [[4, 4], [4, -1], [-1, 4], [0, -1]] {
        close(&of(&shape).run(&[1.0, 2.0, 3.0, 4.0]), &[-7.0, 8.0]);
    }
    let error = of(&[2, 8]).import().unwrap_err();
    assert!(error.to_string().contains("[2, 8]"), "{error}");
    assert!(error.help().contains("open batch"), "{}", error.help());
}

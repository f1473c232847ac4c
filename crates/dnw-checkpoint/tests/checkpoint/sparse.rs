//! Tests of sparse tensors and of element types without a storage class.

use dnw_checkpoint::{Checkpoint, CheckpointError, Reason, Tensor};

use crate::by_hand::{Pickle, archive, floats, legacy, refused_with};

type Storages = Vec<(&'static str, i64, Vec<u8>)>;

fn integers(values: &[i64]) -> Vec<u8> {
    values.iter().flat_map(|x| x.to_le_bytes()).collect()
}

fn strided(pickle: Pickle, kind: &str, key: &str, shape: &[i64], stride: &[i64]) -> Pickle {
    let elements = shape.iter().product();
    pickle
        .global("torch._utils", "_rebuild_tensor_v2")
        .raw(b"(")
        .storage(kind, key, elements)
        .int(0)
        .ints(shape)
        .ints(stride)
        .raw(b"\x89")
        .global("collections", "OrderedDict")
        .raw(b")RtR")
}

/// A matrix `fc.weight` in this layout, of index tensors and a tensor of values, with their shapes.
fn matrix(
    layout: &str,
    indices: &[(&[i64], &[i64])],
    values: (&[f32], &[i64]),
    size: &[i64],
) -> (Pickle, Storages) {
    let row_major = |shape: &[i64]| -> Vec<i64> {
        (0..shape.len())
            .map(|axis| shape[axis + 1..].iter().product())
            .collect()
    };
    let mut storages: Storages = Vec::new();
    let saved = Pickle::dictionary("fc.weight", |pickle| {
        let pickle = pickle
            .global("torch._utils", "_rebuild_sparse_tensor")
            .raw(b"(");
        let pickle = pickle.global("torch.serialization", "_get_layout");
        let mut pickle = pickle.text(layout).raw(b"\x85R(");
        for (&(numbers, shape), key) in indices.iter().zip(["0", "1"]) {
            pickle = strided(pickle, "LongStorage", key, shape, &row_major(shape));
            storages.push((key, numbers.len() as i64, integers(numbers)));
        }
        let (numbers, shape) = values;
        pickle = strided(pickle, "FloatStorage", "2", shape, &row_major(shape));
        storages.push(("2", numbers.len() as i64, floats(numbers)));
        let pickle = pickle.global("torch", "Size").ints(size).raw(b"\x85R");
        match layout {
            "torch.sparse_coo" => pickle.raw(b"\x88ttR"),
            _ => pickle.raw(b"ttR"),
        }
    });
    (saved, storages)
}

fn read((saved, storages): &(Pickle, Storages)) -> Checkpoint {
    let checkpoint = dnw_checkpoint::parse(&archive(saved, storages)).unwrap();
    assert_eq!(
        dnw_checkpoint::parse(&legacy(saved, storages)).unwrap(),
        checkpoint
    );
    checkpoint
}

/// The dense matrix and its mask.
fn dense(file: &(Pickle, Storages)) -> (Vec<f32>, Vec<f32>) {
    let checkpoint = read(file);
    let [weight, mask] = &checkpoint.sections[0].tensors[..] else {
        panic!("{checkpoint:?}");
    };
    assert_eq!(
        (&*weight.name, &*mask.name),
        ("fc.weight", "fc.weight_mask")
    );
    assert_eq!(weight.shape, mask.shape);
    (weight.data.clone(), mask.data.clone())
}

#[test]
fn every_layout_is_read_as_a_dense_matrix_and_a_mask() {
    // 0 5 0 / 0 0 0 / 7 0 0 / 0 2 0, where the 0 below the 7 is present.
    let weight = [0.0, 5.0, 0.0, 0.0, 0.0, 0.0, 7.0, 0.0, 0.0, 0.0, 2.0, 0.0];
    let mut mask = weight.map(|x| f32::from(x != 0.0));
    mask[9] = 1.0;
    let expected = (weight.to_vec(), mask.to_vec());
    let size = &[4, 3][..];
    let coordinates: &[i64] = &[0, 2, 3, 3, 1, 0, 0, 1];
    let values: &[f32] = &[5.0, 7.0, 0.0, 2.0];
    let coo = matrix(
        "torch.sparse_coo",
        &[(coordinates, &[2, 4])],
        (values, &[4]),
        size,
    );
    assert_eq!(dense(&coo), expected);
    let rows: (&[i64], &[i64]) = (&[0, 1, 1, 2, 4], &[5]);
    let csr = matrix(
        "torch.sparse_csr",
        &[rows, (&[1, 0, 0, 1], &[4])],
        (values, &[4]),
        size,
    );
    assert_eq!(dense(&csr), expected);
    let columns: (&[i64], &[i64]) = (&[0, 2, 4, 4], &[4]);
    let by_column = (&[7.0, 0.0, 5.0, 2.0][..], &[4][..]);
    let csc = matrix(
        "torch.sparse_csc",
        &[columns, (&[2, 3, 0, 3], &[4])],
        by_column,
        size,
    );
    assert_eq!(dense(&csc), expected);
}

#[test]
fn blocks_are_filled_row_by_row() {
    // Two blocks of 2 x 1 in a matrix of 4 x 2: rows 0 and 1 of column 1, rows 2 and 3 of column 0.
    let expected = vec![0.0, 1.0, 0.0, 2.0, 3.0, 0.0, 4.0, 0.0];
    let values = (&[1.0, 2.0, 3.0, 4.0][..], &[2, 2, 1][..]);
    let bsr = matrix(
        "torch.sparse_bsr",
        &[(&[0, 1, 2], &[3]), (&[1, 0], &[2])],
        values,
        &[4, 2],
    );
    assert_eq!(dense(&bsr).0, expected);
    let values = (&[3.0, 4.0, 1.0, 2.0][..], &[2, 2, 1][..]);
    let bsc = matrix(
        "torch.sparse_bsc",
        &[(&[0, 1, 2], &[3]), (&[1, 0], &[2])],
        values,
        &[4, 2],
    );
    assert_eq!(dense(&bsc).0, expected);
}

#[test]
fn coordinates_of_kernels_may_be_hybrid_and_repeated() {
    // Two of three outputs, each with all four entries; the last is there twice.
    let values: &[f32] = &[
        1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 10.0, 10.0, 10.0,
    ];
    let file = matrix(
        "torch.sparse_coo",
        &[(&[0, 2, 2], &[1, 3])],
        (values, &[3, 4]),
        &[3, 4],
    );
    let (weight, mask) = dense(&file);
    assert_eq!(
        weight,
        [
            1.0, 2.0, 3.0, 4.0, 0.0, 0.0, 0.0, 0.0, 15.0, 16.0, 17.0, 18.0
        ]
    );
    assert_eq!(
        mask,
        [1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0]
    );
}

#[test]
fn indices_and_sizes_that_do_not_fit_are_refused() {
    #[track_caller]
    fn refused(file: &(Pickle, Storages), words: &str) {
        let error = refused_with(&file.0, &file.1);
        assert!(matches!(error, CheckpointError::Tensor { .. }), "{error:?}");
        assert!(error.to_string().contains(words), "{error}");
    }
    let values = (&[1.0, 2.0][..], &[2][..]);
    let coo = |at: &[i64], size: &[i64]| matrix("torch.sparse_coo", &[(at, &[2, 2])], values, size);
    refused(&coo(&[0, 4, 0, 0], &[4, 3]), "the index 4");
    refused(&coo(&[0, -1, 0, 0], &[4, 3]), "the index -1");
    refused(&coo(&[0, 1, 0, 0], &[4, 3, 2]), "do not belong together");
    refused(&coo(&[0, 1, 0, 0], &[1 << 20, 1 << 20]), "at most");
    let csr = |ends: &[i64], columns: &[i64]| {
        let shape = [ends.len() as i64];
        matrix(
            "torch.sparse_csr",
            &[(ends, &shape), (columns, &[2])],
            values,
            &[2, 3],
        )
    };
    refused(&csr(&[0, 1, 3], &[0, 1]), "the index 3");
    refused(&csr(&[2, 0, 2], &[0, 1]), "fall from 2 to 0");
    refused(&csr(&[0, 1], &[0, 1]), "do not belong together");
    refused(&csr(&[0, 1, 2], &[0, 3]), "the index 3");
}

/// A tensor `fc.bias` of four bytes or two 16-bit elements, of this type.
fn typed(kind: &str, shape: &[i64]) -> (Pickle, Storages) {
    let saved = Pickle::dictionary("fc.bias", |pickle| {
        let pickle = pickle
            .global("torch._utils", "_rebuild_tensor_v3")
            .raw(b"((");
        let pickle = pickle
            .text("storage")
            .global("torch.storage", "UntypedStorage");
        let pickle = pickle.text("0").text("cpu").int(4).raw(b"tQ").int(0);
        let pickle = pickle.ints(shape).ints(&[1]).raw(b"\x89");
        let pickle = pickle.global("collections", "OrderedDict").raw(b")R");
        pickle.global("torch", kind).raw(b"tR")
    });
    (saved, vec![("0", 4, vec![0x38, 0xc4, 0x01, 0x7e])])
}

#[test]
fn types_without_a_storage_class_are_read_or_named() {
    let one = |data: Vec<f32>| Tensor {
        name: "fc.bias".into(),
        shape: vec![data.len()],
        data,
    };
    let float8 = read(&typed("float8_e4m3fn", &[4]));
    let values = vec![1.0, -3.0, 0.001953125, 448.0];
    assert_eq!(float8.sections[0].tensors, [one(values)]);
    let short = read(&typed("uint16", &[2]));
    let values = vec![f32::from(0xc438u16), f32::from(0x7e01u16)];
    assert_eq!(short.sections[0].tensors, [one(values)]);
    for kind in ["uint32", "complex32"] {
        let named = read(&typed(kind, &[1]));
        assert_eq!(named.sections, []);
        assert_eq!(named.skipped[0].reason, Reason::Elements(kind.into()));
    }
    let (saved, storages) = typed("uint16", &[3]);
    assert!(
        refused_with(&saved, &storages)
            .to_string()
            .contains("reaches past its storage")
    );
}

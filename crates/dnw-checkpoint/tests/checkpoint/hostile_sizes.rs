//! Tests of tensors and storages with sizes beyond the file.

use dnw_checkpoint::{CheckpointError, parse};

use crate::by_hand::{
    Entry, Pickle, Tensor, archive, deflated, floats, legacy, legacy_head, refused_file,
    refused_with, zip,
};
use crate::live_memory::most_during;

/// The error for a file with one tensor and the six floats of its storage.
#[track_caller]
fn refused_tensor(tensor: Tensor<'_>) -> CheckpointError {
    let saved = Pickle::dictionary("weight", |pickle| pickle.tensor(&tensor));
    let storage = ("0", tensor.elements, floats(&[0.0; 6]));
    refused_with(&saved, &[storage])
}

#[track_caller]
fn assert_reaches_past(tensor: Tensor<'_>) {
    let error = refused_tensor(tensor);
    assert!(matches!(error, CheckpointError::Tensor { .. }), "{error:?}");
    let words = error.to_string();
    assert!(
        words.starts_with("the tensor `weight` of shape") && words.contains("reaches past"),
        "{words}"
    );
}

const HUGE: i64 = 50_000_000_000;

#[test]
fn a_small_file_that_claims_200_gigabytes_fails_at_once() {
    // With a storage that does not exist.
    let tensor = Tensor {
        elements: HUGE,
        shape: &[HUGE],
        stride: &[1],
        ..Tensor::default()
    };
    let saved = Pickle::dictionary("weight", |pickle| pickle.tensor(&tensor));
    let storages = [("0", HUGE, floats(&[0.0; 200]))];
    let error = refused_file(&archive(&saved, &storages)).to_string();
    assert_eq!(
        error,
        "the tensor `weight` needs 50000000000 elements of float32 in the storage `0`, which has 800 bytes"
    );
    let error = refused_file(&legacy(&saved, &storages)).to_string();
    assert!(
        error.contains("has 50000000000 elements of 4 bytes, the file ends after 800 bytes"),
        "{error}"
    );

    // With one repeated element.
    let repeated = Tensor {
        shape: &[HUGE],
        stride: &[0],
        ..Tensor::default()
    };
    let error = refused_tensor(repeated);
    assert!(matches!(
        error,
        CheckpointError::Limit {
            found: 50_000_000_000,
            ..
        }
    ));
}

#[test]
fn tensors_of_one_storage_are_counted_together() {
    let tensor = Tensor {
        elements: 250_000,
        shape: &[250_000],
        stride: &[1],
        ..Tensor::default()
    };
    let saved = |mentions: usize| {
        let first = Pickle::new()
            .raw(b"}(")
            .text("0")
            .tensor(&tensor)
            .raw(b"q\0");
        (1..mentions)
            .fold(first, |pickle, n| pickle.text(&n.to_string()).raw(b"h\0"))
            .raw(b"u.")
    };
    let storages = [("0", 250_000, floats(&[1.0; 250_000]))];
    let tied = parse(&legacy(&saved(2), &storages)).unwrap();
    assert_eq!(tied.sections[0].tensors[1].data, [1.0; 250_000]);
    let error = refused_with(&saved(1000), &storages);
    assert!(
        error.to_string().contains("250000000 elements of tensors"),
        "{error}"
    );
}

#[test]
fn a_tensor_stays_within_its_storage() {
    let shapes: [(&[i64], &[i64], i64); 9] = [
        (&[7], &[1], 0),
        (&[6], &[1], 1),
        (&[2, 3], &[4, 1], 0),
        (&[2], &[i64::MAX], 0),
        (&[2, 2], &[i64::MAX, i64::MAX], 0),
        (&[i64::MAX, i64::MAX, 4], &[0, 0, 0], 0),
        (&[1 << 32, 1 << 32, 1 << 32], &[1, 1, 1], 0),
        (&[], &[], 6),
        (&[1], &[1], i64::MAX),
    ];
    for (shape, stride, offset) in shapes {
        assert_reaches_past(Tensor {
            shape,
            stride,
            offset,
            ..Tensor::default()
        });
    }
}

#[test]
fn strides_of_dimensions_of_size_one_are_ignored() {
    let tensor = Tensor {
        shape: &[1, 2, 1],
        stride: &[i64::MAX, 3, i64::MAX],
        offset: 1,
        ..Tensor::default()
    };
    let saved = Pickle::dictionary("weight", |pickle| pickle.tensor(&tensor));
    let storages = [("0", 6, floats(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]))];
    for file in [archive(&saved, &storages), legacy(&saved, &storages)] {
        let checkpoint = parse(&file).unwrap();
        assert_eq!(checkpoint.sections[0].tensors[0].data, [1.0, 4.0]);
        assert_eq!(checkpoint.sections[0].tensors[0].shape, [1, 2, 1]);
    }
}

#[test]
fn sizes_are_not_negative() {
    for (shape, stride, offset, elements) in [
        (&[-2, -3][..], &[3, 1][..], 0, 6),
        (&[2, 3], &[-3, 1], 3, 6),
        (&[2, 3], &[3, 1], -1, 6),
        (&[2, 3], &[3, 1], 0, -6),
    ] {
        let error = refused_tensor(Tensor {
            shape,
            stride,
            offset,
            elements,
            ..Tensor::default()
        });
        assert!(matches!(error, CheckpointError::Pickle { .. }), "{error}");
    }
}

#[test]
fn a_tensor_has_one_stride_per_dimension_and_few_dimensions() {
    let error = refused_tensor(Tensor {
        stride: &[1],
        ..Tensor::default()
    });
    assert!(
        error.to_string().contains("2 axes and 1 strides"),
        "{error}"
    );
    let error = refused_tensor(Tensor {
        shape: &[1; 9],
        stride: &[1; 9],
        ..Tensor::default()
    });
    assert!(error.to_string().contains("9 axes of a tensor"), "{error}");
}

#[test]
fn a_storage_must_have_its_claimed_length() {
    for elements in [5, 7, i64::MAX] {
        let tensor = Tensor {
            elements,
            shape: &[5],
            stride: &[1],
            ..Tensor::default()
        };
        let saved = Pickle::dictionary("weight", |pickle| pickle.tensor(&tensor));
        let storages = [("0", 6, floats(&[0.0; 6]))];
        let error = refused_file(&archive(&saved, &storages)).to_string();
        assert!(error.contains("which has 24 bytes"), "{error}");
        let error = refused_file(&legacy(&saved, &storages)).to_string();
        assert!(error.contains("has 6 elements, its tensors say"), "{error}");
    }
}

#[test]
fn a_stream_must_have_each_storage_exactly_once() {
    let saved = Pickle::dictionary("weight", |pickle| pickle.tensor(&Tensor::default()));
    let storage = || ("0", 6, floats(&[0.0; 6]));
    for (storages, expected) in [
        (vec![], "is a storage that the file does not hold"),
        (vec![storage(), storage()], "there are two storages `0`"),
        (
            vec![("1", 6, vec![])],
            "no tensor says what the storage `1` holds",
        ),
        (vec![("0", -6, vec![])], "has -6 elements"),
        (vec![("0", i64::MAX, vec![])], "its tensors say 6"),
    ] {
        let error = refused_file(&legacy(&saved, &storages)).to_string();
        assert!(error.contains(expected), "{error}");
    }
    let file = legacy(&saved, &[storage()]);
    for missing in 1..32 {
        let error = refused_file(&file[..file.len() - missing]).to_string();
        assert!(error.contains("the file ends"), "{error}");
    }
}

#[test]
fn descriptions_of_a_storage_must_agree() {
    let halves = Tensor {
        kind: "HalfStorage",
        ..Tensor::default()
    };
    let saved = Pickle::new()
        .raw(b"}(")
        .text("a")
        .tensor(&Tensor::default())
        .text("b")
        .tensor(&halves)
        .raw(b"u.");
    let error = refused_file(&legacy(&saved, &[("0", 6, floats(&[0.0; 6]))])).to_string();
    assert!(
        error.contains("the storage `0` has two sizes or types"),
        "{error}"
    );
}

#[test]
fn a_stream_must_have_the_known_version_and_byte_order() {
    let saved = Pickle::dictionary("weight", |pickle| pickle.tensor(&Tensor::default()));
    let file = legacy(&saved, &[("0", 6, floats(&[0.0; 6]))]);
    assert!(parse(&file).is_ok());
    // The head ends with the boolean of `little_endian`, SETITEM and STOP.
    let mut big = file.clone();
    big[legacy_head().len() - 3] = 0x89;
    let error = refused_file(&big).to_string();
    assert!(error.contains("little-endian"), "{error}");
    // The magic number has 15 bytes; LONG1 and its length are at offset four.
    let mut later = file.clone();
    later[15 + 4] += 1;
    let error = refused_file(&later).to_string();
    assert!(error.contains("version is not 1001"), "{error}");
    let mut other = file;
    other[5] ^= 1;
    let error = refused_file(&other).to_string();
    assert!(error.contains("magic number is missing"), "{error}");
}

#[test]
fn the_inflated_size_is_limited() {
    let size = 64 << 20;
    let tensor = Tensor {
        elements: size / 4,
        shape: &[size / 4],
        stride: &[1],
        ..Tensor::default()
    };
    let saved = Pickle::dictionary("weight", |pickle| pickle.tensor(&tensor));
    let (bytes, crc) = deflated(&vec![0; size as usize]);
    let bomb = |claimed: u32| {
        zip(&[
            Entry::stored("file/data.pkl", &saved.0),
            Entry {
                packed: bytes.clone(),
                method: 8,
                crc,
                size: claimed,
                ..Entry::stored("file/data/0", &[])
            },
        ])
    };
    let honest = bomb(size as u32);
    let (result, most) = most_during(|| parse(&honest));
    assert!(matches!(
        result,
        Err(CheckpointError::Limit {
            found: 67_108_864,
            ..
        })
    ));
    assert!(most < 1 << 20, "{most}");
    let lying = bomb(1000);
    let (result, most) = most_during(|| parse(&lying));
    assert!(
        matches!(result, Err(CheckpointError::Archive(_))),
        "{result:?}"
    );
    assert!(most < 1 << 20, "{most}");
}

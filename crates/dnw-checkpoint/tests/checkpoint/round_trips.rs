//! Tests that random checkpoints round-trip.

use dnw_checkpoint::{Checkpoint, CheckpointError, Section, Tensor, parse, write_safetensors};
use proptest::prelude::*;

use crate::by_hand::{self, Pickle, archive, legacy};

/// A tensor with a random layout in its own storage.
#[derive(Clone, Debug)]
struct Lying {
    axes: Vec<(i64, i64)>,
    offset: i64,
    /// Extra elements after the last one of the tensor.
    behind: i64,
}

impl Lying {
    fn elements(&self) -> i64 {
        let reach: i64 = self
            .axes
            .iter()
            .map(|(axis, stride)| (axis - 1) * stride)
            .sum();
        self.offset + reach + 1 + self.behind
    }

    /// The position of each element, by iterating over all indices.
    fn positions(&self) -> Vec<i64> {
        self.axes
            .iter()
            .fold(vec![self.offset], |positions, &(axis, stride)| {
                positions
                    .iter()
                    .flat_map(|position| (0..axis).map(move |index| position + index * stride))
                    .collect()
            })
    }
}

fn lying() -> impl Strategy<Value = Lying> {
    let axes = prop::collection::vec((1i64..5, 0i64..7), 0..5);
    (axes, 0i64..5, 0i64..5).prop_map(|(axes, offset, behind)| Lying {
        axes,
        offset,
        behind,
    })
}

/// Sections of a saved dictionary: paths of no or one key, tensors in each.
fn saved() -> impl Strategy<Value = Vec<(String, Vec<(String, Lying)>)>> {
    let names = prop::collection::btree_map("[a-z0-9_.é]{1,12}", lying(), 1..6);
    let section = names.prop_map(|tensors| tensors.into_iter().collect::<Vec<_>>());
    prop::collection::btree_map("[A-Z_]{1,10}", section, 1..4)
        .prop_map(|sections| sections.into_iter().collect())
}

proptest! {
    #[test]
    fn random_tensors_in_random_layouts_are_read_from_both_formats(saved in saved()) {
        let mut storages = Vec::new();
        let mut pickle = Pickle::new().raw(b"}(");
        let mut expected = Vec::new();
        for (path, tensors) in &saved {
            pickle = pickle.text(path).raw(b"}(");
            let mut section = Section { path: path.clone(), tensors: Vec::new() };
            for (name, tensor) in tensors {
                let key = storages.len().to_string();
                let elements = tensor.elements();
                let values: Vec<f32> = (0..elements)
                    .map(|n| (n * 31 + storages.len() as i64 * 7) as f32 / 16.0)
                    .collect();
                let (shape, stride): (Vec<_>, Vec<_>) = tensor.axes.iter().copied().unzip();
                pickle = pickle.text(name).tensor(&by_hand::Tensor {
                    key: &key,
                    elements,
                    offset: tensor.offset,
                    shape: &shape,
                    stride: &stride,
                    ..by_hand::Tensor::default()
                });
                section.tensors.push(Tensor {
                    name: name.clone(),
                    shape: shape.iter().map(|&axis| axis as usize).collect(),
                    data: tensor.positions().iter().map(|&at| values[at as usize]).collect(),
                });
                storages.push((key, elements, by_hand::floats(&values)));
            }
            pickle = pickle.raw(b"u");
            expected.push(section);
        }
        let pickle = pickle.raw(b"u.");
        let storages: Vec<_> = storages
            .iter()
            .map(|(key, elements, bytes)| (key.as_str(), *elements, bytes.clone()))
            .collect();
        let expected = Checkpoint { sections: expected, skipped: Vec::new() };
        prop_assert_eq!(&parse(&archive(&pickle, &storages)).unwrap(), &expected);
        prop_assert_eq!(&parse(&legacy(&pickle, &storages)).unwrap(), &expected);
    }

    #[test]
    fn safetensors_files_round_trip(
        named in prop::collection::btree_map(
            "[a-z0-9_.é]{1,12}",
            prop::collection::vec(0usize..4, 0..4),
            1..8,
        ),
    ) {
        let tensors: Vec<_> = named
            .into_iter()
            .map(|(name, shape)| Tensor {
                data: (0..shape.iter().product()).map(|n| n as f32 - 0.5).collect(),
                name,
                shape,
            })
            .collect();
        let bytes = write_safetensors(&tensors, &[]).unwrap();
        let mut state = parse(&bytes).unwrap().model_state().unwrap();
        state.tensors.sort_by(|a, b| a.name.cmp(&b.name));
        prop_assert_eq!(state.tensors, tensors);
    }
}

fn tensor(name: &str, shape: &[usize], data: &[f32]) -> Tensor {
    Tensor {
        name: name.into(),
        shape: shape.into(),
        data: data.into(),
    }
}

#[test]
fn a_written_file_follows_the_format() {
    let written = write_safetensors(&[tensor("a", &[2], &[1.0, -2.0])], &[]).unwrap();
    let length = u64::from_le_bytes(*written.first_chunk().unwrap()) as usize;
    let (header, data) = written[8..].split_at(length);
    assert_eq!(
        str::from_utf8(header).unwrap().trim_end(),
        r#"{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#
    );
    assert_eq!(data, [0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0]);
}

#[test]
fn invalid_tensors_and_duplicate_names_are_not_written() {
    let short = write_safetensors(&[tensor("a", &[2], &[1.0])], &[]).unwrap_err();
    assert_eq!(
        short.to_string(),
        "the tensor `a` of shape [2] has 1 elements"
    );
    let huge = write_safetensors(&[tensor("a", &[usize::MAX, 2], &[1.0])], &[]);
    assert!(matches!(huge, Err(CheckpointError::Tensor { .. })));
    let twice = [tensor("a", &[], &[1.0]), tensor("a", &[], &[2.0])];
    assert!(matches!(
        write_safetensors(&twice, &[]),
        Err(CheckpointError::Duplicate { .. })
    ));
}

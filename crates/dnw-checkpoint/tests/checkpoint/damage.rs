//! Tests that damaged files are read or rejected within memory limits and never cause a panic.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use dnw_checkpoint::{Checkpoint, CheckpointError, parse, write_safetensors};
use proptest::prelude::*;

use crate::by_hand::{Entry, Pickle, Tensor, floats, legacy_head, zip};
use crate::live_memory::most_during;

/// Valid files: real ones in both formats, and one safetensors file.
static SOUND: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/checkpoint/samples");
    let mut files: Vec<_> = ["training", "elements"]
        .iter()
        .flat_map(|name| [format!("{name}.zip.pt"), format!("{name}.legacy.pt")])
        .map(|name| fs::read(folder.join(name)).unwrap())
        .collect();
    let state = parse(&files[0]).unwrap().model_state().unwrap();
    files.push(write_safetensors(&state.tensors, &[]).unwrap());
    files
});

/// Reads a file that may be damaged. A tensor can repeat up to a million elements of four bytes; everything
/// else is proportional to the file.
fn read_within_bounds(file: &[u8]) -> Result<Checkpoint, CheckpointError> {
    let (result, most) = most_during(|| parse(file));
    let bound = (6 << 20) + 128 * file.len();
    assert!(most <= bound, "{most} bytes for a file of {}", file.len());
    if let Ok(checkpoint) = &result {
        for tensor in checkpoint.sections.iter().flat_map(|s| &s.tensors) {
            assert_eq!(tensor.shape.iter().product::<usize>(), tensor.data.len());
        }
    }
    result
}

/// A pickle in an archive with a valid checksum.
fn archived(pickle: &[u8]) -> Vec<u8> {
    zip(&[
        Entry::stored("file/data.pkl", pickle),
        Entry::stored("file/data/0", &floats(&[1.0; 6])),
    ])
}

/// Fragments of pickles, allowed and not, to be concatenated.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let tensor = Pickle::default().tensor(&Tensor::default()).0;
    prop_oneof![
        8 => prop::sample::select(&b"N()}]at1023esu.RbQ\x85\x86\x87\x88\x89\x93\x94"[..])
            .prop_map(|opcode| vec![opcode]),
        2 => any::<u8>().prop_map(|opcode| vec![opcode]),
        4 => (prop::sample::select(&b"qhK"[..]), 0u8..6).prop_map(|(opcode, index)| vec![opcode, index]),
        2 => any::<i64>().prop_map(|number| Pickle::default().int(number).0),
        2 => "[a-z]{0,4}".prop_map(|text| Pickle::default().text(&text).0),
        2 => Just(b"ccollections\nOrderedDict\n)R".to_vec()),
        1 => Just(b"ctorch\nSize\n".to_vec()),
        1 => Just(b"ctorch._utils\n_rebuild_tensor_v2\n".to_vec()),
        2 => Just(Pickle::default().storage("FloatStorage", "0", 6).0),
        3 => Just(tensor),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn flipped_bytes_do_not_panic(
        which in 0..5usize,
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut file = SOUND[which].clone();
        for (place, byte) in flips {
            *place.get_mut(&mut file) = byte;
        }
        let _ = read_within_bounds(&file);
    }

    #[test]
    fn flipped_bytes_of_a_pickle_with_a_valid_checksum_do_not_panic(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut pickle = Pickle::dictionary("weight", |pickle| pickle.tensor(&Tensor::default())).0;
        for (place, byte) in flips {
            *place.get_mut(&mut pickle) = byte;
        }
        let _ = read_within_bounds(&archived(&pickle));
    }

    #[test]
    fn random_instructions_do_not_panic(pieces in prop::collection::vec(piece(), 0..40)) {
        let pickle = [b"\x80\x02}X\x01\0\0\0x".to_vec(), pieces.concat(), b"s.".to_vec()].concat();
        let _ = read_within_bounds(&archived(&pickle));
        let _ = read_within_bounds(&[legacy_head(), pickle].concat());
    }

    #[test]
    fn random_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), head in 0..4usize) {
        let head = [&b"PK\x03\x04"[..], b"\x80\x02", b"\x40\0\0\0\0\0\0\0{", b""][head];
        prop_assert!(read_within_bounds(&[head, &bytes].concat()).is_err());
    }
}

#[test]
fn truncated_files_are_refused() {
    for file in SOUND.iter() {
        assert!(read_within_bounds(file).is_ok());
        for length in 0..file.len() {
            assert!(
                read_within_bounds(&file[..length]).is_err(),
                "cut to {length} bytes of {}",
                file.len()
            );
        }
    }
}

#[test]
fn a_flipped_bit_in_an_archive_never_changes_a_tensor() {
    let file = &SOUND[0];
    let sound = parse(file).unwrap();
    for place in 0..file.len() {
        let mut flipped = file.clone();
        flipped[place] ^= 1;
        if let Ok(checkpoint) = read_within_bounds(&flipped) {
            assert_eq!(checkpoint, sound, "byte {place}");
        }
    }
}

//! Checkpoints of PyTorch, and safetensors.

use dnw_checkpoint::{Tensor, parse, write_safetensors};

use crate::format::{Format, Outcome, number};

/// What PyTorch wrote, 2.6 in both of its formats: the seeds are files of the corpus.
pub const PT: Format = Format {
    repair: set_checksums,
    ..Format::new("pt", saved_by_pytorch, read, most_memory)
};

pub const SAFETENSORS: Format = Format::new("safetensors", written, read, most_memory);

/// The limits are those of `dnw-checkpoint`'s `limits.rs`: a tensor may repeat what it is stored as, and entries may be deflated.
fn most_memory(bytes: usize) -> usize {
    (32 << 20) + 128 * bytes
}

fn read(bytes: &[u8]) -> Outcome {
    let Ok(checkpoint) = parse(bytes) else {
        return Outcome::Refused;
    };
    checkpoint.model_state().into()
}

fn saved_by_pytorch() -> Vec<Vec<u8>> {
    [
        &include_bytes!("../../corpus/pt/linear-zip.pt")[..],
        include_bytes!("../../corpus/pt/linear-legacy.pt"),
        include_bytes!("../../corpus/pt/training-zip.pt"),
        include_bytes!("../../corpus/pt/training-legacy.pt"),
        include_bytes!("../../corpus/pt/sparse-zip.pt"),
        include_bytes!("../../corpus/pt/types-zip.pt"),
    ]
    .map(<[u8]>::to_vec)
    .to_vec()
}

fn written() -> Vec<Vec<u8>> {
    let names = ["a", "layer.weight", "layer.bias", "layer.mask"];
    let tensor = |(i, name): (usize, &&str)| Tensor {
        name: (*name).to_owned(),
        shape: vec![i, 2],
        data: vec![0.5; 2 * i],
    };
    let tensors: Vec<_> = names.iter().enumerate().map(tensor).collect();
    let notes = [("source", "a test".to_owned())];
    vec![
        write_safetensors(&tensors, &notes).expect("names differ"),
        write_safetensors(&tensors[..1], &[]).expect("names differ"),
    ]
}

/// Writes the checksum of each stored entry of a zip archive where its headers have it.
fn set_checksums(file: &mut [u8]) {
    const LOCAL: &[u8] = b"PK\x03\x04";
    const CENTRAL: &[u8] = b"PK\x01\x02";
    let mut sums = Vec::new();
    for at_entry in 0..file.len() {
        if !file[at_entry..].starts_with(CENTRAL) {
            continue;
        }
        let sum = || {
            let at = |at, bytes| number(file, at, bytes).map(|number| number as usize);
            let (size, offset) = (at(at_entry + 20, 4)?, at(at_entry + 42, 4)?);
            if !file.get(offset..)?.starts_with(LOCAL) {
                return None;
            }
            let start = offset + 30 + at(offset + 26, 2)? + at(offset + 28, 2)?;
            let content = file.get(start..start.checked_add(size)?)?;
            Some((offset, rawzip::crc32(content)))
        };
        if let Some((offset, sum)) = sum() {
            sums.push((at_entry + 16, sum));
            sums.push((offset + 14, sum));
        }
    }
    for (at, sum) in sums {
        if let Some(place) = file.get_mut(at..at + 4) {
            place.copy_from_slice(&sum.to_le_bytes());
        }
    }
}

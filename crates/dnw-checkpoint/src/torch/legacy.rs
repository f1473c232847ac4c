//! The streams of pickles of `torch.save` from PyTorch 0.1.10 to 1.5.
//!
//! A file has five pickles: a magic number, the version of the format, facts about the system, the saved object, the keys of the
//! storages. The storages follow in the order of the keys: the number of elements as a 64-bit integer,
//! then the elements (`torch/serialization.py`, `_legacy_save`).

use std::borrow::Cow;
use std::collections::HashMap;

use super::loaded::Storages;
use super::tensors::collect;
use crate::error::quoted;
use crate::limits;
use crate::pickle::{self, Pickle, Storage, Value};
use crate::{Checkpoint, CheckpointError};

/// 0x1950a86a20f9469cfc6c, little-endian.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
const VERSION: i64 = 1001;

/// Reads a file in this format.
pub fn read(bytes: &[u8]) -> Result<Checkpoint, CheckpointError> {
    let magic = pickle::parse(bytes, 0)?;
    if !matches!(magic.root(), Value::Long(number) if *number == MAGIC) {
        return Err(CheckpointError::Unsupported(
            "the file is a pickle, but not one that torch.save has written: PyTorch's magic number is missing",
        ));
    }
    let version = pickle::parse(bytes, magic.end)?;
    if !matches!(version.root(), Value::Int(VERSION)) {
        return Err(wrong(magic.end, "the format's version is not 1001"));
    }
    let system = pickle::parse(bytes, version.end)?;
    if !is_little_endian(&system) {
        return Err(CheckpointError::Unsupported(
            "the file was not written on a little-endian machine, and no other byte order is read",
        ));
    }
    let saved = pickle::parse(bytes, system.end)?;
    if !matches!(saved.root(), Value::Dict(_)) {
        // Said before the storages are looked at: those of an object need not be understood.
        return Err(CheckpointError::NoDictionary {
            found: saved.root().kind(),
        });
    }
    let length = (saved.end - system.end) as u64;
    limits::check("bytes of the pickle", length, limits::PICKLE_BYTES)?;
    let keys = pickle::parse(bytes, saved.end)?;
    let mut storages = slice(bytes, &keys, &claims(&saved)?)?;
    collect(&saved, &mut storages)
}

fn wrong(at: usize, what: impl Into<String>) -> CheckpointError {
    CheckpointError::Legacy {
        what: what.into(),
        at,
    }
}

fn is_little_endian(system: &Pickle<'_>) -> bool {
    let Value::Dict(facts) = system.root() else {
        return false;
    };
    facts.iter().any(|&(key, value)| {
        matches!(system.value(key), Value::Text("little_endian"))
            && matches!(system.value(value), Value::Bool(true))
    })
}

/// The saved object's description of each storage.
fn claims<'a>(saved: &Pickle<'a>) -> Result<HashMap<&'a str, Storage<'a>>, CheckpointError> {
    let mut claims = HashMap::new();
    for value in &saved.values {
        let Value::Storage(storage) = value else {
            continue;
        };
        let first = *claims.entry(storage.key).or_insert(*storage);
        if first != *storage {
            let key = quoted(storage.key);
            return Err(wrong(
                saved.end,
                format!("the storage `{key}` has two sizes or types"),
            ));
        }
    }
    Ok(claims)
}

/// The bytes of each storage, by key.
struct Slices<'a>(HashMap<&'a str, &'a [u8]>);

impl<'a> Storages<'a> for Slices<'a> {
    fn bytes(&mut self, key: &str) -> Result<Cow<'a, [u8]>, CheckpointError> {
        match self.0.get(key) {
            Some(bytes) => Ok(Cow::Borrowed(bytes)),
            None => Err(CheckpointError::Tensor {
                name: quoted(key),
                what: "is a storage that the file does not hold".into(),
            }),
        }
    }
}

fn slice<'a>(
    bytes: &'a [u8],
    keys: &Pickle<'a>,
    claims: &HashMap<&str, Storage<'_>>,
) -> Result<Slices<'a>, CheckpointError> {
    let Value::List(list) = keys.root() else {
        return Err(wrong(keys.end, "the keys of the storages are no list"));
    };
    let mut slices = HashMap::new();
    let mut position = keys.end;
    for &id in list {
        let &Value::Text(key) = keys.value(id) else {
            return Err(wrong(keys.end, "the key of a storage is no text"));
        };
        let shown = quoted(key);
        let Some(claim) = claims.get(key) else {
            return Err(wrong(
                position,
                format!("no tensor says what the storage `{shown}` holds"),
            ));
        };
        let Some((count, rest)) = bytes[position..].split_first_chunk::<8>() else {
            return Err(wrong(
                position,
                format!("the file ends before the storage `{shown}`"),
            ));
        };
        let count = i64::from_le_bytes(*count);
        if u64::try_from(count) != Ok(claim.elements) {
            return Err(wrong(
                position,
                format!(
                    "the storage `{shown}` has {count} elements, its tensors say {}",
                    claim.elements
                ),
            ));
        }
        let size = claim.elements.checked_mul(claim.element.size() as u64);
        let storage = size
            .and_then(|size| usize::try_from(size).ok())
            .and_then(|size| rest.get(..size));
        let Some(storage) = storage else {
            return Err(wrong(
                position,
                format!(
                    "the storage `{shown}` has {count} elements of {} bytes, the file ends after {} bytes of them",
                    claim.element.size(),
                    rest.len()
                ),
            ));
        };
        if slices.insert(key, storage).is_some() {
            return Err(wrong(position, format!("there are two storages `{shown}`")));
        }
        position += 8 + storage.len();
    }
    Ok(Slices(slices))
}

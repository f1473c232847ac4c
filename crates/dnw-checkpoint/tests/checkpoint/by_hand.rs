//! Checkpoints written byte by byte, valid or not.

use std::io::Read;

use dnw_checkpoint::CheckpointError;
use flate2::Compression;
use flate2::read::DeflateEncoder;

use crate::live_memory;

/// Builds a pickle.
#[derive(Clone, Default)]
pub struct Pickle(pub Vec<u8>);

impl Pickle {
    pub fn new() -> Self {
        Self(vec![0x80, 2])
    }

    pub fn raw(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.0.extend_from_slice(bytes.as_ref());
        self
    }

    pub fn global(self, module: &str, name: &str) -> Self {
        self.raw(format!("c{module}\n{name}\n"))
    }

    pub fn text(self, text: &str) -> Self {
        self.raw(b"X")
            .raw((text.len() as u32).to_le_bytes())
            .raw(text)
    }

    /// An integer as LONG1 of eight bytes.
    pub fn int(self, number: i64) -> Self {
        self.raw([0x8a, 8]).raw(number.to_le_bytes())
    }

    pub fn ints(self, numbers: &[i64]) -> Self {
        let marked = self.raw(b"(");
        numbers
            .iter()
            .fold(marked, |pickle, &number| pickle.int(number))
            .raw(b"t")
    }

    pub fn storage(self, kind: &str, key: &str, elements: i64) -> Self {
        self.raw(b"(")
            .text("storage")
            .global("torch", kind)
            .text(key)
            .text("cpu")
            .int(elements)
            .raw(b"tQ")
    }

    pub fn tensor(self, tensor: &Tensor<'_>) -> Self {
        self.global("torch._utils", "_rebuild_tensor_v2")
            .raw(b"(")
            .storage(tensor.kind, tensor.key, tensor.elements)
            .int(tensor.offset)
            .ints(tensor.shape)
            .ints(tensor.stride)
            .raw(b"\x89")
            .global("collections", "OrderedDict")
            .raw(b")RtR")
    }

    /// A whole pickle of a dictionary with one entry, `value`.
    pub fn dictionary(key: &str, value: impl FnOnce(Self) -> Self) -> Self {
        value(Self::new().raw(b"}").text(key)).raw(b"s.")
    }
}

/// A pickle's description of a tensor.
#[derive(Clone, Debug)]
pub struct Tensor<'t> {
    pub kind: &'t str,
    pub key: &'t str,
    pub elements: i64,
    pub offset: i64,
    pub shape: &'t [i64],
    pub stride: &'t [i64],
}

impl Default for Tensor<'_> {
    /// Six 32-bit floats as two rows of three, in the storage `0`.
    fn default() -> Self {
        Self {
            kind: "FloatStorage",
            key: "0",
            elements: 6,
            offset: 0,
            shape: &[2, 3],
            stride: &[3, 1],
        }
    }
}

/// The bytes of 32-bit floats.
pub fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|x| x.to_le_bytes()).collect()
}

/// The beginning of a stream of pickles.
pub fn legacy_head() -> Vec<u8> {
    let magic = Pickle::new()
        .raw(b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.")
        .0;
    let version = Pickle::new().int(1001).raw(b".").0;
    let system = Pickle::dictionary("little_endian", |pickle| pickle.raw(b"\x88")).0;
    [magic, version, system].concat()
}

/// A file from before PyTorch 1.6: keys, numbers of elements and bytes of the storages.
pub fn legacy(saved: &Pickle, storages: &[(&str, i64, Vec<u8>)]) -> Vec<u8> {
    let keys = Pickle::new().raw(b"](");
    let keys = storages
        .iter()
        .fold(keys, |pickle, (key, ..)| pickle.text(key))
        .raw(b"e.");
    let mut file = [legacy_head(), saved.0.clone(), keys.0].concat();
    for (_, elements, bytes) in storages {
        file.extend_from_slice(&elements.to_le_bytes());
        file.extend_from_slice(bytes);
    }
    file
}

/// An entry of a zip archive.
pub struct Entry {
    pub name: String,
    pub packed: Vec<u8>,
    /// 0 stored, 8 deflated.
    pub method: u16,
    pub flags: u16,
    pub crc: u32,
    /// The uncompressed size in the header.
    pub size: u32,
}

impl Entry {
    pub fn stored(name: &str, bytes: &[u8]) -> Self {
        Self {
            name: name.into(),
            packed: bytes.into(),
            method: 0,
            flags: 0,
            crc: rawzip::crc32(bytes),
            size: bytes.len() as u32,
        }
    }

    fn header(&self) -> Vec<u8> {
        let sizes = [self.crc, self.packed.len() as u32, self.size];
        [
            [20u16, self.flags, self.method, 0, 0x21]
                .map(u16::to_le_bytes)
                .concat(),
            sizes.map(u32::to_le_bytes).concat(),
            [self.name.len() as u16, 0].map(u16::to_le_bytes).concat(),
        ]
        .concat()
    }
}

/// Deflates bytes; returns them and their checksum.
pub fn deflated(bytes: &[u8]) -> (Vec<u8>, u32) {
    let mut packed = Vec::new();
    DeflateEncoder::new(bytes, Compression::best())
        .read_to_end(&mut packed)
        .unwrap();
    (packed, rawzip::crc32(bytes))
}

/// A zip archive (APPNOTE.TXT, sections 4.3.7, 4.3.12 and 4.3.16).
pub fn zip(entries: &[Entry]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut directory = Vec::new();
    for entry in entries {
        let offset = file.len() as u32;
        file.extend_from_slice(b"PK\x03\x04");
        file.extend_from_slice(&entry.header());
        file.extend_from_slice(entry.name.as_bytes());
        file.extend_from_slice(&entry.packed);
        directory.extend_from_slice(b"PK\x01\x02\x14\0");
        directory.extend_from_slice(&entry.header());
        directory.extend_from_slice(&[0; 10]);
        directory.extend_from_slice(&offset.to_le_bytes());
        directory.extend_from_slice(entry.name.as_bytes());
    }
    let start = file.len() as u32;
    let count = entries.len() as u16;
    file.extend_from_slice(&directory);
    file.extend_from_slice(b"PK\x05\x06\0\0\0\0");
    file.extend_from_slice(&[count, count].map(u16::to_le_bytes).concat());
    file.extend_from_slice(&(directory.len() as u32).to_le_bytes());
    file.extend_from_slice(&start.to_le_bytes());
    file.extend_from_slice(&[0, 0]);
    file
}

/// A file of PyTorch 1.6 and later: keys and bytes of the storages.
pub fn archive(saved: &Pickle, storages: &[(&str, i64, Vec<u8>)]) -> Vec<u8> {
    let mut entries = vec![Entry::stored("file/data.pkl", &saved.0)];
    for (key, _, bytes) in storages {
        entries.push(Entry::stored(&format!("file/data/{key}"), bytes));
    }
    zip(&entries)
}

/// The error for a file with the saved object `saved` and no storage, the same in both formats. Checks that little memory is used.
pub fn refused(saved: &Pickle) -> CheckpointError {
    refused_with(saved, &[])
}

/// The error for a file with the saved object `saved` and storages, the same in both formats.
pub fn refused_with(saved: &Pickle, storages: &[(&str, i64, Vec<u8>)]) -> CheckpointError {
    let error = refused_file(&archive(saved, storages));
    let before = refused_file(&legacy(saved, storages));
    assert_eq!(
        std::mem::discriminant(&error),
        std::mem::discriminant(&before),
        "{error} / {before}"
    );
    error
}

/// The error for a file. Checks that the memory used is proportional to the file, not to the sizes in it.
pub fn refused_file(file: &[u8]) -> CheckpointError {
    let (result, most) = live_memory::most_during(|| dnw_checkpoint::parse(file));
    let error = match result {
        Ok(checkpoint) => panic!("the file was read: {checkpoint:?}"),
        Err(error) => error,
    };
    let bound = (64 << 10) + 100 * file.len();
    assert!(
        most <= bound,
        "{most} bytes were held for a file of {} bytes: {error}",
        file.len()
    );
    error
}

//! Data sets.

use std::fs;
use std::io::{Read, Write};

use dnw_data::idx::{self, Idx};
use flate2::Compression;
use flate2::read::{GzDecoder, GzEncoder};

use crate::format::{Format, Outcome, in_folder};

/// Images and labels, as they are and as gzip streams.
pub const IDX: Format = Format {
    repair: set_gzip_checksum,
    ..Format::new("idx", idx_files, read_idx, |bytes| {
        (1 << 20) + 2 * 1040 * bytes
    })
};

/// CIFAR-100's binary files, whose number of images is free.
pub const CIFAR_BINARY: Format = Format::new("cifar-binary", binary_files, read_binary, |bytes| {
    (1 << 20) + 4 * bytes
});

/// Pickles of the files for Python.
pub const CIFAR_PYTHON: Format = Format::new("cifar-python", pickles, read_python, |bytes| {
    (32 << 20) + 128 * bytes
});

/// The archive that is downloaded.
pub const CIFAR_ARCHIVE: Format = Format {
    repair: set_gzip_checksum,
    ..Format::new("cifar-archive", archives, read_archive, |bytes| {
        (32 << 20) + 4 * 1040 * bytes
    })
};

const RECORD: usize = 2 + 3072;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    let mut encoder = GzEncoder::new(bytes, Compression::fast());
    encoder.read_to_end(&mut packed).expect("memory");
    packed
}

/// Writes the checksum and length at the end of a gzip stream.
fn set_gzip_checksum(file: &mut [u8]) {
    if !file.starts_with(&[0x1f, 0x8b]) {
        return;
    }
    let mut unpacked = Vec::new();
    // The checksum is verified after everything was unpacked.
    let _ = GzDecoder::new(&file[..])
        .take(1 << 24)
        .read_to_end(&mut unpacked);
    if let Some(sum) = file.len().checked_sub(8) {
        file[sum..sum + 4].copy_from_slice(&rawzip::crc32(&unpacked).to_le_bytes());
        file[sum + 4..].copy_from_slice(&(unpacked.len() as u32).to_le_bytes());
    }
}

fn idx_files() -> Vec<Vec<u8>> {
    let file = |dims: &[usize]| {
        let idx = Idx {
            dims: dims.to_vec(),
            data: Vec::new(),
        };
        let mut file = idx.header();
        file.extend((0..dims.iter().product()).map(|i: usize| (i % 10) as u8));
        file
    };
    let plain = [file(&[3, 4, 5]), file(&[12]), file(&[2, 28, 28])];
    let packed = plain.each_ref().map(|file| gzip(file));
    plain.into_iter().chain(packed).collect()
}

fn read_idx(bytes: &[u8]) -> Outcome {
    let read = |bytes: &[u8], dimensions| idx::decode(bytes, bytes.len() as u64, dimensions);
    let packed;
    let other = match bytes.starts_with(&[0x1f, 0x8b]) {
        true => bytes,
        false => {
            packed = gzip(bytes);
            &packed
        }
    };
    let _ = read(other, 3);
    read(bytes, 1).or_else(|_| read(bytes, 3)).into()
}

fn binary_files() -> Vec<Vec<u8>> {
    let file = |images: usize| (0..images * RECORD).map(|i| (i % 20) as u8).collect();
    vec![file(1), file(3)]
}

/// Reads CIFAR-100 whose training part is this file.
fn read_binary(bytes: &[u8]) -> Outcome {
    in_folder(|folder| {
        let inside = folder.join("cifar-100-binary");
        if !inside.is_dir() {
            fs::create_dir(&inside).expect("a folder");
            fs::write(inside.join("test.bin"), &binary_files()[0]).expect("a file");
        }
        fs::write(inside.join("train.bin"), bytes).expect("a file");
        dnw_data::cifar100::open(Some(folder)).into()
    })
}

/// Three images as CIFAR-100's authors pickled theirs, with Python 3 in protocols 2 and 4; and what Python 2 wrote.
fn pickles() -> Vec<Vec<u8>> {
    [
        &include_bytes!("../../corpus/cifar-python/protocol-2")[..],
        include_bytes!("../../corpus/cifar-python/protocol-4"),
        include_bytes!("../../corpus/cifar-python/meta"),
    ]
    .map(<[u8]>::to_vec)
    .to_vec()
}

fn read_python(bytes: &[u8]) -> Outcome {
    in_folder(|folder| {
        // Beside it lie the folders of other formats, of which the binary one would be preferred.
        let inside = folder.join("python").join("cifar-100-python");
        if !inside.is_dir() {
            fs::create_dir_all(&inside).expect("a folder");
            fs::write(inside.join("test"), &pickles()[0]).expect("a file");
        }
        let open = |train: &[u8], meta: &[u8]| {
            fs::write(inside.join("train"), train).expect("a file");
            fs::write(inside.join("meta"), meta).expect("a file");
            dnw_data::cifar100::open(Some(&folder.join("python")))
        };
        // As images, or as the list of the classes' names.
        let [images, _, names] = &pickles()[..] else {
            unreachable!("three files");
        };
        open(bytes, names).or_else(|_| open(images, bytes)).into()
    })
}

fn archives() -> Vec<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, file) in [
        ("train.bin", binary_files().remove(1)),
        ("test.bin", binary_files().remove(0)),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_size(file.len() as u64);
        header.set_mode(0o644);
        let path = format!("cifar-100-binary/{name}");
        archive
            .append_data(&mut header, path, &file[..])
            .expect("memory");
    }
    let archive = archive.into_inner().expect("memory");
    vec![gzip(&archive), archive]
}

/// An archive that is no gzip stream is compressed first, so that changes reach its entries.
fn read_archive(bytes: &[u8]) -> Outcome {
    in_folder(|folder| {
        let inside = folder.join("archive");
        fs::create_dir_all(&inside).expect("a folder");
        let mut file = fs::File::create(inside.join("cifar-100-binary.tar.gz")).expect("a file");
        let written = match bytes.starts_with(&[0x1f, 0x8b]) {
            true => file.write_all(bytes),
            false => file.write_all(&gzip(bytes)),
        };
        written.expect("a file");
        dnw_data::cifar100::open(Some(&inside)).into()
    })
}

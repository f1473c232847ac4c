//! A reader of the IDX format of MNIST, safe for untrusted files.
//!
//! An IDX file is `00 00`, a byte for the element type, a byte for the number of dimensions, the
//! dimensions as big-endian 32-bit numbers, then the elements. The header is not trusted: its size is
//! limited and compared with the file's length first, and memory is allocated as bytes arrive, up to that
//! size. Gzip is detected by its first bytes, independent of the file's name; reading stops if a gzip stream
//! unpacks to more than its header states.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use crate::DataError;

mod error;

pub use error::{IdxError, MAX_BYTES};

/// The first allocation for elements; later ones double the size.
const FIRST_PIECE: usize = 64 * 1024;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const UNSIGNED_BYTE: u8 = 0x08;

/// An IDX file of unsigned bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idx {
    /// The size of each dimension, outermost first; for images: count, height, width.
    pub dims: Vec<usize>,
    /// The elements, row-major.
    pub data: Vec<u8>,
}

impl Idx {
    /// The header of a file with these dimensions.
    pub fn header(&self) -> Vec<u8> {
        let mut header = vec![0, 0, UNSIGNED_BYTE, self.dims.len() as u8];
        for &dim in &self.dims {
            header.extend((dim as u32).to_be_bytes());
        }
        header
    }
}

/// Reads a file of images, gzip or not. The result has the dimensions count, height, width.
///
/// # Errors
/// [`DataError::Idx`] naming the file and the [`IdxError`], [`DataError::Io`] if it cannot be opened.
pub fn read_images(path: &Path) -> Result<Idx, DataError> {
    read(path, 3)
}

/// Reads a file of labels less than `classes`, optionally gzipped. The result has one dimension, the count.
///
/// # Errors
/// [`DataError::Idx`] naming the file and the [`IdxError`], [`DataError::Io`] if it cannot be opened.
pub fn read_labels(path: &Path, classes: usize) -> Result<Idx, DataError> {
    let labels = read(path, 1)?;
    let out_of_range = |&label: &u8| usize::from(label) >= classes;
    match labels.data.iter().position(out_of_range) {
        None => Ok(labels),
        Some(index) => Err(DataError::Idx {
            path: path.to_owned(),
            problem: IdxError::Label {
                index,
                label: labels.data[index],
                classes,
            },
        }),
    }
}

/// Reads a file with `dimensions` dimensions, optionally gzipped.
pub(crate) fn read(path: &Path, dimensions: u8) -> Result<Idx, DataError> {
    let (file, length) = open(path)?;
    decode(file, length, dimensions).map_err(|problem| idx_error(path, problem))
}

/// Reads only the header; returns the number of images or labels in it.
pub(crate) fn read_count(path: &Path, dimensions: u8) -> Result<usize, DataError> {
    let (file, _) = open(path)?;
    let mut file = BufReader::new(file);
    let dims = if is_gzip(&mut file).map_err(|error| idx_error(path, error))? {
        read_header(&mut MultiGzDecoder::new(file), dimensions)
    } else {
        read_header(&mut file, dimensions)
    };
    let dims = dims.map_err(|error| idx_error(path, error))?;
    Ok(dims[0] as usize)
}

fn open(path: &Path) -> Result<(File, u64), DataError> {
    let io = |cause| DataError::Io {
        action: "open",
        path: path.to_owned(),
        cause,
    };
    let file = File::open(path).map_err(io)?;
    let metadata = file.metadata().map_err(io)?;
    if !metadata.is_file() {
        return Err(io(io::Error::other("it is not a regular file")));
    }
    Ok((file, metadata.len()))
}

fn idx_error(path: &Path, problem: IdxError) -> DataError {
    DataError::Idx {
        path: path.to_owned(),
        problem,
    }
}

/// Reads an IDX stream of `length` bytes with `dimensions` dimensions, optionally gzipped.
///
/// The memory for elements is at most the size in the header, and at most twice the received bytes plus
/// 64 KiB, so that a wrong header cannot cause a large allocation.
///
/// # Errors
/// [`IdxError`] if the file is invalid.
pub fn decode(reader: impl Read, length: u64, dimensions: u8) -> Result<Idx, IdxError> {
    let mut reader = BufReader::new(reader);
    if is_gzip(&mut reader)? {
        return decode_unpacked(&mut MultiGzDecoder::new(reader), None, dimensions);
    }
    decode_unpacked(&mut reader, Some(length), dimensions)
}

fn is_gzip(reader: &mut impl BufRead) -> Result<bool, IdxError> {
    let start = reader.fill_buf().map_err(IdxError::Io)?;
    Ok(start.starts_with(&GZIP_MAGIC))
}

fn decode_unpacked(
    reader: &mut dyn Read,
    length: Option<u64>,
    dimensions: u8,
) -> Result<Idx, IdxError> {
    let dims = read_header(reader, dimensions)?;
    let truncated = |arrived: u64| {
        let item: u64 = dims[1..].iter().map(|&dim| u64::from(dim)).product();
        IdxError::Truncated {
            dims: dims.clone(),
            whole: arrived / item,
        }
    };
    let promised = promised_bytes(&dims)?;
    if let Some(length) = length {
        let body = length.saturating_sub(4 + 4 * u64::from(dimensions));
        if body < promised as u64 {
            return Err(truncated(body));
        }
        if body > promised as u64 {
            return Err(IdxError::Trailing { dims });
        }
    }

    let mut data = Vec::new();
    while data.len() < promised {
        let piece = data.len().max(FIRST_PIECE).min(promised - data.len());
        data.try_reserve_exact(piece)
            .map_err(|_| IdxError::Oversized { dims: dims.clone() })?;
        match reader.take(piece as u64).read_to_end(&mut data) {
            Ok(0) => return Err(truncated(data.len() as u64)),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(truncated(data.len() as u64));
            }
            Err(error) => return Err(stream_error(error)),
        }
    }
    // Reads one byte more, or the end, where gzip verifies its checksum.
    let mut surplus = [0];
    match read_full(reader, &mut surplus) {
        Ok(0) => {}
        Ok(_) => return Err(IdxError::Trailing { dims }),
        Err(error) => return Err(stream_error(error)),
    }
    Ok(Idx {
        dims: dims.iter().map(|&dim| dim as usize).collect(),
        data,
    })
}

fn read_header(reader: &mut dyn Read, dimensions: u8) -> Result<Vec<u32>, IdxError> {
    let mut fixed = [0; 4];
    let got = read_full(reader, &mut fixed).map_err(header_error)?;
    if got >= 2 && fixed[..2] != [0, 0] {
        return Err(IdxError::Magic {
            found: [fixed[0], fixed[1]],
        });
    }
    if got < fixed.len() {
        return Err(IdxError::HeaderCut);
    }
    if fixed[2] != UNSIGNED_BYTE {
        return Err(IdxError::ElementType { found: fixed[2] });
    }
    if fixed[3] != dimensions {
        return Err(IdxError::Dimensions {
            found: fixed[3],
            wanted: dimensions,
        });
    }
    (0..dimensions)
        .map(|_| {
            let mut dim = [0; 4];
            match read_full(reader, &mut dim).map_err(header_error)? {
                4 => Ok(u32::from_be_bytes(dim)),
                _ => Err(IdxError::HeaderCut),
            }
        })
        .collect()
}

/// The size of the elements according to the header; not zero and at most [`MAX_BYTES`].
fn promised_bytes(dims: &[u32]) -> Result<usize, IdxError> {
    if dims.contains(&0) {
        return Err(IdxError::Empty {
            dims: dims.to_vec(),
        });
    }
    dims.iter()
        .try_fold(1u64, |product, &dim| product.checked_mul(u64::from(dim)))
        .filter(|&bytes| bytes <= MAX_BYTES)
        .map(|bytes| bytes as usize)
        .ok_or_else(|| IdxError::Oversized {
            dims: dims.to_vec(),
        })
}

/// Fills `buffer` up to the end of the stream.
fn read_full(reader: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(got) => filled += got,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

fn header_error(error: io::Error) -> IdxError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => IdxError::HeaderCut,
        _ => stream_error(error),
    }
}

fn stream_error(error: io::Error) -> IdxError {
    match error.kind() {
        // The gzip reader's errors for invalid or truncated data.
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::UnexpectedEof => {
            IdxError::Gzip(error)
        }
        _ => IdxError::Io(error),
    }
}

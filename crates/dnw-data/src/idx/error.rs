//! What can be wrong with an IDX file.

use std::io;

/// No file that promises more bytes of elements than this is read.
pub const MAX_BYTES: u64 = 1 << 30;

/// A way in which an IDX file can be wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdxError {
    /// The first two bytes are not zero.
    #[error(
        "it is not an IDX file: it begins with the bytes {:02x} {:02x} instead of 00 00",
        found[0],
        found[1]
    )]
    Magic {
        /// The first bytes.
        found: [u8; 2],
    },
    /// The elements are not unsigned bytes.
    #[error(
        "its elements have the type 0x{found:02x}, only unsigned bytes (0x08) are images or labels"
    )]
    ElementType {
        /// The type byte.
        found: u8,
    },
    /// The number of dimensions is not the one wanted.
    #[error("it has {found} dimension(s) where {wanted} are needed ({})", kind(*wanted))]
    Dimensions {
        /// Dimensions in the header.
        found: u8,
        /// 3 for images, 1 for labels.
        wanted: u8,
    },
    /// The file ends inside its header.
    #[error("the file ends inside its header")]
    HeaderCut,
    /// The header promises nothing.
    #[error("the header promises {}, which holds nothing", describe(dims))]
    Empty {
        /// The promised dimensions.
        dims: Vec<u32>,
    },
    /// The header promises more than [`MAX_BYTES`].
    #[error("the header promises {}, more than the {} MiB that are read at most", describe(dims), MAX_BYTES >> 20)]
    Oversized {
        /// The promised dimensions.
        dims: Vec<u32>,
    },
    /// There are fewer elements than promised.
    #[error("the header promises {}, the file ends after {whole}", describe(dims))]
    Truncated {
        /// The promised dimensions.
        dims: Vec<u32>,
        /// Images or labels that are there in full.
        whole: u64,
    },
    /// There are more bytes than promised.
    #[error(
        "the header promises {}, but further bytes follow them",
        describe(dims)
    )]
    Trailing {
        /// The promised dimensions.
        dims: Vec<u32>,
    },
    /// The gzip stream is damaged.
    #[error("its gzip compression is damaged: {0}")]
    Gzip(io::Error),
    /// A label names no class.
    #[error("label {index} is {label}, labels go from 0 to {}", classes - 1)]
    Label {
        /// Which label.
        index: usize,
        /// Its value.
        label: u8,
        /// How many classes there are.
        classes: usize,
    },
    /// Reading failed.
    #[error(transparent)]
    Io(io::Error),
}

fn kind(dimensions: u8) -> &'static str {
    match dimensions {
        1 => "a file of labels",
        _ => "a file of images",
    }
}

fn describe(dims: &[u32]) -> String {
    match dims {
        [labels] => format!("{labels} labels"),
        [images, height, width] => format!("{images} images of {height}x{width}"),
        _ => format!("dimensions {dims:?}"),
    }
}

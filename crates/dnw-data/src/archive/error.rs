//! What can be wrong with a packed folder of images.

use std::io;
use std::path::PathBuf;

/// No archive is read that unpacks to more bytes.
pub const MAX_UNPACKED: u64 = 1 << 30;
/// No image in an archive is read that has more bytes.
pub const MAX_ENTRY: u64 = 1 << 20;

/// A way in which an archive can be wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// The compression or the archive inside it is damaged, or ends early.
    #[error("the archive is damaged or cut short: {0}")]
    Damaged(io::Error),
    /// It unpacks to more than [`MAX_UNPACKED`].
    #[error("it unpacks to more than the {} MiB that are read at most", MAX_UNPACKED >> 20)]
    Oversized,
    /// A file is larger than is read: an image than [`MAX_ENTRY`].
    #[error("`{}` in it has {bytes} bytes, more than the {} KiB that are read at most", name.display(), most >> 10)]
    Entry {
        /// Its path in the archive.
        name: PathBuf,
        /// Its size.
        bytes: u64,
        /// The most that are read.
        most: u64,
    },
}

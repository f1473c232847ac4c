//! The zip archives of `torch.save` since PyTorch 1.6.
//!
//! All entries are in one folder, named after the file: `data.pkl` is the pickle, `data/KEY` the storages, `byteorder` (since
//! 2.0) the byte order. PyTorch stores entries uncompressed; deflated entries, written by other programs, are supported too.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Read;

use flate2::read::DeflateDecoder;
use rawzip::{CompressionMethod, ZipArchive, ZipArchiveEntryWayfinder, ZipSliceArchive};

use super::loaded::Storages;
use super::tensors::collect;
use crate::error::quoted;
use crate::kind;
use crate::limits;
use crate::pickle;
use crate::{Checkpoint, CheckpointError};

/// Reads a file in this format.
pub fn read(bytes: &[u8]) -> Result<Checkpoint, CheckpointError> {
    let archive = ZipArchive::from_slice(bytes).map_err(damaged)?;
    let mut entries = Entries::list(&archive)?;
    if let Some(order) = entries.find("byteorder")?
        && *order != *b"little"
    {
        return Err(CheckpointError::Unsupported(
            "the file was not written on a little-endian machine, and no other byte order is read",
        ));
    }
    let Some(pickle) = entries.find("data.pkl")? else {
        return Err(missing("data.pkl"));
    };
    limits::check(
        "bytes of the pickle",
        pickle.len() as u64,
        limits::PICKLE_BYTES,
    )?;
    let saved = pickle::parse(&pickle, 0)?;
    collect(&saved, &mut entries)
}

fn damaged(error: rawzip::Error) -> CheckpointError {
    CheckpointError::Archive(error.to_string())
}

fn missing(name: &str) -> CheckpointError {
    CheckpointError::Archive(format!("there is no entry `{}`", quoted(name)))
}

/// The entries of an archive by name.
struct Entries<'z> {
    archive: &'z ZipSliceArchive<&'z [u8]>,
    /// The folder of all entries, with its slash.
    folder: String,
    table: HashMap<&'z [u8], Entry>,
    /// The remaining limit of inflated bytes.
    inflatable: u64,
}

#[derive(Clone, Copy)]
struct Entry {
    place: ZipArchiveEntryWayfinder,
    method: CompressionMethod,
    encrypted: bool,
}

impl<'z> Entries<'z> {
    fn list(archive: &'z ZipSliceArchive<&'z [u8]>) -> Result<Self, CheckpointError> {
        let mut table = HashMap::new();
        let mut folder = None;
        let mut entries = archive.entries();
        while let Some(entry) = entries.next_entry().map_err(damaged)? {
            let name = entry.file_path().as_bytes();
            if let Some(before) = name.strip_suffix(b"data.pkl") {
                if folder.is_some() {
                    return Err(CheckpointError::Archive(
                        "there are two entries `data.pkl`".into(),
                    ));
                }
                let before = str::from_utf8(before).map_err(|_| {
                    CheckpointError::Archive("the name of its folder is not UTF-8 text".into())
                })?;
                folder = Some(before.to_owned());
            }
            let found = Entry {
                place: entry.wayfinder(),
                method: entry.compression_method(),
                encrypted: entry.flags().is_encrypted(),
            };
            if table.insert(name, found).is_some() {
                let name = quoted(&String::from_utf8_lossy(name));
                return Err(CheckpointError::Archive(format!(
                    "there are two entries `{name}`"
                )));
            }
            limits::check(
                "entries of the archive",
                table.len() as u64,
                limits::ARCHIVE_ENTRIES as u64,
            )?;
        }
        // Scripts have a `data.pkl` too; whatever else lacks one is told by its entries.
        let names = table.keys().copied();
        let only: &[&str] = if folder.is_some() { &kind::SCRIPT } else { &[] };
        if let Some(other) = kind::of_entries(names, only) {
            return Err(other);
        }
        Ok(Self {
            archive,
            folder: folder.ok_or(CheckpointError::OtherFormat {
                found: "a zip archive of something else: there is no `data.pkl` in it",
                remedy: "give a file that `torch.save` or safetensors wrote",
            })?,
            table,
            inflatable: limits::inflated_bytes(archive.get_ref().len()),
        })
    }

    /// The content of the entry with this name, if it exists.
    fn find(&mut self, name: &str) -> Result<Option<Cow<'z, [u8]>>, CheckpointError> {
        let path = [self.folder.as_str(), name].concat();
        let Some(&entry) = self.table.get(path.as_bytes()) else {
            return Ok(None);
        };
        let content = self.archive.get_entry(entry.place).map_err(damaged)?;
        let claimed = content.claim_verifier();
        let packed = content.data();
        let content = match entry.method {
            _ if entry.encrypted => {
                return Err(CheckpointError::Unsupported("the archive is encrypted"));
            }
            CompressionMethod::STORE => Cow::Borrowed(packed),
            CompressionMethod::DEFLATE => {
                limits::check(
                    "bytes after inflation",
                    claimed.uncompressed_size,
                    self.inflatable,
                )?;
                self.inflatable -= claimed.uncompressed_size;
                let mut inflated = Vec::new();
                DeflateDecoder::new(packed)
                    .take(claimed.uncompressed_size + 1)
                    .read_to_end(&mut inflated)
                    .map_err(|error| {
                        CheckpointError::Archive(format!("`{}`: {error}", quoted(&path)))
                    })?;
                Cow::Owned(inflated)
            }
            _ => {
                return Err(CheckpointError::Unsupported(
                    "the archive is compressed in another way than by deflation",
                ));
            }
        };
        let found = rawzip::ZipVerification {
            crc: rawzip::crc32(&content),
            uncompressed_size: content.len() as u64,
        };
        claimed
            .valid(found)
            .map_err(|error| CheckpointError::Archive(format!("`{}`: {error}", quoted(&path))))?;
        Ok(Some(content))
    }
}

impl<'z> Storages<'z> for Entries<'z> {
    fn bytes(&mut self, key: &str) -> Result<Cow<'z, [u8]>, CheckpointError> {
        let name = ["data/", key].concat();
        self.find(&name)?.ok_or_else(|| missing(&name))
    }
}

//! The outside of a model file: header, table of sections, checksums.
//!
//! Every byte is covered by a checksum: the header and the table by the one that follows them, each section by the one in its table entry.
//! Sections follow each other without a gap.

use super::checksum::checksum;
use super::error::FileError;
use super::limits;
use super::other_format::other_format;

/// The first byte is no text, and line ends of both kinds show whether the file was changed as if it were text.
pub(super) const MAGIC: [u8; 8] = *b"\x89DNW\r\n\x1a\n";

/// Major and minor. A reader refuses a newer major version. A newer minor version adds sections, which a reader skips if they are marked as
/// optional.
pub(super) const VERSION: [u16; 2] = [1, 2];

/// Magic number, version, number of sections, length of the file.
const HEADER: usize = 24;
/// Kind, flags, offset, length, checksum.
const ENTRY: usize = 32;
/// The checksum behind the table.
const CHECKSUM: usize = 8;

/// The flag of a section that a reader may skip.
const OPTIONAL: u32 = 1;

/// A section that this version knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    /// What an image must look like.
    Input,
    /// Layers and reasons.
    Names,
    /// Arena and steps.
    Plan,
    /// All numbers with a fraction.
    Weights,
}

impl Section {
    /// All, in the order of the file.
    pub(super) const ALL: [Self; 4] = [Self::Input, Self::Names, Self::Plan, Self::Weights];

    /// The number in the table.
    fn kind(self) -> u32 {
        self as u32 + 1
    }

    /// The name in errors.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Names => "names",
            Self::Plan => "plan",
            Self::Weights => "weights",
        }
    }

    fn of(kind: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|section| section.kind() == kind)
    }
}

/// The sections of a file, in the order of [`Section::ALL`].
pub(super) struct Sections<'a> {
    /// The file's minor version.
    pub(super) minor: u16,
    /// Their bytes.
    pub(super) bytes: [&'a [u8]; 4],
}

/// A file of these sections.
pub(super) fn write(sections: &[Vec<u8>; 4]) -> Vec<u8> {
    let mut at = HEADER + sections.len() * ENTRY + CHECKSUM;
    let length = at + sections.iter().map(Vec::len).sum::<usize>();
    let mut file = Vec::with_capacity(length);
    file.extend(MAGIC);
    file.extend(VERSION[0].to_le_bytes());
    file.extend(VERSION[1].to_le_bytes());
    file.extend((sections.len() as u32).to_le_bytes());
    file.extend((length as u64).to_le_bytes());
    for (section, bytes) in Section::ALL.into_iter().zip(sections) {
        file.extend(section.kind().to_le_bytes());
        file.extend(0_u32.to_le_bytes());
        file.extend((at as u64).to_le_bytes());
        file.extend((bytes.len() as u64).to_le_bytes());
        file.extend(checksum(bytes).to_le_bytes());
        at += bytes.len();
    }
    file.extend(checksum(&file).to_le_bytes());
    for bytes in sections {
        file.extend_from_slice(bytes);
    }
    file
}

/// The sections of a file, whose bytes are as they were written.
pub(super) fn read(file: &[u8]) -> Result<Sections<'_>, FileError> {
    let found = file.len() as u64;
    let cut_short = |expected| FileError::CutShort { expected, found };
    if file.is_empty() {
        return Err(FileError::Empty);
    }
    if !file.starts_with(&MAGIC[..file.len().min(MAGIC.len())]) {
        return Err(other_format(file));
    }
    let header = file.get(..HEADER).ok_or(cut_short(HEADER as u64))?;
    let version = [u16_at(header, 8), u16_at(header, 10)];
    if version[0] > VERSION[0] {
        return Err(newer(version));
    }
    let count = u32_at(header, 12);
    let length = u64_at(header, 16);
    let damaged = |part: &str| FileError::Damaged {
        part: part.to_owned(),
    };
    if count > limits::SECTIONS {
        return Err(damaged("header"));
    }
    let table_end = HEADER + count as usize * ENTRY;
    let start = table_end + CHECKSUM;
    if file.len() < start {
        return Err(cut_short(length.max(start as u64)));
    }
    if checksum(&file[..table_end]) != u64_at(file, table_end) {
        return Err(damaged("header"));
    }
    // From here on the header and the table are as they were written.
    if version[0] < VERSION[0] {
        return Err(table("no version has this number"));
    }
    if found < length {
        return Err(cut_short(length));
    }
    if found > length {
        return Err(FileError::TooLong {
            expected: length,
            found,
        });
    }
    split(file, &file[HEADER..table_end], start, version)
}

/// Checks the table and the sections' checksums.
fn split<'a>(
    file: &'a [u8],
    entries: &[u8],
    start: usize,
    version: [u16; 2],
) -> Result<Sections<'a>, FileError> {
    let mut known: [Option<&[u8]>; 4] = [None; 4];
    let mut end = start as u64;
    let mut last_kind = 0;
    for entry in entries.as_chunks::<ENTRY>().0 {
        let (kind, flags) = (u32_at(entry, 0), u32_at(entry, 4));
        let (offset, length) = (u64_at(entry, 8), u64_at(entry, 16));
        if kind <= last_kind {
            return Err(table("its sections are not in the order of their kinds"));
        }
        last_kind = kind;
        if offset != end {
            return Err(table(
                "its sections overlap, or there are bytes between them",
            ));
        }
        end = end
            .checked_add(length)
            .filter(|&end| end <= file.len() as u64)
            .ok_or_else(|| table("a section ends behind the file"))?;
        let bytes = &file[offset as usize..end as usize];
        let section = Section::of(kind);
        if checksum(bytes) != u64_at(entry, 24) {
            let part = match section {
                Some(section) => format!("section `{}`", section.name()),
                None => format!("section of kind {kind}"),
            };
            return Err(FileError::Damaged { part });
        }
        match section {
            Some(section) => known[section as usize] = Some(bytes),
            None if flags & OPTIONAL != 0 => {}
            None if version[1] > VERSION[1] => return Err(newer(version)),
            None => return Err(table("it has a section that this version does not have")),
        }
    }
    if end != file.len() as u64 {
        return Err(table("there are bytes behind the last section"));
    }
    let mut bytes: [&[u8]; 4] = [&[]; 4];
    for section in Section::ALL {
        bytes[section as usize] = known[section as usize]
            .ok_or_else(|| table(&format!("section `{}` is missing", section.name())))?;
    }
    Ok(Sections {
        minor: version[1],
        bytes,
    })
}

/// The error of a version that this program does not know.
pub(super) fn newer(found: [u16; 2]) -> FileError {
    FileError::Newer {
        found,
        known: VERSION,
    }
}

fn table(what: &str) -> FileError {
    FileError::Table {
        what: what.to_owned(),
    }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(array_at(bytes, at))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, at))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array_at(bytes, at))
}

/// `N` bytes of bytes that are known to have them.
fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    std::array::from_fn(|i| bytes[at + i])
}

//! Reads the bytes of a section from front to back.

use super::container::Section;
use super::error::FileError;

/// The bytes of a section that have not been read.
pub(super) struct Cursor<'a> {
    section: Section,
    length: usize,
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(super) fn new(section: Section, bytes: &'a [u8]) -> Self {
        Self {
            section,
            length: bytes.len(),
            rest: bytes,
        }
    }

    /// The bytes that are left.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next bytes.
    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], FileError> {
        let Some((taken, rest)) = self.rest.split_at_checked(count) else {
            return Err(self.invalid("the section ends too early"));
        };
        self.rest = rest;
        Ok(taken)
    }

    /// The next byte.
    pub(super) fn byte(&mut self) -> Result<u8, FileError> {
        Ok(self.take(1)?[0])
    }

    /// The next number in LEB128: seven bits in each byte, the lowest first; the eighth bit says that another byte follows.
    pub(super) fn varint(&mut self) -> Result<u64, FileError> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            // The tenth byte has one bit left, and a last byte of zeros would give a number a second form.
            if shift == 63 && byte > 1 || shift > 0 && byte == 0 {
                break;
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(self.invalid("a number is longer than it can be"))
    }

    /// The next number, which counts things of which there can be `most`.
    pub(super) fn count(&mut self, most: usize) -> Result<usize, FileError> {
        let count = self.varint()?;
        match usize::try_from(count) {
            Ok(count) if count <= most => Ok(count),
            _ => Err(self.invalid(format!(
                "{count} elements cannot be here, at most {most} can"
            ))),
        }
    }

    /// The error of something that cannot be.
    pub(super) fn invalid(&self, what: impl Into<String>) -> FileError {
        FileError::Invalid {
            section: self.section.name(),
            at: self.length - self.rest.len(),
            what: what.into(),
        }
    }

    /// Checks that everything was read.
    pub(super) fn finish(&self) -> Result<(), FileError> {
        match self.rest.len() {
            0 => Ok(()),
            bytes => Err(self.invalid(format!("{bytes} bytes are left"))),
        }
    }
}

/// Appends a number in LEB128.
pub(super) fn write_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

//! How values are written and read: one trait, with both directions of a type next to each other.

use std::collections::HashMap;

use super::cursor::{Cursor, write_varint};
use super::error::FileError;
use super::limits;
use super::precision::Precision;
use super::runs;
use crate::finite::all_finite;

/// A value of a model file.
pub(super) trait Code: Sized {
    /// Appends the value.
    fn write(&self, to: &mut Writer);

    /// Reads what [`write`](Self::write) appended.
    fn read(from: &mut Reader<'_>) -> Result<Self, FileError>;
}

/// A value of which lists are written.
pub(super) trait Element: Code {
    /// The name in errors, in the plural.
    const NAME: &'static str;
    /// The most of them that are read.
    const LIMIT: u64;
}

/// Writes a struct as its fields in this order.
macro_rules! fields {
    ($name:ident: $($field:ident),+) => {
        impl Code for $name {
            fn write(&self, to: &mut Writer) {
                $(self.$field.write(to);)+
            }

            fn read(from: &mut Reader<'_>) -> Result<Self, FileError> {
                $(let $field = Code::read(from)?;)+
                Ok(Self { $($field),+ })
            }
        }
    };
}
pub(super) use fields;

/// What has been written.
pub(super) struct Writer {
    /// The section that is being written.
    pub(super) bytes: Vec<u8>,
    /// The section `weights`.
    pub(super) weights: Vec<u8>,
    /// What weights are stored as.
    pub(super) precision: Precision,
    /// The section `names`.
    pub(super) names: Vec<String>,
    places: HashMap<String, usize>,
}

impl Writer {
    pub(super) fn new(precision: Precision) -> Self {
        Self {
            bytes: Vec::new(),
            weights: Vec::new(),
            precision,
            names: Vec::new(),
            places: HashMap::new(),
        }
    }

    /// Appends the place of a name in the section `names`.
    pub(super) fn name(&mut self, name: &str) {
        let place = match self.places.get(name) {
            Some(&place) => place,
            None => {
                let place = self.names.len();
                self.places.insert(name.to_owned(), place);
                self.names.push(name.to_owned());
                place
            }
        };
        write_varint(&mut self.bytes, place as u64);
    }

    /// Appends numbers with regular distances.
    pub(super) fn runs(&mut self, values: &[u32]) {
        runs::write(&mut self.bytes, values);
    }

    /// Appends a byte that selects a variant.
    pub(super) fn tag(&mut self, tag: u8) {
        self.bytes.push(tag);
    }
}

/// What has not been read.
pub(super) struct Reader<'a> {
    /// The section that is being read.
    pub(super) bytes: Cursor<'a>,
    /// The section `weights`.
    pub(super) weights: Cursor<'a>,
    /// The section `names`.
    pub(super) names: Vec<&'a str>,
    /// What is being read, for errors.
    pub(super) place: String,
    /// Numbers that runs may still have.
    runs_left: u64,
    /// Bytes of names that steps may still have.
    text_left: u64,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: Cursor<'a>, weights: Cursor<'a>) -> Self {
        Self {
            bytes,
            weights,
            names: Vec::new(),
            place: String::new(),
            runs_left: limits::RUNS,
            text_left: limits::TEXT,
        }
    }

    /// Reads a name's place, and copies the name.
    pub(super) fn name(&mut self) -> Result<String, FileError> {
        let place = self.bytes.varint()?;
        let name = usize::try_from(place)
            .ok()
            .and_then(|at| self.names.get(at));
        let Some(&name) = name else {
            let names = self.names.len();
            return Err(self
                .bytes
                .invalid(format!("name {place} is used, and there are {names}")));
        };
        self.text_left = self
            .text_left
            .checked_sub(name.len() as u64)
            .ok_or(FileError::Limit {
                what: "bytes of names",
                found: limits::TEXT - self.text_left + name.len() as u64,
                limit: limits::TEXT,
            })?;
        Ok(name.to_owned())
    }

    /// Reads at most `most` numbers with regular distances.
    pub(super) fn runs(&mut self, most: usize) -> Result<Vec<u32>, FileError> {
        let left = usize::try_from(self.runs_left).unwrap_or(usize::MAX);
        let values = runs::read(&mut self.bytes, most.min(left))?;
        self.runs_left -= values.len() as u64;
        Ok(values)
    }

    /// Reads a byte that selects a variant.
    pub(super) fn tag(&mut self) -> Result<u8, FileError> {
        self.bytes.byte()
    }

    /// The error of a tag that no variant has.
    pub(super) fn unknown(&self, what: &str, tag: u8) -> FileError {
        self.bytes.invalid(format!("{what} {tag} does not exist"))
    }

    /// Refuses a number that is infinite or none.
    pub(super) fn finite(&self, values: &[f32]) -> Result<(), FileError> {
        if all_finite(values) {
            return Ok(());
        }
        let value = values.iter().find(|value| !value.is_finite());
        Err(FileError::NotFinite {
            place: self.place.clone(),
            value: value.copied().unwrap_or(f32::NAN),
        })
    }
}

/// A size or an offset.
impl Code for usize {
    fn write(&self, to: &mut Writer) {
        write_varint(&mut to.bytes, *self as u64);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, FileError> {
        let found = from.bytes.varint()?;
        match usize::try_from(found) {
            Ok(value) if found <= limits::ARENA => Ok(value),
            _ => Err(FileError::Limit {
                what: "numbers in its memory",
                found,
                limit: limits::ARENA,
            }),
        }
    }
}

impl Code for bool {
    fn write(&self, to: &mut Writer) {
        to.tag(u8::from(*self));
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, FileError> {
        match from.tag()? {
            0 => Ok(false),
            1 => Ok(true),
            tag => Err(from.unknown("truth value", tag)),
        }
    }
}

impl Code for f32 {
    fn write(&self, to: &mut Writer) {
        to.bytes.extend(self.to_le_bytes());
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, FileError> {
        let bytes = from.bytes.take(4)?;
        let value = Self::from_le_bytes(std::array::from_fn(|i| bytes[i]));
        from.finite(&[value])?;
        Ok(value)
    }
}

impl Code for String {
    fn write(&self, to: &mut Writer) {
        write_varint(&mut to.bytes, self.len() as u64);
        to.bytes.extend(self.as_bytes());
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, FileError> {
        read_text(&mut from.bytes).map(str::to_owned)
    }
}

/// Reads a text without copying it.
pub(super) fn read_text<'a>(from: &mut Cursor<'a>) -> Result<&'a str, FileError> {
    let length = from.count(from.rest().len())?;
    let bytes = from.take(length)?;
    std::str::from_utf8(bytes).map_err(|_| from.invalid("a text is not UTF-8"))
}

impl<T: Code + Copy + Default, const N: usize> Code for [T; N] {
    fn write(&self, to: &mut Writer) {
        self.iter().for_each(|value| value.write(to));
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, FileError> {
        let mut values = [T::default(); N];
        for value in &mut values {
            *value = T::read(from)?;
        }
        Ok(values)
    }
}

impl<T: Code> Code for Option<T> {
    fn write(&self, to: &mut Writer) {
        self.is_some().write(to);
        if let Some(value) = self {
            value.write(to);
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, FileError> {
        match bool::read(from)? {
            true => T::read(from).map(Some),
            false => Ok(None),
        }
    }
}

impl<T: Code, U: Code> Code for (T, U) {
    fn write(&self, to: &mut Writer) {
        self.0.write(to);
        self.1.write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, FileError> {
        Ok((T::read(from)?, U::read(from)?))
    }
}

impl<T: Element> Code for Vec<T> {
    fn write(&self, to: &mut Writer) {
        write_varint(&mut to.bytes, self.len() as u64);
        self.iter().for_each(|value| value.write(to));
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, FileError> {
        // Each element has at least one byte.
        let count = from.bytes.count(from.bytes.rest().len())?;
        if count as u64 > T::LIMIT {
            return Err(FileError::Limit {
                what: T::NAME,
                found: count as u64,
                limit: T::LIMIT,
            });
        }
        let mut values = Vec::with_capacity(count);
        for _ in 0..count {
            values.push(T::read(from)?);
        }
        Ok(values)
    }
}

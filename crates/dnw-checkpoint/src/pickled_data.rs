//! Data sets that were saved as a pickled dictionary of arrays and lists, such as CIFAR's files for Python.
//!
//! Nothing is executed: the pickle is read like that of a checkpoint, in which NumPy arrays are objects whose arguments and states are
//! known. Bytes are borrowed from the pickle, and those that are decoded from text (as Python 3 writes bytes for Python 2) are no more
//! than the pickle has, so that memory is proportional to its length.

use std::borrow::Cow;

use crate::CheckpointError;
use crate::error::quoted;
use crate::pickle::{self, Foreign, Id, Object, Pickle, Value};

/// A value of a pickled dictionary.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PickledValue<'a> {
    /// A matrix of bytes (or a vector, of one column), row-major.
    Bytes {
        /// The number of rows.
        rows: usize,
        /// The number of columns.
        columns: usize,
        /// `rows x columns` values.
        values: Cow<'a, [u8]>,
    },
    /// A list of whole numbers.
    Numbers(Vec<i64>),
    /// A list of texts.
    Texts(Vec<String>),
    /// Anything else.
    Other,
}

/// Reads the entries of a pickled dictionary, in their order. Keys are text, or bytes that are text.
///
/// # Errors
/// [`CheckpointError::Pickle`] if the pickle is damaged, [`CheckpointError::NoDictionary`] if it holds something else,
/// [`CheckpointError::Forbidden`] for instructions that are not needed, [`CheckpointError::Limit`].
pub fn read_pickled_data(bytes: &[u8]) -> Result<Vec<(String, PickledValue<'_>)>, CheckpointError> {
    let pickle = pickle::parse(bytes, 0)?;
    let Value::Dict(entries) = pickle.root() else {
        return Err(CheckpointError::NoDictionary {
            found: pickle.root().kind(),
        });
    };
    let mut reader = Reader {
        pickle: &pickle,
        // A pickle can refer to one long value many times with two bytes each; real files repeat little.
        left: (1 << 20) + 4 * bytes.len(),
    };
    let mut read = Vec::with_capacity(entries.len());
    for &(key, value) in entries {
        if let Some(key) = reader.text(key)? {
            let value = reader.value(value)?;
            read.push((key, value));
        }
    }
    Ok(read)
}

/// An array as NumPy describes it in a pickle.
struct Array<'a> {
    rows: usize,
    columns: usize,
    /// Whether the elements lie column by column.
    columns_first: bool,
    element: Element,
    content: Cow<'a, [u8]>,
}

/// The type of an array's elements: whole numbers, little-endian.
#[derive(Clone, Copy)]
struct Element {
    bytes: usize,
    signed: bool,
}

struct Reader<'p, 'a> {
    pickle: &'p Pickle<'a>,
    /// How many more items and bytes may be copied.
    left: usize,
}

impl<'a> Reader<'_, 'a> {
    fn wrong(&self, what: impl Into<String>) -> CheckpointError {
        CheckpointError::Pickle {
            what: what.into(),
            at: self.pickle.end,
        }
    }

    fn spend(&mut self, items: usize) -> Result<(), CheckpointError> {
        match self.left.checked_sub(items) {
            Some(left) => self.left = left,
            None => return Err(self.wrong("it repeats its values too often")),
        }
        Ok(())
    }

    fn items(&self, tuple: Option<Id>) -> &[Id] {
        match tuple.map(|tuple| self.pickle.value(tuple)) {
            Some(Value::Tuple(items)) => items,
            _ => &[],
        }
    }

    fn text(&mut self, id: Id) -> Result<Option<String>, CheckpointError> {
        let text = match self.pickle.value(id) {
            Value::Text(text) => Some(*text),
            Value::Bytes(bytes) => str::from_utf8(bytes).ok(),
            Value::Object(object) if is_encoded(object.class) => {
                let bytes = self.content(id)?.into_owned();
                return Ok(String::from_utf8(bytes).ok());
            }
            _ => None,
        };
        self.spend(text.map_or(1, str::len))?;
        Ok(text.map(str::to_owned))
    }

    fn value(&mut self, id: Id) -> Result<PickledValue<'a>, CheckpointError> {
        match self.pickle.value(id) {
            Value::List(items) | Value::Tuple(items) => self.list(items.clone()),
            Value::Object(object) => match self.array(**object)? {
                Some(array) => self.finished(array),
                None => Ok(PickledValue::Other),
            },
            _ => Ok(PickledValue::Other),
        }
    }

    fn list(&mut self, items: Vec<Id>) -> Result<PickledValue<'a>, CheckpointError> {
        self.spend(items.len())?;
        let numbers = items.iter().map(|&item| match *self.pickle.value(item) {
            Value::Int(number) => Some(number),
            _ => None,
        });
        if let Some(numbers) = numbers.collect() {
            return Ok(PickledValue::Numbers(numbers));
        }
        let mut texts = Vec::with_capacity(items.len());
        for item in items {
            match self.text(item)? {
                Some(text) => texts.push(text),
                None => return Ok(PickledValue::Other),
            }
        }
        Ok(PickledValue::Texts(texts))
    }

    /// The array that an object is, if it is one.
    fn array(&mut self, object: Object<'a>) -> Result<Option<Array<'a>>, CheckpointError> {
        let (shape, element, columns_first, content) = match numpy(object.class) {
            // The state has a version in front.
            Some("multiarray._reconstruct") => match *self.items(object.state) {
                [_, shape, element, columns_first, content] => {
                    let columns_first = self.pickle.value(columns_first);
                    let columns_first = matches!(columns_first, Value::Bool(true) | Value::Int(1));
                    (shape, element, columns_first, content)
                }
                _ => return Err(self.wrong("an array lacks its shape, its type or its bytes")),
            },
            Some("numeric._frombuffer") => match *self.items(object.arguments) {
                [content, element, shape, order] => {
                    let columns_first = matches!(self.pickle.value(order), Value::Text("F"));
                    (shape, element, columns_first, content)
                }
                _ => return Err(self.wrong("an array lacks its shape, its type or its bytes")),
            },
            _ => return Ok(None),
        };
        let Some(element) = self.element(element)? else {
            return Ok(None);
        };
        let Some([rows, columns]) = self.sides(shape, columns_first) else {
            return Err(self.wrong("the shape of an array cannot be read"));
        };
        let content = self.content(content)?;
        let needed = rows.checked_mul(columns);
        let needed = needed.and_then(|n| n.checked_mul(element.bytes));
        if needed != Some(content.len()) {
            return Err(self.wrong(format!(
                "an array of {rows} x {columns} elements has {} bytes",
                content.len()
            )));
        }
        Ok(Some(Array {
            rows,
            columns,
            columns_first,
            element,
            content,
        }))
    }

    /// The type of an array's elements; `None` for one that is not of whole numbers.
    fn element(&self, id: Id) -> Result<Option<Element>, CheckpointError> {
        let Value::Object(object) = self.pickle.value(id) else {
            return Err(self.wrong("the type of an array is none"));
        };
        let (Some("dtype"), &[code, ..]) = (numpy(object.class), self.items(object.arguments))
        else {
            return Err(self.wrong("the type of an array is none"));
        };
        let text = |id: Id| match self.pickle.value(id) {
            Value::Text(text) => *text,
            Value::Bytes(bytes) => str::from_utf8(bytes).unwrap_or_default(),
            _ => "",
        };
        if let [_, order, ..] = *self.items(object.state)
            && text(order) == ">"
        {
            return Err(self.wrong("an array has its bytes in big-endian order"));
        }
        let (bytes, signed) = match text(code).trim_start_matches(['|', '<']) {
            "u1" | "b1" => (1, false),
            "i1" => (1, true),
            "u2" => (2, false),
            "i2" => (2, true),
            "u4" => (4, false),
            "i4" => (4, true),
            "u8" => (8, false),
            "i8" => (8, true),
            other if other.is_empty() || other.starts_with('>') => {
                return Err(self.wrong(format!(
                    "arrays of the type `{}` are not read",
                    quoted(other)
                )));
            }
            _ => return Ok(None),
        };
        Ok(Some(Element { bytes, signed }))
    }

    /// Rows and columns; further axes are columns too.
    fn sides(&self, shape: Id, columns_first: bool) -> Option<[usize; 2]> {
        let sides = self.items(Some(shape)).iter();
        let sides: Option<Vec<usize>> = sides
            .map(|&side| match *self.pickle.value(side) {
                Value::Int(side) => usize::try_from(side).ok(),
                _ => None,
            })
            .collect();
        match sides?[..] {
            [rows] => Some([rows, 1]),
            [rows, ref rest @ ..] if !columns_first || rest.len() == 1 => {
                let columns = rest.iter().try_fold(1usize, |a, &b| a.checked_mul(b))?;
                Some([rows, columns])
            }
            _ => None,
        }
    }

    /// The bytes of an array: as they are, or as Python 3 writes them for Python 2, text whose characters are the bytes.
    fn content(&mut self, id: Id) -> Result<Cow<'a, [u8]>, CheckpointError> {
        let object = match self.pickle.value(id) {
            Value::Bytes(bytes) => return Ok(Cow::Borrowed(bytes)),
            // A string of Python 2 that happens to be text.
            Value::Text(text) => return Ok(Cow::Borrowed(text.as_bytes())),
            Value::Object(object) => **object,
            _ => return Err(self.wrong("an array lacks its shape, its type or its bytes")),
        };
        let Foreign { module, name } = object.class;
        let text = match (module, name, self.items(object.arguments)) {
            ("__builtin__" | "builtins", "bytes", []) => return Ok(Cow::Borrowed(&[])),
            (_, _, &[text, encoding]) if is_encoded(object.class) => {
                match (self.pickle.value(text), self.pickle.value(encoding)) {
                    (Value::Text(text), Value::Text("latin1" | "latin-1")) => *text,
                    _ => return Err(self.wrong("bytes are not written as Latin-1 text")),
                }
            }
            _ => return Err(self.wrong("an array lacks its shape, its type or its bytes")),
        };
        self.spend(text.len())?;
        let bytes: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(c).ok()).collect();
        match bytes {
            Some(bytes) => Ok(bytes.into()),
            None => Err(self.wrong("bytes that are written as text are no bytes")),
        }
    }

    /// An array as it is returned: bytes as a matrix, wider numbers of one column as a list.
    fn finished(&mut self, array: Array<'a>) -> Result<PickledValue<'a>, CheckpointError> {
        let Array {
            rows,
            columns,
            columns_first,
            element,
            content,
        } = array;
        self.spend(content.len())?;
        if element.bytes == 1 && !element.signed {
            let values = if columns_first && columns > 1 {
                let entries = 0..rows * columns;
                let transposed = entries.map(|i| content[i % columns * rows + i / columns]);
                transposed.collect::<Vec<u8>>().into()
            } else {
                content
            };
            return Ok(PickledValue::Bytes {
                rows,
                columns,
                values,
            });
        }
        if columns > 1 {
            return Ok(PickledValue::Other);
        }
        let number = |bytes: &[u8]| {
            let negative = element.signed && bytes.last().is_some_and(|&b| b >= 0x80);
            let mut wide = [if negative { 0xff } else { 0 }; 8];
            wide[..bytes.len()].copy_from_slice(bytes);
            i64::from_le_bytes(wide)
        };
        let numbers = content.chunks_exact(element.bytes).map(number);
        Ok(PickledValue::Numbers(numbers.collect()))
    }
}

/// Whether this is the function that makes bytes of text, as Python 3 writes bytes for Python 2.
fn is_encoded(class: Foreign<'_>) -> bool {
    (class.module, class.name) == ("_codecs", "encode")
}

/// The name of something of NumPy, without the part in which versions 1 and 2 differ.
fn numpy(class: Foreign<'_>) -> Option<&'static str> {
    let module = class.module.strip_prefix("numpy")?;
    let module = ["._core", ".core"]
        .iter()
        .find_map(|core| module.strip_prefix(core))
        .unwrap_or(module);
    match (module, class.name) {
        (".multiarray", "_reconstruct") => Some("multiarray._reconstruct"),
        (".numeric", "_frombuffer") => Some("numeric._frombuffer"),
        ("", "dtype") => Some("dtype"),
        _ => None,
    }
}

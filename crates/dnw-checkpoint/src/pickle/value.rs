//! What a pickle may hold.

use super::Global;
use crate::ElementType;

/// A value's number in its pickle's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Id(pub u32);

/// A value; text and bytes are left where they are in the pickle.
#[derive(Debug)]
pub enum Value<'a> {
    None,
    Bool(bool),
    Int(i64),
    /// An integer that 64 bits may not hold, little-endian, two's complement.
    Long(&'a [u8]),
    Float,
    Text(&'a str),
    /// Bytes, or a string of Python 2 that is not UTF-8.
    Bytes,
    List(Vec<Id>),
    /// A tuple, or the shape `torch.Size`.
    Tuple(Vec<Id>),
    /// A dictionary, in order; a key may be there twice.
    Dict(Vec<(Id, Id)>),
    Global(Global),
    Storage(Storage<'a>),
    Tensor(Box<StridedTensor<'a>>),
}

impl Value<'_> {
    /// What it is, as it may stand in a message.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::None => "nothing",
            Self::Bool(_) => "a truth value",
            Self::Int(_) | Self::Long(_) => "a whole number",
            Self::Float => "a number",
            Self::Text(_) => "text",
            Self::Bytes => "bytes",
            Self::List(_) => "a list",
            Self::Tuple(_) => "a tuple",
            Self::Dict(_) => "a dictionary",
            Self::Global(_) => "a name",
            Self::Storage(_) => "a storage",
            Self::Tensor(_) => "a tensor",
        }
    }
}

/// A piece of memory that the file holds elsewhere, as the pickle describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Storage<'a> {
    pub key: &'a str,
    pub element: ElementType,
    /// Elements that it claims to have.
    pub elements: u64,
}

/// A tensor as the pickle describes it: nothing is checked but that the numbers are not negative, the axes few.
#[derive(Debug)]
pub struct StridedTensor<'a> {
    pub storage: Storage<'a>,
    pub offset: u64,
    pub shape: Vec<u64>,
    /// In elements; as many as `shape` has.
    pub stride: Vec<u64>,
}

/// A pickle that was read to its end.
#[derive(Debug)]
pub struct Pickle<'a> {
    pub values: Vec<Value<'a>>,
    /// What was saved.
    pub root: Id,
    /// Bytes before the end of the pickle in the bytes it was read from.
    pub end: usize,
}

impl<'a> Pickle<'a> {
    pub fn value(&self, id: Id) -> &Value<'a> {
        &self.values[id.0 as usize]
    }

    pub fn root(&self) -> &Value<'a> {
        self.value(self.root)
    }
}

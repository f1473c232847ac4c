//! The values of a pickle.

use super::Global;
use crate::ElementType;

/// The index of a value in its pickle's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Id(pub u32);

/// A value; text and bytes are borrowed from the pickle.
#[derive(Debug)]
pub enum Value<'a> {
    None,
    Bool(bool),
    Int(i64),
    /// An integer of any length, little-endian, two's complement.
    Long(&'a [u8]),
    Float,
    Text(&'a str),
    /// Bytes, or a string of Python 2 that is not UTF-8.
    Bytes,
    List(Vec<Id>),
    /// A tuple, or the shape `torch.Size`.
    Tuple(Vec<Id>),
    /// A dictionary, in order; keys may be duplicated.
    Dict(Vec<(Id, Id)>),
    Global(Global),
    Storage(Storage<'a>),
    Tensor(Box<StridedTensor<'a>>),
}

impl Value<'_> {
    /// A description for messages.
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

/// The pickle's description of a storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Storage<'a> {
    pub key: &'a str,
    pub element: ElementType,
    /// The number of elements according to the pickle.
    pub elements: u64,
}

/// The pickle's description of a tensor: only checked to have non-negative sizes and few dimensions.
#[derive(Debug)]
pub struct StridedTensor<'a> {
    pub storage: Storage<'a>,
    pub offset: u64,
    pub shape: Vec<u64>,
    /// In elements; one per dimension.
    pub stride: Vec<u64>,
}

/// A completely read pickle.
#[derive(Debug)]
pub struct Pickle<'a> {
    pub values: Vec<Value<'a>>,
    /// The saved object.
    pub root: Id,
    /// The offset of the end of the pickle.
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

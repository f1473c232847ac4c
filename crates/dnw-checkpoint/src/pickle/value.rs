//! The values of a pickle.

use std::borrow::Cow;
use std::fmt;

use super::{Global, SparseLayout};
use crate::ElementType;
use crate::error::quoted;

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
    Bytes(&'a [u8]),
    List(Vec<Id>),
    /// A tuple, or the shape `torch.Size`.
    Tuple(Vec<Id>),
    /// A dictionary, in order; keys may be duplicated.
    Dict(Vec<(Id, Id)>),
    /// A set, whose elements are not kept.
    Set,
    Global(Global),
    /// A class or function that this crate does not know.
    Foreign(Foreign<'a>),
    /// An object that such a class or function would make. It is not made.
    Object(Box<Object<'a>>),
    Storage(Storage<'a>),
    Tensor(Box<StridedTensor<'a>>),
    Layout(SparseLayout),
    Sparse(Box<SparseTensor<'a>>),
}

impl Value<'_> {
    /// A description for messages, at most 200 bytes long.
    pub fn kind(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::None => "nothing",
            Self::Bool(_) => "a truth value",
            Self::Int(_) | Self::Long(_) => "a whole number",
            Self::Float => "a number",
            Self::Text(_) => "text",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "a list",
            Self::Tuple(_) => "a tuple",
            Self::Dict(_) => "a dictionary",
            Self::Set => "a set",
            Self::Global(_) | Self::Layout(_) => "a name",
            Self::Foreign(foreign) => return format!("the name `{foreign}`").into(),
            Self::Object(object) => return format!("an object of `{}`", object.class).into(),
            Self::Storage(_) => "a storage",
            Self::Tensor(_) => "a tensor",
            Self::Sparse(_) => "a sparse tensor",
        })
    }
}

/// The name of a class or function that this crate does not know. It is neither imported nor called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Foreign<'a> {
    pub module: &'a str,
    pub name: &'a str,
}

impl fmt::Display for Foreign<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", quoted(self.module), quoted(self.name))
    }
}

/// What a pickle says about an object of a class that this crate does not know.
#[derive(Clone, Copy, Debug)]
pub struct Object<'a> {
    /// Its class, or the function that would make it.
    pub class: Foreign<'a>,
    /// The arguments of the class or function.
    pub arguments: Option<Id>,
    /// The state that it would be given.
    pub state: Option<Id>,
}

impl<'a> From<Foreign<'a>> for Value<'a> {
    /// An object of which only the class matters.
    fn from(class: Foreign<'a>) -> Self {
        Self::Object(Box::new(Object {
            class,
            arguments: None,
            state: None,
        }))
    }
}

/// The pickle's description of a storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Storage<'a> {
    pub key: &'a str,
    /// The type of its elements. Storages without a type count bytes.
    pub element: ElementType,
    /// The number of elements according to the pickle.
    pub elements: u64,
}

/// The pickle's description of a tensor: only checked to have non-negative sizes and few dimensions.
#[derive(Clone, Debug)]
pub struct StridedTensor<'a> {
    pub storage: Storage<'a>,
    /// Usually the storage's; a storage without a type leaves it to its tensors.
    pub element: ElementType,
    /// In elements.
    pub offset: u64,
    pub shape: Vec<u64>,
    /// In elements; one per dimension.
    pub stride: Vec<u64>,
}

/// The pickle's description of a sparse tensor.
#[derive(Debug)]
pub struct SparseTensor<'a> {
    pub layout: SparseLayout,
    /// One tensor of indices in coordinate layout, two in compressed ones.
    pub indices: Vec<StridedTensor<'a>>,
    /// The values of the entries that are present.
    pub values: StridedTensor<'a>,
    pub shape: Vec<u64>,
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

//! Tensors whose values are known when a model is imported.

use std::rc::Rc;

use half::{bf16, f16};
use prost::bytes::Bytes;

use crate::ImportError;
use crate::external::Folder;
use crate::proto::{SparseTensor, Tensor, decode};

/// Numbers of one tensor.
pub const MOST_NUMBERS: usize = 1 << 28;
/// Numbers of all tensors together.
const MOST_IN_ALL: usize = 1 << 30;

/// A tensor with known values, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Constant {
    pub dims: Vec<usize>,
    pub data: Data,
    /// The type that it was read with; `None` if it was computed.
    pub element: Option<Element>,
}

/// The values. Types with fewer bits are widened, booleans are 0 and 1.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    Floats(Vec<f32>),
    Ints(Vec<i64>),
}

impl Constant {
    pub fn new(dims: Vec<usize>, data: Data) -> Self {
        Self {
            dims,
            data,
            element: None,
        }
    }

    pub fn ints(dims: Vec<usize>, values: Vec<i64>) -> Rc<Self> {
        Rc::new(Self::new(dims, Data::Ints(values)))
    }

    pub fn floats(dims: Vec<usize>, values: Vec<f32>) -> Rc<Self> {
        Rc::new(Self::new(dims, Data::Floats(values)))
    }

    pub fn len(&self) -> usize {
        match &self.data {
            Data::Floats(values) => values.len(),
            Data::Ints(values) => values.len(),
        }
    }

    pub fn to_floats(&self) -> Vec<f32> {
        match &self.data {
            Data::Floats(values) => values.clone(),
            Data::Ints(values) => values.iter().map(|&x| x as f32).collect(),
        }
    }

    /// The values as integers; `None` if they are floats.
    pub fn as_ints(&self) -> Option<&[i64]> {
        match &self.data {
            Data::Floats(_) => None,
            Data::Ints(values) => Some(values),
        }
    }
}

/// The product of sizes, if a tensor of this shape is read.
pub fn count(dims: &[usize]) -> Option<usize> {
    // A size of zero makes the others no smaller: their products are computed too.
    let product = dims
        .iter()
        .try_fold(1usize, |product, &size| product.checked_mul(size.max(1)));
    let is_empty = dims.contains(&0);
    product
        .filter(|&count| count <= MOST_NUMBERS)
        .map(|count| if is_empty { 0 } else { count })
}

/// Reads tensors, and counts their numbers.
#[derive(Debug)]
pub struct Tensors {
    pub folder: Folder,
    left: usize,
}

impl Tensors {
    pub fn new(folder: Folder) -> Self {
        Self {
            folder,
            left: MOST_IN_ALL,
        }
    }

    /// The size of a new tensor of this shape, before it is allocated.
    pub fn reserve(&mut self, name: &str, dims: &[usize]) -> Result<usize, ImportError> {
        let limit = |found: usize, limit: usize| ImportError::Limit {
            what: format!("numbers of the tensor `{name}`"),
            found: found as u64,
            limit: limit as u64,
        };
        let count = count(dims).ok_or_else(|| {
            let product = dims.iter().fold(1, |a: usize, &b| a.saturating_mul(b));
            limit(product, MOST_NUMBERS)
        })?;
        self.left = self
            .left
            .checked_sub(count)
            .ok_or_else(|| limit(count, self.left))?;
        Ok(count)
    }

    /// Reads a tensor; returns its name too.
    pub fn read(&mut self, bytes: Bytes) -> Result<(String, Constant), ImportError> {
        let tensor: Tensor = decode(bytes, "a tensor")?;
        let wrong = |reason: String| ImportError::Tensor {
            tensor: tensor.name.clone(),
            reason,
        };
        let dims = sizes(&tensor.dims).map_err(&wrong)?;
        let count = self.reserve(&tensor.name, &dims)?;
        let element = Element::of(tensor.data_type)
            .ok_or_else(|| wrong(format!("has elements of type {}, which are no numbers that are read: convert it to 32-bit floats", type_name(tensor.data_type))))?;
        let expected = count as u64 * element.bytes() as u64;
        let data = if tensor.data_location == 1 {
            let bytes = self
                .folder
                .read(&tensor.name, &tensor.external_data, expected)?;
            element.read(&bytes)
        } else if let Some(raw) = &tensor.raw_data {
            if raw.len() as u64 != expected {
                return Err(wrong(format!(
                    "has {} bytes of data, and its shape {dims:?} needs {expected}",
                    raw.len()
                )));
            }
            element.read(raw)
        } else {
            element.typed(&tensor)
        };
        let constant = Constant {
            element: Some(element),
            ..Constant::new(dims, data)
        };
        if constant.len() != count {
            return Err(wrong(format!(
                "has {} values, and its shape {:?} needs {count}",
                constant.len(),
                constant.dims
            )));
        }
        Ok((tensor.name, constant))
    }

    /// Reads a sparse tensor, whose name is that of its values.
    pub fn read_sparse(&mut self, bytes: Bytes) -> Result<(String, Constant), ImportError> {
        let sparse: SparseTensor = decode(bytes, "a sparse tensor")?;
        let (name, values) = self.read(sparse.values.unwrap_or_default())?;
        let (_, indices) = self.read(sparse.indices.unwrap_or_default())?;
        let wrong = |reason: String| ImportError::Tensor {
            tensor: name.clone(),
            reason,
        };
        let dims = sizes(&sparse.dims).map_err(&wrong)?;
        let count = self.reserve(&name, &dims)?;
        let places = indices.as_ints().unwrap_or_default();
        let stored = values.len();
        // Either flat indices, or the coordinates of each value.
        let flat: Option<Vec<usize>> = match indices.dims[..] {
            [n] if n == stored => places.iter().map(|&at| usize::try_from(at).ok()).collect(),
            [n, rank] if n == stored && rank == dims.len() && rank > 0 => places
                .chunks(rank)
                .map(|place| {
                    place
                        .iter()
                        .zip(&dims)
                        .try_fold(0usize, |flat, (&at, &size)| {
                            let at = usize::try_from(at).ok().filter(|&at| at < size)?;
                            Some(flat * size + at)
                        })
                })
                .collect(),
            _ => None,
        };
        let flat = flat
            .filter(|flat| flat.len() == stored && flat.iter().all(|&at| at < count))
            .ok_or_else(|| {
                wrong("has indices that do not fit its values or its shape".to_owned())
            })?;
        let mut seen = vec![false; count];
        for &at in &flat {
            if std::mem::replace(&mut seen[at], true) {
                return Err(wrong(format!("has two values at index {at}")));
            }
        }
        let data = match values.data {
            Data::Floats(values) => {
                let mut dense = vec![0.0; count];
                flat.iter().zip(values).for_each(|(&at, x)| dense[at] = x);
                Data::Floats(dense)
            }
            Data::Ints(values) => {
                let mut dense = vec![0; count];
                flat.iter().zip(values).for_each(|(&at, x)| dense[at] = x);
                Data::Ints(dense)
            }
        };
        Ok((name, Constant::new(dims, data)))
    }
}

fn sizes(dims: &[i64]) -> Result<Vec<usize>, String> {
    let sizes = dims.iter().map(|&size| usize::try_from(size).ok());
    sizes
        .collect::<Option<_>>()
        .ok_or_else(|| format!("has the shape {dims:?}"))
}

/// The type of an element.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Element {
    F32,
    U8,
    I8,
    U16,
    I16,
    I32,
    I64,
    Bool,
    F16,
    F64,
    U32,
    U64,
    Bf16,
}

/// As numbered in the schema.
const TYPES: [(&str, Option<Element>); 17] = [
    ("none", None),
    ("float", Some(Element::F32)),
    ("uint8", Some(Element::U8)),
    ("int8", Some(Element::I8)),
    ("uint16", Some(Element::U16)),
    ("int16", Some(Element::I16)),
    ("int32", Some(Element::I32)),
    ("int64", Some(Element::I64)),
    ("string", None),
    ("bool", Some(Element::Bool)),
    ("float16", Some(Element::F16)),
    ("double", Some(Element::F64)),
    ("uint32", Some(Element::U32)),
    ("uint64", Some(Element::U64)),
    ("complex64", None),
    ("complex128", None),
    ("bfloat16", Some(Element::Bf16)),
];

fn entry(number: i32) -> Option<&'static (&'static str, Option<Element>)> {
    usize::try_from(number).ok().and_then(|at| TYPES.get(at))
}

/// The name of an element type, for errors.
pub fn type_name(number: i32) -> String {
    entry(number).map_or_else(|| number.to_string(), |(name, _)| (*name).to_owned())
}

impl Element {
    /// As numbered in the schema.
    pub fn of(number: i32) -> Option<Self> {
        entry(number).and_then(|(_, element)| *element)
    }

    /// The least and the largest number, of types to which models are quantised.
    pub fn range(self) -> Option<[i64; 2]> {
        match self {
            Self::U8 => Some([0, 255]),
            Self::I8 => Some([-128, 127]),
            Self::U16 => Some([0, 65_535]),
            Self::I16 => Some([-32_768, 32_767]),
            _ => None,
        }
    }

    fn bytes(self) -> usize {
        match self {
            Self::U8 | Self::I8 | Self::Bool => 1,
            Self::U16 | Self::I16 | Self::F16 | Self::Bf16 => 2,
            Self::F32 | Self::I32 | Self::U32 => 4,
            Self::F64 | Self::I64 | Self::U64 => 8,
        }
    }

    /// Little-endian values one after the other.
    fn read(self, bytes: &[u8]) -> Data {
        fn each<const N: usize, T>(bytes: &[u8], of: impl Fn([u8; N]) -> T) -> Vec<T> {
            let chunks = bytes.as_chunks::<N>().0;
            chunks.iter().map(|&chunk| of(chunk)).collect()
        }
        match self {
            Self::F32 => Data::Floats(each(bytes, f32::from_le_bytes)),
            Self::F64 => Data::Floats(each(bytes, |b| f64::from_le_bytes(b) as f32)),
            Self::F16 => Data::Floats(each(bytes, |b| f16::from_le_bytes(b).to_f32())),
            Self::Bf16 => Data::Floats(each(bytes, |b| bf16::from_le_bytes(b).to_f32())),
            Self::U8 | Self::Bool => Data::Ints(each(bytes, |b: [u8; 1]| i64::from(b[0]))),
            Self::I8 => Data::Ints(each(bytes, |b| i64::from(i8::from_le_bytes(b)))),
            Self::U16 => Data::Ints(each(bytes, |b| i64::from(u16::from_le_bytes(b)))),
            Self::I16 => Data::Ints(each(bytes, |b| i64::from(i16::from_le_bytes(b)))),
            Self::I32 => Data::Ints(each(bytes, |b| i64::from(i32::from_le_bytes(b)))),
            Self::U32 => Data::Ints(each(bytes, |b| i64::from(u32::from_le_bytes(b)))),
            Self::I64 => Data::Ints(each(bytes, i64::from_le_bytes)),
            Self::U64 => Data::Ints(each(bytes, |b| u64::from_le_bytes(b) as i64)),
        }
    }

    /// Values in the list for their type.
    fn typed(self, tensor: &Tensor) -> Data {
        let halves = |of: fn(u16) -> f32| {
            let bits = tensor.int32_data.iter();
            Data::Floats(bits.map(|&bits| of(bits as u16)).collect())
        };
        match self {
            Self::F32 => Data::Floats(tensor.float_data.clone()),
            Self::F64 => Data::Floats(tensor.double_data.iter().map(|&x| x as f32).collect()),
            Self::F16 => halves(|bits| f16::from_bits(bits).to_f32()),
            Self::Bf16 => halves(|bits| bf16::from_bits(bits).to_f32()),
            Self::I64 => Data::Ints(tensor.int64_data.clone()),
            Self::U32 | Self::U64 => {
                Data::Ints(tensor.uint64_data.iter().map(|&x| x as i64).collect())
            }
            _ => Data::Ints(tensor.int32_data.iter().map(|&x| i64::from(x)).collect()),
        }
    }
}

//! Element types, and the strided layout of tensors in a storage.

use half::{bf16, f16};

/// The element type of a storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ElementType {
    /// 64-bit floats, rounded to 32 bits when read.
    Float64,
    /// 32-bit floats.
    Float32,
    /// 16-bit floats of IEEE 754.
    Float16,
    /// The upper halves of 32-bit floats.
    BFloat16,
    /// 64-bit integers, which are not read: 32-bit floats are exact only below 2^24.
    Int64,
    /// 32-bit integers, which are not read either.
    Int32,
    /// 16-bit integers.
    Int16,
    /// Signed bytes.
    Int8,
    /// Unsigned bytes, which are also the booleans of PyTorch before 1.2.
    UInt8,
    /// Booleans, read as 0 and 1.
    Bool,
}

impl ElementType {
    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            Self::Float64 | Self::Int64 => 8,
            Self::Float32 | Self::Int32 => 4,
            Self::Float16 | Self::BFloat16 | Self::Int16 => 2,
            Self::Int8 | Self::UInt8 | Self::Bool => 1,
        }
    }

    /// PyTorch's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Float64 => "float64",
            Self::Float32 => "float32",
            Self::Float16 => "float16",
            Self::BFloat16 => "bfloat16",
            Self::Int64 => "int64",
            Self::Int32 => "int32",
            Self::Int16 => "int16",
            Self::Int8 => "int8",
            Self::UInt8 => "uint8",
            Self::Bool => "bool",
        }
    }

    /// Whether tensors of this type are read: 32-bit floats represent each value, 64-bit floats rounded.
    pub fn is_read(self) -> bool {
        !matches!(self, Self::Int64 | Self::Int32)
    }
}

/// The strided layout of a tensor in a storage: the element at index `i` is at `offset + sum(i * stride)`.
pub(crate) struct Layout {
    pub offset: usize,
    pub shape: Vec<usize>,
    /// In elements, one per dimension.
    pub stride: Vec<usize>,
}

impl Layout {
    /// Row-major from the storage's start.
    pub fn row_major(shape: Vec<usize>) -> Self {
        let mut stride = vec![1usize; shape.len()];
        for axis in (1..shape.len()).rev() {
            // An overflow only occurs for a tensor without elements, or one that is rejected.
            stride[axis - 1] = stride[axis].saturating_mul(shape[axis]);
        }
        Self {
            offset: 0,
            shape,
            stride,
        }
    }

    /// The number of elements; `None` on overflow.
    pub fn elements(&self) -> Option<usize> {
        if self.shape.contains(&0) {
            return Some(0);
        }
        self.shape
            .iter()
            .try_fold(1usize, |product, &axis| product.checked_mul(axis))
    }

    /// The required number of elements of the storage; `None` on overflow.
    pub fn extent(&self) -> Option<usize> {
        if self.shape.contains(&0) {
            return Some(0);
        }
        let last = self
            .shape
            .iter()
            .zip(&self.stride)
            .try_fold(self.offset, |last, (&axis, &stride)| {
                last.checked_add((axis - 1).checked_mul(stride)?)
            })?;
        last.checked_add(1)
    }

    fn is_row_major(&self) -> bool {
        let mut expected = 1;
        for (&axis, &stride) in self.shape.iter().zip(&self.stride).rev() {
            if axis != 1 && stride != expected {
                return false;
            }
            expected *= axis;
        }
        true
    }

    /// The tensor's elements in row-major order.
    ///
    /// `storage` must have [`Self::extent`] elements, and [`Self::elements`] must be within the allocation limit: callers check
    /// both.
    pub fn gather(&self, element: ElementType, storage: &[u8]) -> Vec<f32> {
        match element {
            ElementType::Float64 => self.pick(storage, |bytes| f64::from_le_bytes(bytes) as f32),
            ElementType::Float32 => self.pick(storage, f32::from_le_bytes),
            ElementType::Float16 => self.pick(storage, |bytes| f16::from_le_bytes(bytes).to_f32()),
            ElementType::BFloat16 => {
                self.pick(storage, |bytes| bf16::from_le_bytes(bytes).to_f32())
            }
            ElementType::Int64 => self.pick(storage, |bytes| i64::from_le_bytes(bytes) as f32),
            ElementType::Int32 => self.pick(storage, |bytes| i32::from_le_bytes(bytes) as f32),
            ElementType::Int16 => self.pick(storage, |bytes| i16::from_le_bytes(bytes).into()),
            ElementType::Int8 => self.pick(storage, |bytes| i8::from_le_bytes(bytes).into()),
            ElementType::UInt8 => self.pick(storage, |[byte]| byte.into()),
            ElementType::Bool => self.pick(storage, |[byte]| f32::from(byte != 0)),
        }
    }

    fn pick<const N: usize>(&self, storage: &[u8], value: impl Fn([u8; N]) -> f32) -> Vec<f32> {
        let (units, _) = storage.as_chunks::<N>();
        let elements = self.elements().unwrap_or(0);
        if elements == 0 {
            return Vec::new();
        }
        if self.is_row_major() {
            let units = &units[self.offset..self.offset + elements];
            return units.iter().map(|&unit| value(unit)).collect();
        }
        let mut data = Vec::with_capacity(elements);
        let mut index = vec![0; self.shape.len()];
        let mut position = self.offset;
        while data.len() < elements {
            data.push(value(units[position]));
            // Increments the last index; an index that reaches its size restarts at zero and increments the one before.
            for axis in (0..index.len()).rev() {
                if index[axis] + 1 < self.shape[axis] {
                    index[axis] += 1;
                    position += self.stride[axis];
                    break;
                }
                position -= index[axis] * self.stride[axis];
                index[axis] = 0;
            }
        }
        data
    }
}

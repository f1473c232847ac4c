//! Element types, and the strided layout of tensors in a storage.

use half::{bf16, f16};

/// The element type of a tensor.
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
    /// 8-bit floats with 4 bits of exponent, without infinity.
    Float8E4M3,
    /// 8-bit floats with 5 bits of exponent, with infinity.
    Float8E5M2,
    /// 8-bit floats with 4 bits of exponent, without infinity and negative zero.
    Float8E4M3Fnuz,
    /// 8-bit floats with 5 bits of exponent, without infinity and negative zero.
    Float8E5M2Fnuz,
    /// Powers of two, the scales of blocks of smaller floats.
    Float8E8M0,
    /// Pairs of 4-bit floats, which are not read: their scales are separate tensors.
    Float4,
    /// 64-bit integers, which are not read: 32-bit floats are exact only below 2^24.
    Int64,
    /// 32-bit integers, which are not read either.
    Int32,
    /// 16-bit integers.
    Int16,
    /// Signed bytes.
    Int8,
    /// Unsigned 64-bit integers, which are not read.
    UInt64,
    /// Unsigned 32-bit integers, which are not read.
    UInt32,
    /// Unsigned 16-bit integers.
    UInt16,
    /// Unsigned bytes, which are also the booleans of PyTorch before 1.2.
    UInt8,
    /// Booleans, read as 0 and 1.
    Bool,
    /// Complex numbers of two 16-bit floats, which are not read.
    Complex32,
    /// Complex numbers of two 32-bit floats, which are not read.
    Complex64,
    /// Complex numbers of two 64-bit floats, which are not read.
    Complex128,
}

/// Every element type with PyTorch's name and its size in bytes.
const TYPES: [(ElementType, &str, usize); 22] = [
    (ElementType::Float64, "float64", 8),
    (ElementType::Float32, "float32", 4),
    (ElementType::Float16, "float16", 2),
    (ElementType::BFloat16, "bfloat16", 2),
    (ElementType::Float8E4M3, "float8_e4m3fn", 1),
    (ElementType::Float8E5M2, "float8_e5m2", 1),
    (ElementType::Float8E4M3Fnuz, "float8_e4m3fnuz", 1),
    (ElementType::Float8E5M2Fnuz, "float8_e5m2fnuz", 1),
    (ElementType::Float8E8M0, "float8_e8m0fnu", 1),
    (ElementType::Float4, "float4_e2m1fn_x2", 1),
    (ElementType::Int64, "int64", 8),
    (ElementType::Int32, "int32", 4),
    (ElementType::Int16, "int16", 2),
    (ElementType::Int8, "int8", 1),
    (ElementType::UInt64, "uint64", 8),
    (ElementType::UInt32, "uint32", 4),
    (ElementType::UInt16, "uint16", 2),
    (ElementType::UInt8, "uint8", 1),
    (ElementType::Bool, "bool", 1),
    (ElementType::Complex32, "complex32", 4),
    (ElementType::Complex64, "complex64", 8),
    (ElementType::Complex128, "complex128", 16),
];

impl ElementType {
    fn facts(self) -> (ElementType, &'static str, usize) {
        let found = TYPES.into_iter().find(|(element, _, _)| *element == self);
        found.expect("every element type is in the table")
    }

    /// The element type with PyTorch's name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let found = TYPES.into_iter().find(|(_, known, _)| *known == name);
        found.map(|(element, _, _)| element)
    }

    /// Bytes of one element.
    pub fn size(self) -> usize {
        self.facts().2
    }

    /// PyTorch's name.
    pub fn name(self) -> &'static str {
        self.facts().1
    }

    /// Whether tensors of this type are read: 32-bit floats represent each value, 64-bit floats rounded.
    pub fn is_read(self) -> bool {
        !matches!(
            self,
            Self::Int64
                | Self::Int32
                | Self::UInt64
                | Self::UInt32
                | Self::Float4
                | Self::Complex32
                | Self::Complex64
                | Self::Complex128
        )
    }
}

/// The value of an 8-bit float of IEEE 754's form: a sign, `exponent` bits with this bias, and the rest mantissa. What stands for infinity and
/// NaN differs between the types and is decided by the caller.
fn small_float(byte: u8, exponent: u32, bias: i32) -> f32 {
    let mantissa_bits = 7 - exponent;
    let mantissa = f32::from(byte & ((1 << mantissa_bits) - 1)) / (1u32 << mantissa_bits) as f32;
    let stored = i32::from((byte & 0x7f) >> mantissa_bits);
    let magnitude = match stored {
        0 => mantissa * 2f32.powi(1 - bias),
        stored => (1.0 + mantissa) * 2f32.powi(stored - bias),
    };
    if byte & 0x80 == 0 {
        magnitude
    } else {
        -magnitude
    }
}

/// The value of a float8 (OCP 8-bit floating point specification, revision 1.0; the `fnuz` variants: Noune et al. 2022; E8M0: OCP microscaling
/// formats 1.0, section 5.4.1).
fn float8(element: ElementType, byte: u8) -> f32 {
    match (element, byte & 0x7f) {
        (ElementType::Float8E4M3, 0x7f) => f32::NAN,
        (ElementType::Float8E4M3, _) => small_float(byte, 4, 7),
        (ElementType::Float8E5M2, 0x7c) => f32::INFINITY.copysign(small_float(byte, 5, 15)),
        (ElementType::Float8E5M2, 0x7d..) => f32::NAN,
        (ElementType::Float8E5M2, _) => small_float(byte, 5, 15),
        // Minus zero stands for NaN.
        (ElementType::Float8E4M3Fnuz | ElementType::Float8E5M2Fnuz, 0) if byte != 0 => f32::NAN,
        (ElementType::Float8E4M3Fnuz, _) => small_float(byte, 4, 8),
        (ElementType::Float8E5M2Fnuz, _) => small_float(byte, 5, 16),
        _ if byte == 0xff => f32::NAN,
        _ => 2f32.powi(i32::from(byte) - 127),
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

    /// The tensor's elements in row-major order; zeros for a type that is not read.
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
            ElementType::Float8E4M3
            | ElementType::Float8E5M2
            | ElementType::Float8E4M3Fnuz
            | ElementType::Float8E5M2Fnuz
            | ElementType::Float8E8M0 => self.pick(storage, |[byte]| float8(element, byte)),
            ElementType::Int16 => self.pick(storage, |bytes| i16::from_le_bytes(bytes).into()),
            ElementType::Int8 => self.pick(storage, |bytes| i8::from_le_bytes(bytes).into()),
            ElementType::UInt16 => self.pick(storage, |bytes| u16::from_le_bytes(bytes).into()),
            ElementType::UInt8 => self.pick(storage, |[byte]| byte.into()),
            ElementType::Bool => self.pick(storage, |[byte]| f32::from(byte != 0)),
            _ => vec![0.0; self.elements().unwrap_or(0)],
        }
    }

    /// The indices of a sparse tensor in row-major order; `None` if the type is not one of indices. As for [`Self::gather`], callers
    /// check the sizes.
    pub fn gather_indices(&self, element: ElementType, storage: &[u8]) -> Option<Vec<i64>> {
        match element {
            ElementType::Int64 => Some(self.pick(storage, i64::from_le_bytes)),
            ElementType::Int32 => {
                Some(self.pick(storage, |bytes| i32::from_le_bytes(bytes).into()))
            }
            _ => None,
        }
    }

    fn pick<const N: usize, T>(&self, storage: &[u8], value: impl Fn([u8; N]) -> T) -> Vec<T> {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Values that `torch` 2.15 gives for `torch.tensor([BYTE], dtype=torch.uint8).view(TYPE).float()`.
    #[test]
    fn float8_values_are_those_of_pytorch() {
        use ElementType::*;
        for (element, byte, value) in [
            (Float8E4M3, 0x00, 0.0),
            (Float8E4M3, 0x01, 0.001953125),
            (Float8E4M3, 0x38, 1.0),
            (Float8E4M3, 0x7e, 448.0),
            (Float8E4M3, 0xc4, -3.0),
            (Float8E5M2, 0x01, 1.525_878_9e-5),
            (Float8E5M2, 0x3c, 1.0),
            (Float8E5M2, 0x7b, 57344.0),
            (Float8E5M2, 0x7c, f32::INFINITY),
            (Float8E5M2, 0xfc, f32::NEG_INFINITY),
            (Float8E4M3Fnuz, 0x40, 1.0),
            (Float8E4M3Fnuz, 0x7f, 240.0),
            (Float8E5M2Fnuz, 0x40, 1.0),
            (Float8E5M2Fnuz, 0x7f, 57344.0),
            (Float8E8M0, 0x7f, 1.0),
            (Float8E8M0, 0x00, 5.877_472e-39),
        ] {
            assert_eq!(float8(element, byte), value, "{element:?} {byte:#04x}");
        }
        for (element, byte) in [
            (Float8E4M3, 0x7f),
            (Float8E4M3, 0xff),
            (Float8E5M2, 0x7f),
            (Float8E4M3Fnuz, 0x80),
            (Float8E5M2Fnuz, 0x80),
            (Float8E8M0, 0xff),
        ] {
            assert!(float8(element, byte).is_nan(), "{element:?} {byte:#04x}");
        }
    }
}

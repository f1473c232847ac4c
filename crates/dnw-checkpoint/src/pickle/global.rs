//! The globals that a pickle may use.

use crate::ElementType;

/// An allowed global. None is ever called: the machine builds its result itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Global {
    /// `collections.OrderedDict`: a dictionary.
    OrderedDict,
    /// `torch._utils._rebuild_tensor_v2`: a tensor from its storage, offset, shape and strides.
    RebuildTensor,
    /// `torch._utils._rebuild_parameter`: a parameter, read as its tensor.
    RebuildParameter,
    /// `torch.Size`: a shape.
    Size,
    /// `torch.FloatStorage` and similar: the element type of a storage.
    StorageType(ElementType),
}

impl Global {
    /// The global `module.name`, if it is allowed.
    pub fn find(module: &str, name: &str) -> Option<Self> {
        Some(match (module, name) {
            ("collections", "OrderedDict") => Self::OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2") => Self::RebuildTensor,
            ("torch._utils", "_rebuild_parameter") => Self::RebuildParameter,
            ("torch", "Size") => Self::Size,
            ("torch", storage) => Self::StorageType(match storage {
                "DoubleStorage" => ElementType::Float64,
                "FloatStorage" => ElementType::Float32,
                "HalfStorage" => ElementType::Float16,
                "BFloat16Storage" => ElementType::BFloat16,
                "LongStorage" => ElementType::Int64,
                "IntStorage" => ElementType::Int32,
                "ShortStorage" => ElementType::Int16,
                "CharStorage" => ElementType::Int8,
                "ByteStorage" => ElementType::UInt8,
                "BoolStorage" => ElementType::Bool,
                _ => return None,
            }),
            _ => return None,
        })
    }
}

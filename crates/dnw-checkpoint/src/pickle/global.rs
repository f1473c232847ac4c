//! The globals that are known.

use crate::ElementType;

/// A known global. None is ever called: the machine builds its result itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Global {
    /// `collections.OrderedDict` and `collections.defaultdict`: a dictionary.
    Dictionary,
    /// `torch._utils._rebuild_tensor_v2`: a tensor from its storage, offset, shape and strides.
    RebuildTensor,
    /// `torch._utils._rebuild_tensor_v3`: the same, and the type of its elements.
    RebuildTypedTensor,
    /// `torch._utils._rebuild_sparse_tensor`: a sparse tensor from its layout, indices and values.
    RebuildSparseTensor,
    /// `torch._utils._rebuild_parameter` and `_rebuild_parameter_with_state`: a parameter, read as its tensor.
    RebuildParameter,
    /// `torch._tensor._rebuild_from_type_v2`: a tensor with attributes or of a derived class, from the function that makes the tensor.
    RebuildFromType,
    /// `torch.serialization._get_layout`: a layout from its name.
    GetLayout,
    /// `torch.Size`: a shape.
    Size,
    /// `torch.FloatStorage` and similar: the element type of a storage.
    StorageType(ElementType),
    /// `torch.float8_e4m3fn` and similar: an element type.
    Element(ElementType),
}

impl Global {
    /// The global `module.name`, if it is known.
    pub fn find(module: &str, name: &str) -> Option<Self> {
        Some(match (module, name) {
            ("collections", "OrderedDict" | "defaultdict") => Self::Dictionary,
            ("torch._utils", "_rebuild_tensor_v2") => Self::RebuildTensor,
            ("torch._utils", "_rebuild_tensor_v3") => Self::RebuildTypedTensor,
            ("torch._utils", "_rebuild_sparse_tensor") => Self::RebuildSparseTensor,
            ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => {
                Self::RebuildParameter
            }
            ("torch._tensor", "_rebuild_from_type_v2") => Self::RebuildFromType,
            ("torch.serialization", "_get_layout") => Self::GetLayout,
            ("torch", "Size") => Self::Size,
            // Its elements are bytes; each of its tensors has a type of its own.
            ("torch.storage", "UntypedStorage") => Self::StorageType(ElementType::UInt8),
            ("torch", name) => match name.strip_suffix("Storage") {
                Some(class) => Self::StorageType(storage_type(class)?),
                None => Self::Element(ElementType::named(name)?),
            },
            _ => return None,
        })
    }
}

/// The element type of the storage class `torch.<class>Storage`.
fn storage_type(class: &str) -> Option<ElementType> {
    Some(match class {
        "Double" => ElementType::Float64,
        "Float" => ElementType::Float32,
        "Half" => ElementType::Float16,
        "BFloat16" => ElementType::BFloat16,
        "Long" => ElementType::Int64,
        "Int" => ElementType::Int32,
        "Short" => ElementType::Int16,
        "Char" => ElementType::Int8,
        "Byte" => ElementType::UInt8,
        "Bool" => ElementType::Bool,
        "ComplexFloat" => ElementType::Complex64,
        "ComplexDouble" => ElementType::Complex128,
        _ => return None,
    })
}

/// PyTorch's layouts of sparse tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SparseLayout {
    /// `torch.sparse_coo`: coordinates.
    Coordinates,
    /// `torch.sparse_csr` and `torch.sparse_bsr`: compressed rows, of entries or of blocks.
    Rows,
    /// `torch.sparse_csc` and `torch.sparse_bsc`: compressed columns, of entries or of blocks.
    Columns,
}

impl SparseLayout {
    /// The layout with PyTorch's name.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "torch.sparse_coo" => Self::Coordinates,
            "torch.sparse_csr" | "torch.sparse_bsr" => Self::Rows,
            "torch.sparse_csc" | "torch.sparse_bsc" => Self::Columns,
            _ => return None,
        })
    }
}

//! Persistent ids, calls and object states.
//!
//! In Python these three execute code that the pickle selects. Here the few forms that PyTorch writes for tensors are understood, and
//! everything else is an opaque [`Value::Object`].

use super::machine::Machine;
use super::{
    Foreign, Global, Id, Object, SparseLayout, SparseTensor, Storage, StridedTensor, Value,
};
use crate::limits;
use crate::{CheckpointError, ElementType};

impl<'a> Machine<'a> {
    /// A persistent id: `("storage", type, key, location, elements)`, before PyTorch 1.6 with a view, always `None`
    /// since 0.4; or `("module", class, ..)` in whole pickled models of that time.
    pub(super) fn persistent(&mut self) -> Result<(), CheckpointError> {
        let id = self.pop()?;
        let value = match self.items(id) {
            Some(&[kind, class, ..]) if matches!(self.value(kind), Value::Text("module")) => {
                return self.push_id(class);
            }
            Some([kind, of, key, _location, elements, view @ ..])
                if view.len() <= 1 && matches!(self.value(*kind), Value::Text("storage")) =>
            {
                let whole = view
                    .iter()
                    .all(|&view| matches!(self.value(view), Value::None));
                match (self.value(*of), self.value(*key), self.value(*elements)) {
                    // A type that is not known, such as that of quantized tensors.
                    (&Value::Foreign(foreign), _, _) => Some(foreign.into()),
                    (
                        &Value::Global(Global::StorageType(element)),
                        &Value::Text(key),
                        &Value::Int(elements),
                    ) if whole && elements >= 0 => Some(Value::Storage(Storage {
                        key,
                        element,
                        elements: elements as u64,
                    })),
                    _ => None,
                }
            }
            _ => None,
        };
        match value {
            Some(value) => self.push(value),
            None => Err(self.wrong("a persistent id does not describe a storage")),
        }
    }

    fn items(&self, tuple: Id) -> Option<&[Id]> {
        match self.value(tuple) {
            Value::Tuple(items) => Some(items),
            _ => None,
        }
    }

    /// A copy of a short tuple. Its length is bounded because a pickle can refer to one tuple many times.
    fn few(&self, tuple: Id) -> Result<Vec<Id>, CheckpointError> {
        match self.items(tuple) {
            Some(items) if items.len() <= 8 => Ok(items.to_vec()),
            Some(items) => Err(self.wrong(format!("a call with {} arguments", items.len()))),
            None => Err(self.wrong("the arguments of a call are no tuple")),
        }
    }

    /// A call.
    pub(super) fn reduce(&mut self) -> Result<(), CheckpointError> {
        let arguments = self.pop()?;
        let callee = self.pop()?;
        if self.items(arguments).is_none() {
            return Err(self.wrong("the arguments of a call are no tuple"));
        }
        match *self.value(callee) {
            Value::Global(global) => {
                let arguments = self.few(arguments)?;
                self.call(global, &arguments)
            }
            Value::Foreign(class) => self.object(class, arguments),
            Value::Object(ref object) => {
                let class = object.class;
                self.push(class.into())
            }
            ref other => Err(CheckpointError::Forbidden {
                what: format!("a call of {}", other.kind()),
                at: self.at,
            }),
        }
    }

    /// An object of a class, with the arguments of its `__new__`.
    pub(super) fn new_object(&mut self) -> Result<(), CheckpointError> {
        let arguments = self.pop()?;
        let class = self.pop()?;
        match *self.value(class) {
            Value::Foreign(class) => self.object(class, arguments),
            Value::Global(Global::Dictionary) => self.push(Value::Dict(Vec::new())),
            ref other => Err(CheckpointError::Forbidden {
                what: format!("an object of {}", other.kind()),
                at: self.at,
            }),
        }
    }

    fn object(&mut self, class: Foreign<'a>, arguments: Id) -> Result<(), CheckpointError> {
        self.push(Value::Object(Box::new(Object {
            class,
            arguments: Some(arguments),
            state: None,
        })))
    }

    /// The call of a known global.
    fn call(&mut self, global: Global, arguments: &[Id]) -> Result<(), CheckpointError> {
        match (global, arguments) {
            (Global::Dictionary, []) => self.push(Value::Dict(Vec::new())),
            (Global::Dictionary, &[content]) => self.dictionary(content),
            // `requires_grad`, hooks and attributes are ignored.
            (Global::RebuildParameter, &[data, _, _] | &[data, _, _, _]) => {
                match self.value(data) {
                    Value::Tensor(_) | Value::Sparse(_) | Value::Object(_) => self.push_id(data),
                    _ => Err(self.wrong("a parameter is no tensor")),
                }
            }
            // The function that makes the tensor, its class, the function's arguments, the attributes.
            (Global::RebuildFromType, &[function, class, inner, _state]) => {
                match *self.value(function) {
                    Value::Global(function) if function != Global::RebuildFromType => {
                        let inner = self.few(inner)?;
                        self.call(function, &inner)
                    }
                    _ => match *self.value(class) {
                        Value::Foreign(class) => self.push(class.into()),
                        _ => Err(self.wrong("a tensor of a derived class has no class")),
                    },
                }
            }
            (Global::Size, &[shape]) => match self.value(shape) {
                Value::Tuple(_) => self.push_id(shape),
                _ => Err(self.wrong("a shape is no tuple")),
            },
            (Global::GetLayout, &[name]) => {
                let &Value::Text(name) = self.value(name) else {
                    return Err(self.wrong("the name of a layout is no text"));
                };
                self.push(match SparseLayout::named(name) {
                    Some(layout) => Value::Layout(layout),
                    None => Foreign {
                        module: "torch",
                        name,
                    }
                    .into(),
                })
            }
            (Global::RebuildTensor, &[storage, offset, shape, stride, ref rest @ ..])
                if rest.len() <= 3 =>
            {
                self.check_plain(rest.get(2))?;
                self.tensor(storage, [offset, shape, stride], None)
            }
            (Global::RebuildTypedTensor, &[storage, offset, shape, stride, ref rest @ ..])
                if (3..=4).contains(&rest.len()) =>
            {
                self.check_plain(rest.get(3))?;
                self.tensor(storage, [offset, shape, stride], Some(rest[2]))
            }
            (Global::RebuildSparseTensor, &[layout, data]) => {
                let data = self.few(data)?;
                match *self.value(layout) {
                    Value::Layout(layout) => self.sparse(layout, &data),
                    _ => Err(self.wrong("a sparse tensor has no layout")),
                }
            }
            (Global::StorageType(element) | Global::Element(element), _) => {
                Err(CheckpointError::Forbidden {
                    what: format!("a call of the element type {}", element.name()),
                    at: self.at,
                })
            }
            (_, arguments) => {
                let count = arguments.len();
                Err(self.wrong(format!("a call of {global:?} with {count} arguments")))
            }
        }
    }

    /// A dictionary with an argument: the class of a `defaultdict`'s missing values, or the pairs of an ordered dictionary of Python 2.
    fn dictionary(&mut self, content: Id) -> Result<(), CheckpointError> {
        let entries = match self.value(content) {
            Value::Foreign(_) | Value::None => Vec::new(),
            Value::List(pairs) => {
                let pair = |&pair: &Id| match self.value(pair) {
                    Value::List(items) | Value::Tuple(items) => {
                        <[Id; 2]>::try_from(&items[..]).ok()
                    }
                    _ => None,
                };
                let pairs: Option<Vec<[Id; 2]>> = pairs.iter().map(pair).collect();
                let Some(pairs) = pairs else {
                    return Err(self.wrong("the pairs of a dictionary are none"));
                };
                // A pickle can refer to one list many times; each pair of its own has at least three bytes.
                self.copied += pairs.len();
                let limit = self.length() as u64;
                limits::check("pairs of dictionaries", self.copied as u64, limit)?;
                pairs.into_iter().map(|[key, value]| (key, value)).collect()
            }
            _ => return Err(self.wrong("a dictionary is made of something that is not pairs")),
        };
        self.push(Value::Dict(entries))
    }

    /// Refuses a view whose values are stored negated or conjugated: the dictionary at the end of a tensor's arguments says so.
    fn check_plain(&self, metadata: Option<&Id>) -> Result<(), CheckpointError> {
        let Some(&metadata) = metadata else {
            return Ok(());
        };
        match self.value(metadata) {
            Value::Dict(entries) if entries.is_empty() => Ok(()),
            Value::None => Ok(()),
            _ => Err(CheckpointError::Forbidden {
                what: "a tensor that is stored as a negated or conjugated view".into(),
                at: self.at,
            }),
        }
    }

    /// A tensor; with the type of its elements, if that is not the storage's.
    fn tensor(
        &mut self,
        storage: Id,
        [offset, shape, stride]: [Id; 3],
        element: Option<Id>,
    ) -> Result<(), CheckpointError> {
        let storage = match *self.value(storage) {
            Value::Storage(storage) => storage,
            Value::Object(ref object) => {
                let class = object.class;
                return self.push(class.into());
            }
            _ => return Err(self.wrong("a tensor has no storage")),
        };
        let element = match element {
            None => storage.element,
            Some(element) => match *self.value(element) {
                Value::Global(Global::Element(element)) => element,
                Value::Foreign(foreign) => return self.push(foreign.into()),
                _ => return Err(self.wrong("the element type of a tensor is none")),
            },
        };
        if storage.element != element && storage.element != ElementType::UInt8 {
            return Err(self.wrong(format!(
                "a tensor of {} is in a storage of {}",
                element.name(),
                storage.element.name()
            )));
        }
        let offset = self.not_negative(offset)?;
        let shape = self.axes(shape)?;
        let stride = self.axes(stride)?;
        if shape.len() != stride.len() {
            return Err(self.wrong(format!(
                "a tensor has {} axes and {} strides",
                shape.len(),
                stride.len()
            )));
        }
        self.push(Value::Tensor(Box::new(StridedTensor {
            storage,
            element,
            offset,
            shape,
            stride,
        })))
    }

    /// A sparse tensor: `(indices, values, shape, ..)` in coordinates, `(compressed, plain, values, shape)` otherwise.
    fn sparse(&mut self, layout: SparseLayout, data: &[Id]) -> Result<(), CheckpointError> {
        let (indices, values, shape) = match (layout, data) {
            (SparseLayout::Coordinates, &[indices, values, shape])
            | (SparseLayout::Coordinates, &[indices, values, shape, _]) => {
                (vec![indices], values, shape)
            }
            (SparseLayout::Rows | SparseLayout::Columns, &[compressed, plain, values, shape]) => {
                (vec![compressed, plain], values, shape)
            }
            _ => return Err(self.wrong("a sparse tensor has other parts than its layout")),
        };
        let strided = |id: Id| match self.value(id) {
            Value::Tensor(tensor) => Ok(StridedTensor::clone(tensor)),
            _ => Err(self.wrong("a part of a sparse tensor is no tensor")),
        };
        let sparse = SparseTensor {
            layout,
            indices: indices.into_iter().map(strided).collect::<Result<_, _>>()?,
            values: strided(values)?,
            shape: self.axes(shape)?,
        };
        self.push(Value::Sparse(Box::new(sparse)))
    }

    fn not_negative(&self, id: Id) -> Result<u64, CheckpointError> {
        match *self.value(id) {
            Value::Int(number) if number >= 0 => Ok(number as u64),
            Value::Int(number) => Err(self.wrong(format!("a tensor has a size of {number}"))),
            _ => Err(self.wrong("a size is no number of 64 bits")),
        }
    }

    fn axes(&self, tuple: Id) -> Result<Vec<u64>, CheckpointError> {
        let Some(items) = self.items(tuple) else {
            return Err(self.wrong("the shape or the strides of a tensor are no tuple"));
        };
        limits::check("axes of a tensor", items.len() as u64, limits::RANK as u64)?;
        items.iter().map(|&item| self.not_negative(item)).collect()
    }

    /// Attributes of an object: those of modules' ordered dictionaries (`_metadata`) are ignored.
    pub(super) fn build(&mut self) -> Result<(), CheckpointError> {
        let state = self.pop()?;
        let object = self.pop()?;
        if let Value::Object(object) = self.value_mut(object) {
            object.state = Some(state);
        }
        match (self.value(object), self.value(state)) {
            (Value::Dict(_), Value::Dict(_)) | (Value::Object(_), _) => self.push_id(object),
            (object, _) => Err(CheckpointError::Forbidden {
                what: format!("setting the state of {}", object.kind()),
                at: self.at,
            }),
        }
    }
}

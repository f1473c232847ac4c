//! Persistent ids, calls and object states.
//!
//! In Python these three execute code that the pickle selects. Here only the few forms that PyTorch writes are supported.

use super::machine::Machine;
use super::{Global, Id, Storage, StridedTensor, Value};
use crate::CheckpointError;
use crate::limits;

impl<'a> Machine<'a> {
    /// A persistent id: `("storage", type, key, location, elements)`, before PyTorch 1.6 with a view, always `None`
    /// since 0.4.
    pub(super) fn storage(&mut self) -> Result<(), CheckpointError> {
        let id = self.pop()?;
        let storage = match self.items(id) {
            Some([kind, of, key, _location, elements, view @ ..]) if view.len() <= 1 => {
                let whole = view
                    .iter()
                    .all(|&view| matches!(self.value(view), Value::None));
                let is_storage = matches!(self.value(*kind), Value::Text("storage"));
                match (self.value(*of), self.value(*key), self.value(*elements)) {
                    (
                        &Value::Global(Global::StorageType(element)),
                        &Value::Text(key),
                        &Value::Int(elements),
                    ) if is_storage && whole && elements >= 0 => Some(Storage {
                        key,
                        element,
                        elements: elements as u64,
                    }),
                    _ => None,
                }
            }
            _ => None,
        };
        match storage {
            Some(storage) => self.push(Value::Storage(storage)),
            None => Err(self.wrong("a persistent id does not describe a storage")),
        }
    }

    fn items(&self, tuple: Id) -> Option<&[Id]> {
        match self.value(tuple) {
            Value::Tuple(items) => Some(items),
            _ => None,
        }
    }

    /// The call of an allowed global.
    pub(super) fn reduce(&mut self) -> Result<(), CheckpointError> {
        let arguments = self.pop()?;
        let callee = self.pop()?;
        let &Value::Global(global) = self.value(callee) else {
            let kind = self.value(callee).kind();
            return Err(CheckpointError::Forbidden {
                what: format!("a call of {kind}"),
                at: self.at,
            });
        };
        let Some(arguments) = self.items(arguments) else {
            return Err(self.wrong("the arguments of a call are no tuple"));
        };
        match (global, arguments) {
            (Global::OrderedDict, []) => self.push(Value::Dict(Vec::new())),
            // `requires_grad` and hooks are ignored.
            (Global::RebuildParameter, &[data, _learns, _hooks]) => match self.value(data) {
                Value::Tensor(_) => self.push_id(data),
                _ => Err(self.wrong("a parameter is no tensor")),
            },
            (Global::Size, &[shape]) => match self.value(shape) {
                Value::Tuple(_) => self.push_id(shape),
                _ => Err(self.wrong("a shape is no tuple")),
            },
            (Global::RebuildTensor, &[storage, offset, shape, stride, ..])
                if arguments.len() <= 7 =>
            {
                let tensor = self.tensor(storage, offset, shape, stride)?;
                self.push(Value::Tensor(Box::new(tensor)))
            }
            (Global::StorageType(element), _) => Err(CheckpointError::Forbidden {
                what: format!("a call of the type of {} storages", element.name()),
                at: self.at,
            }),
            (_, arguments) => {
                let count = arguments.len();
                Err(self.wrong(format!("a call of {global:?} with {count} arguments")))
            }
        }
    }

    fn tensor(
        &self,
        storage: Id,
        offset: Id,
        shape: Id,
        stride: Id,
    ) -> Result<StridedTensor<'a>, CheckpointError> {
        let &Value::Storage(storage) = self.value(storage) else {
            return Err(self.wrong("a tensor has no storage"));
        };
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
        Ok(StridedTensor {
            storage,
            offset,
            shape,
            stride,
        })
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
        match (self.value(object), self.value(state)) {
            (Value::Dict(_), Value::Dict(_)) => self.push_id(object),
            (object, _) => Err(CheckpointError::Forbidden {
                what: format!("setting the state of {}", object.kind()),
                at: self.at,
            }),
        }
    }
}

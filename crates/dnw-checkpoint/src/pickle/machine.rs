//! The stack machine.
//!
//! Its instructions behave as in CPython's `pickle`. Each instruction has at least one byte and creates at most one value, and no
//! instruction copies a container, so time and memory are proportional to the length of the pickle.

use std::collections::HashMap;

use super::opcode::{self, *};
use super::{Foreign, Global, Id, Pickle, Value};
use crate::CheckpointError;
use crate::limits;

/// Reads the pickle that begins at `start`, up to and including its STOP.
pub fn parse(bytes: &[u8], start: usize) -> Result<Pickle<'_>, CheckpointError> {
    let mut machine = Machine {
        bytes,
        position: start,
        at: start,
        values: Vec::new(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        copied: 0,
    };
    let root = machine.run()?;
    Ok(Pickle {
        values: machine.values,
        root,
        end: machine.position,
    })
}

pub(super) struct Machine<'a> {
    bytes: &'a [u8],
    position: usize,
    /// The offset of the current instruction.
    pub(super) at: usize,
    values: Vec<Value<'a>>,
    stack: Vec<Id>,
    /// Heights of the stack at the open marks.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
    /// The pairs that were copied from lists into dictionaries.
    pub(super) copied: usize,
}

/// Reads a length in one of the forms that instructions have.
type ReadLength<'a> = fn(&mut Machine<'a>) -> Result<u64, CheckpointError>;

impl<'a> Machine<'a> {
    fn run(&mut self) -> Result<Id, CheckpointError> {
        loop {
            self.at = self.position;
            let [opcode] = self.array()?;
            match opcode {
                STOP => {
                    let root = self.pop()?;
                    if !self.stack.is_empty() || !self.marks.is_empty() {
                        return Err(self.wrong("it ends with more than one value"));
                    }
                    return Ok(root);
                }
                PROTO => {
                    let [protocol] = self.array()?;
                    if !(2..=5).contains(&protocol) {
                        return Err(self.wrong(format!("protocol {protocol} is not read")));
                    }
                }
                // The length of what follows helps readers of streams; the bytes are all here.
                FRAME => drop(self.array::<8>()?),
                MARK => {
                    self.room_on_stack(self.marks.len())?;
                    self.marks.push(self.stack.len());
                }
                POP if self.marks.last() == Some(&self.stack.len()) => drop(self.marks.pop()),
                POP => drop(self.pop()?),
                POP_MARK => drop(self.pop_to_mark()?),

                NONE => self.push(Value::None)?,
                NEWTRUE => self.push(Value::Bool(true))?,
                NEWFALSE => self.push(Value::Bool(false))?,
                BININT => {
                    let number = i32::from_le_bytes(self.array()?);
                    self.push(Value::Int(number.into()))?;
                }
                BININT1 => {
                    let [number] = self.array()?;
                    self.push(Value::Int(number.into()))?;
                }
                BININT2 => {
                    let number = u16::from_le_bytes(self.array()?);
                    self.push(Value::Int(number.into()))?;
                }
                LONG1 => self.long(Self::length8)?,
                LONG4 => self.long(Self::signed_length32)?,
                BINFLOAT => {
                    self.array::<8>()?;
                    self.push(Value::Float)?;
                }

                SHORT_BINUNICODE => self.text(Self::length8)?,
                BINUNICODE => self.text(Self::length32)?,
                BINUNICODE8 => self.text(Self::length64)?,
                SHORT_BINSTRING => self.python2_string(Self::length8)?,
                BINSTRING => self.python2_string(Self::signed_length32)?,
                SHORT_BINBYTES => self.plain_bytes(Self::length8)?,
                BINBYTES => self.plain_bytes(Self::length32)?,
                BINBYTES8 | BYTEARRAY8 => self.plain_bytes(Self::length64)?,

                EMPTY_LIST => self.push(Value::List(Vec::new()))?,
                APPEND => {
                    let item = self.pop()?;
                    self.append(&[item])?;
                }
                APPENDS => self.pop_to_mark().and_then(|items| self.append(&items))?,
                EMPTY_TUPLE => self.push(Value::Tuple(Vec::new()))?,
                TUPLE1 => self.tuple::<1>()?,
                TUPLE2 => self.tuple::<2>()?,
                TUPLE3 => self.tuple::<3>()?,
                TUPLE => {
                    let items = self.pop_to_mark()?;
                    self.push(Value::Tuple(items))?;
                }
                EMPTY_DICT => self.push(Value::Dict(Vec::new()))?,
                SETITEM => {
                    let value = self.pop()?;
                    let key = self.pop()?;
                    self.set_items(&[key, value])?;
                }
                SETITEMS => self
                    .pop_to_mark()
                    .and_then(|items| self.set_items(&items))?,

                BINPUT => {
                    let [index] = self.array()?;
                    self.put(index.into())?;
                }
                LONG_BINPUT => {
                    let index = u32::from_le_bytes(self.array()?);
                    self.put(index)?;
                }
                // There are never more entries than values, and of these fewer than 2^32.
                MEMOIZE => self.put(self.memo.len() as u32)?,
                BINGET => {
                    let [index] = self.array()?;
                    self.get(index.into())?;
                }
                LONG_BINGET => {
                    let index = u32::from_le_bytes(self.array()?);
                    self.get(index)?;
                }

                GLOBAL => {
                    let module = self.line()?;
                    let name = self.line()?;
                    self.global(module, name)?;
                }
                STACK_GLOBAL => {
                    let name = self.pop()?;
                    let module = self.pop()?;
                    let (&Value::Text(module), &Value::Text(name)) =
                        (self.value(module), self.value(name))
                    else {
                        return Err(self.wrong("a name to fetch is not text"));
                    };
                    self.global(module, name)?;
                }
                BINPERSID => self.persistent()?,
                REDUCE => self.reduce()?,
                NEWOBJ => self.new_object()?,
                NEWOBJ_EX => {
                    let _keywords = self.pop()?;
                    self.new_object()?;
                }
                BUILD => self.build()?,

                EMPTY_SET => self.push(Value::Set)?,
                ADDITEMS => self.pop_to_mark().and_then(|items| self.add(&items))?,
                FROZENSET => {
                    self.pop_to_mark()?;
                    self.push(Value::Set)?;
                }

                other => {
                    return Err(CheckpointError::Forbidden {
                        what: opcode::refused(other),
                        at: self.at,
                    });
                }
            }
        }
    }

    pub(super) fn wrong(&self, what: impl Into<String>) -> CheckpointError {
        CheckpointError::Pickle {
            what: what.into(),
            at: self.at,
        }
    }

    // Bytes of the pickle.

    /// How many bytes there are, other pickles in front included.
    pub(super) fn length(&self) -> usize {
        self.bytes.len()
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], CheckpointError> {
        let rest = &self.bytes[self.position..];
        let taken = usize::try_from(length).ok().and_then(|n| rest.get(..n));
        let Some(taken) = taken else {
            return Err(self.wrong(format!(
                "it needs {length} more bytes, there are {}",
                rest.len()
            )));
        };
        self.position += taken.len();
        Ok(taken)
    }

    /// The bytes after a length.
    fn counted(&mut self, length: ReadLength<'a>) -> Result<&'a [u8], CheckpointError> {
        let length = length(self)?;
        self.take(length)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], CheckpointError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N as u64)?);
        Ok(array)
    }

    fn length8(&mut self) -> Result<u64, CheckpointError> {
        Ok(self.array::<1>()?[0].into())
    }

    fn length32(&mut self) -> Result<u64, CheckpointError> {
        Ok(u32::from_le_bytes(self.array()?).into())
    }

    fn signed_length32(&mut self) -> Result<u64, CheckpointError> {
        let length = i32::from_le_bytes(self.array()?);
        u64::try_from(length).map_err(|_| self.wrong(format!("a length of {length}")))
    }

    fn length64(&mut self) -> Result<u64, CheckpointError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// Reads text up to and including the next line feed.
    fn line(&mut self) -> Result<&'a str, CheckpointError> {
        let rest = &self.bytes[self.position..];
        let window = &rest[..rest.len().min(limits::GLOBAL_BYTES + 1)];
        let Some(length) = window.iter().position(|&byte| byte == b'\n') else {
            return Err(self.wrong("a name to fetch has no end"));
        };
        self.position += length + 1;
        str::from_utf8(&window[..length])
            .map_err(|_| self.wrong("a name to fetch is not UTF-8 text"))
    }

    // The stack.

    pub(super) fn value(&self, id: Id) -> &Value<'a> {
        &self.values[id.0 as usize]
    }

    pub(super) fn value_mut(&mut self, id: Id) -> &mut Value<'a> {
        &mut self.values[id.0 as usize]
    }

    fn room_on_stack(&self, height: usize) -> Result<(), CheckpointError> {
        let limit = limits::STACK as u64;
        limits::check("values on the pickle's stack", height as u64 + 1, limit)
    }

    pub(super) fn push(&mut self, value: Value<'a>) -> Result<(), CheckpointError> {
        let number = self.values.len();
        let limit = limits::VALUES as u64;
        limits::check("values in the pickle", number as u64 + 1, limit)?;
        self.values.push(value);
        self.push_id(Id(number as u32))
    }

    pub(super) fn push_id(&mut self, id: Id) -> Result<(), CheckpointError> {
        self.room_on_stack(self.stack.len())?;
        self.stack.push(id);
        Ok(())
    }

    pub(super) fn pop(&mut self) -> Result<Id, CheckpointError> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.pop() {
            Some(id) if self.stack.len() >= floor => Ok(id),
            _ => Err(self.wrong("it takes a value that is not there")),
        }
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Id>, CheckpointError> {
        match self.marks.pop() {
            Some(height) => Ok(self.stack.split_off(height)),
            None => Err(self.wrong("it takes values up to a mark that is not there")),
        }
    }

    /// The container on top of the stack, which stays there.
    fn top(&mut self) -> Result<&mut Value<'a>, CheckpointError> {
        let id = self.pop()?;
        self.stack.push(id);
        Ok(&mut self.values[id.0 as usize])
    }

    // Building values.

    fn long(&mut self, length: ReadLength<'a>) -> Result<(), CheckpointError> {
        let bytes = self.counted(length)?;
        if bytes.len() > 8 {
            return self.push(Value::Long(bytes));
        }
        let negative = bytes.last().is_some_and(|&byte| byte >= 0x80);
        let mut extended = [if negative { 0xff } else { 0 }; 8];
        extended[..bytes.len()].copy_from_slice(bytes);
        self.push(Value::Int(i64::from_le_bytes(extended)))
    }

    fn text(&mut self, length: ReadLength<'a>) -> Result<(), CheckpointError> {
        match str::from_utf8(self.counted(length)?) {
            Ok(text) => self.push(Value::Text(text)),
            Err(_) => Err(self.wrong("a text is not UTF-8")),
        }
    }

    fn python2_string(&mut self, length: ReadLength<'a>) -> Result<(), CheckpointError> {
        let bytes = self.counted(length)?;
        self.push(match str::from_utf8(bytes) {
            Ok(text) => Value::Text(text),
            Err(_) => Value::Bytes(bytes),
        })
    }

    fn plain_bytes(&mut self, length: ReadLength<'a>) -> Result<(), CheckpointError> {
        let bytes = self.counted(length)?;
        self.push(Value::Bytes(bytes))
    }

    fn tuple<const N: usize>(&mut self) -> Result<(), CheckpointError> {
        let mut items = [Id(0); N];
        for item in items.iter_mut().rev() {
            *item = self.pop()?;
        }
        self.push(Value::Tuple(items.to_vec()))
    }

    fn append(&mut self, items: &[Id]) -> Result<(), CheckpointError> {
        match self.top()? {
            Value::List(list) => list.extend_from_slice(items),
            Value::Object(_) => {}
            _ => return Err(self.wrong("it appends to something that is not a list")),
        }
        Ok(())
    }

    /// Adds to a set; elements are not kept.
    fn add(&mut self, _items: &[Id]) -> Result<(), CheckpointError> {
        match self.top()? {
            Value::Set | Value::Object(_) => Ok(()),
            _ => Err(self.wrong("it adds to something that is not a set")),
        }
    }

    fn set_items(&mut self, items: &[Id]) -> Result<(), CheckpointError> {
        let (pairs, rest) = items.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(self.wrong("a key has no value"));
        }
        match self.top()? {
            Value::Dict(entries) => {
                entries.extend(pairs.iter().map(|&[key, value]| (key, value)));
            }
            Value::Object(_) => {}
            _ => {
                return Err(self.wrong("it sets an entry of something that is not a dictionary"));
            }
        }
        Ok(())
    }

    fn put(&mut self, index: u32) -> Result<(), CheckpointError> {
        let limit = limits::VALUES as u64;
        limits::check("places in the pickle's memo", u64::from(index) + 1, limit)?;
        let id = self.pop()?;
        self.stack.push(id);
        self.memo.insert(index, id);
        Ok(())
    }

    fn get(&mut self, index: u32) -> Result<(), CheckpointError> {
        match self.memo.get(&index) {
            Some(&id) => self.push_id(id),
            None => Err(self.wrong(format!("place {index} of the memo is empty"))),
        }
    }

    fn global(&mut self, module: &'a str, name: &'a str) -> Result<(), CheckpointError> {
        self.push(match Global::find(module, name) {
            Some(global) => Value::Global(global),
            None => Value::Foreign(Foreign { module, name }),
        })
    }
}

//! Pickles, read but never executed.
//!
//! A pickle is a program for a stack machine. Python's machine has an instruction that imports any global and one that calls it.
//! Here only listed globals are allowed ([`Global`]), a "call" builds a [`Value`] of plain data, and instructions that checkpoints
//! do not need are errors ([`machine`], [`objects`]). Values are stored in one table and refer to each other by index, so that sharing
//! is free and cyclic values are harmless.

mod global;
mod machine;
mod objects;
mod opcode;
mod value;

pub use global::Global;
pub use machine::parse;
pub use opcode::PROTO;
pub use value::{Id, Pickle, Storage, StridedTensor, Value};

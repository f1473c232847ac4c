//! Pickles, read but never executed.
//!
//! A pickle is a program for a stack machine. Python's machine has an instruction that imports any global and one that calls it.
//! Here a "call" of a listed global ([`Global`]) builds a [`Value`] of plain data. Any other global stays a name, and an object made by it
//! is an opaque value ([`Foreign`]). Instructions that checkpoints do not need are errors ([`machine`], [`objects`]). Values are stored in one table and refer to each other by index, so that sharing
//! is free and cyclic values are harmless.

mod global;
mod machine;
mod objects;
mod opcode;
mod value;

pub use global::{Global, SparseLayout};
pub use machine::parse;
pub use opcode::PROTO;
pub use value::{Foreign, Id, Object, Pickle, SparseTensor, Storage, StridedTensor, Value};

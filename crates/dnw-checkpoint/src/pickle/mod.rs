//! Pickles, read but never run.
//!
//! A pickle is a program for a stack machine. Python's has an instruction that fetches any name of any module and one
//! that calls it; here a name is fetched only if it is on a list ([`Global`]), a "call" builds a [`Value`] in plain data,
//! and instructions without a place in a checkpoint are refused ([`machine`], [`objects`]). Values lie in one table and
//! mention each other by number, as the pickle's memo does, so sharing costs nothing and a value may mention itself
//! without harm.

mod global;
mod machine;
mod objects;
mod opcode;
mod value;

pub use global::Global;
pub use machine::parse;
pub use opcode::PROTO;
pub use value::{Id, Pickle, Storage, StridedTensor, Value};

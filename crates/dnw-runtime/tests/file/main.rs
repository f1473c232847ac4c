//! Compiled models as files.

mod bytes;
mod changed;
mod damaged;
mod invalid;
#[path = "../../../dnw-checkpoint/tests/checkpoint/live_memory.rs"]
mod live_memory;
mod mutation;
mod networks;
mod old_file;
mod other_formats;
mod plans;
mod precision;
mod random;
mod round_trip;
mod size;
mod steps;
mod sums;

//! Compiled models as files.

mod bytes;
mod changed;
mod damaged;
mod held_memory;
mod invalid;
mod mutation;
mod networks;
mod old_file;
mod other_formats;
mod plans;
mod precision;
mod random;
mod round_trip;
mod size;

//! Compiled models as files.

mod plans;
mod random;
mod round_trip;

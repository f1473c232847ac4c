//! Compiles circuits.

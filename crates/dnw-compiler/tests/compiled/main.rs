//! Compiled networks compute what the interpreter of circuits computes.

#[path = "../../../dnw-circuit/tests/circuits/random.rs"]
#[allow(dead_code)]
mod random;

mod added;
mod gates;
mod linear;
mod passes;
mod residual;
mod units;
mod wide;

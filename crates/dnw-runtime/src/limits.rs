//! Short loops that show what a machine can do at most, to compare steps with.

pub use dnw_kernels::inference::{MULTIPLY_ADDS_PER_ROUND, load_all, multiply_adds};

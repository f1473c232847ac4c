//! How far numbers may lie apart, and why.
//!
//! Devices add in other orders, fuse multiplications with additions, and have their own square roots and exponentials: none of these is
//! an error, and each leaves a trace of a few units in the last place of the largest number added.

/// A distance that is allowed: `absolute + relative * |expected| + of_largest * (largest |expected| of the tensor)`.
#[derive(Clone, Copy, Debug)]
pub struct Allowed {
    /// Whatever the numbers are.
    pub absolute: f64,
    /// Of each number.
    pub relative: f64,
    /// Of the tensor's largest number, which is what sums lose digits of.
    pub of_largest: f64,
}

/// The same bits.
pub const EXACT: Allowed = Allowed {
    absolute: 0.0,
    relative: 0.0,
    of_largest: 0.0,
};

/// Sums of at most some hundred products of numbers about 1, as convolutions and linear layers are: 2^-24 for each, of the largest.
pub const SUMS: Allowed = Allowed {
    absolute: 1e-6,
    relative: 1e-5,
    of_largest: 1e-5,
};

/// Norms divide by a standard deviation, which over few pixels can be small; their gradients subtract sums that nearly cancel.
pub const NORMS: Allowed = Allowed {
    absolute: 2e-5,
    relative: 2e-4,
    of_largest: 1e-4,
};

/// The output of an edge under a threshold: a handful of operations on each entry, a power among them (GPUs compute it as
/// `exp2(p log2 x)`, to some 16 units in the last place).
pub const EFFECTIVE_WEIGHTS: Allowed = Allowed {
    absolute: 2e-6,
    relative: 2e-5,
    of_largest: 0.0,
};

/// A whole network of some levels, forward and backward: the errors of norms on top of one another.
pub const NETWORKS: Allowed = Allowed {
    absolute: 2e-5,
    relative: 1e-3,
    of_largest: 5e-4,
};

/// Where an equation is solved, the steps' lengths follow from error estimates, which differ in their last digits; the solution
/// then differs by a share of the solver's own tolerance.
pub const EQUATIONS: Allowed = Allowed {
    absolute: 1e-4,
    relative: 5e-3,
    of_largest: 2e-3,
};

/// A solution beside its closed form: the solver's tolerance, 1e-6, times the few steps that add up.
pub const SOLUTIONS: Allowed = Allowed {
    absolute: 2e-5,
    relative: 5e-5,
    of_largest: 0.0,
};

/// Weights after a few updates: what gradients differ by, times the rate, once for each update.
pub const UPDATES: Allowed = Allowed {
    absolute: 1e-5,
    relative: 1e-4,
    of_largest: 1e-5,
};

/// The loss of ten training steps: in each, weights and the selection of edges act on what the last one left.
pub const LOSSES: Allowed = Allowed {
    absolute: 0.0,
    relative: 1e-3,
    of_largest: 0.0,
};

/// A record of another program: what the project asks of parity.
pub const RECORDS: Allowed = Allowed {
    absolute: 1e-4,
    relative: 1e-3,
    of_largest: 0.0,
};

/// Half precision has 11 bits, of which a sum of some ten products loses three.
pub const HALF: Allowed = Allowed {
    absolute: 0.0,
    relative: 4e-3,
    of_largest: 4e-3,
};

/// As [`HALF`], with the 8 bits of bfloat16.
pub const BFLOAT: Allowed = Allowed {
    absolute: 0.0,
    relative: 3e-2,
    of_largest: 3e-2,
};

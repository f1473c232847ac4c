//! Tolerances, and the reason for each.
//!
//! Devices sum in different orders, fuse multiply-adds, and implement square roots and exponentials differently. None of these is an error,
//! and each changes a result by a few units in the last place of the largest summand.

/// A tolerated difference: `absolute + relative * |expected| + relative_to_largest * (largest |expected| of the tensor)`.
#[derive(Clone, Copy, Debug)]
pub struct Tolerance {
    /// Independent of the values.
    pub absolute: f64,
    /// Relative to each expected value.
    pub relative: f64,
    /// Relative to the largest magnitude of the tensor, since a sum loses digits of its largest summand.
    pub relative_to_largest: f64,
}

/// The same bits.
pub const EXACT: Tolerance = Tolerance {
    absolute: 0.0,
    relative: 0.0,
    relative_to_largest: 0.0,
};

/// Sums of at most some hundred products of numbers about 1, as convolutions and linear layers are: 2^-24 for each, of the largest.
pub const SUMS: Tolerance = Tolerance {
    absolute: 1e-6,
    relative: 1e-5,
    relative_to_largest: 1e-5,
};

/// Norms divide by a standard deviation, which can be small over few pixels, and their gradients subtract nearly equal sums.
pub const NORMS: Tolerance = Tolerance {
    absolute: 2e-5,
    relative: 2e-4,
    relative_to_largest: 1e-4,
};

/// The effective weight under a threshold: a handful of operations on each entry, a power among them (GPUs compute it as
/// `exp2(p log2 x)`, to some 16 units in the last place).
pub const EFFECTIVE_WEIGHTS: Tolerance = Tolerance {
    absolute: 2e-6,
    relative: 2e-5,
    relative_to_largest: 0.0,
};

/// A network of several levels, forward and backward: the errors of its norms accumulate.
pub const NETWORKS: Tolerance = Tolerance {
    absolute: 2e-5,
    relative: 1e-3,
    relative_to_largest: 5e-4,
};

/// A solved equation: step sizes follow from error estimates, which differ in their last digits, and the solution then differs by a
/// fraction of the solver's own tolerance.
pub const EQUATIONS: Tolerance = Tolerance {
    absolute: 1e-4,
    relative: 5e-3,
    relative_to_largest: 2e-3,
};

/// A solution compared with its closed form: the solver's tolerance, 1e-6, times the few steps that add up.
pub const SOLUTIONS: Tolerance = Tolerance {
    absolute: 2e-5,
    relative: 5e-5,
    relative_to_largest: 0.0,
};

/// Weights after a few updates: the difference of the gradients, times the learning rate, for each update.
pub const UPDATES: Tolerance = Tolerance {
    absolute: 1e-5,
    relative: 1e-4,
    relative_to_largest: 1e-5,
};

/// The losses of ten training steps: the errors of each step affect the weights and the selection of the next.
pub const LOSSES: Tolerance = Tolerance {
    absolute: 0.0,
    relative: 1e-3,
    relative_to_largest: 0.0,
};

/// Records of another program: the agreement that this project requires.
pub const RECORDS: Tolerance = Tolerance {
    absolute: 1e-4,
    relative: 1e-3,
    relative_to_largest: 0.0,
};

/// Half precision has 11 significant bits; a sum of about ten products loses three.
pub const HALF: Tolerance = Tolerance {
    absolute: 0.0,
    relative: 4e-3,
    relative_to_largest: 4e-3,
};

/// As [`HALF`], for the 8 significant bits of bfloat16.
pub const BFLOAT: Tolerance = Tolerance {
    absolute: 0.0,
    relative: 3e-2,
    relative_to_largest: 3e-2,
};

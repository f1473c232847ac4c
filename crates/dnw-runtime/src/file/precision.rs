//! How exactly weights are stored.

/// What the weights of edges are stored as. Biases, norms and constants always have 32 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Precision {
    /// 32 bits, exactly as they are.
    #[default]
    F32,
    /// 16 bits, rounded to nearest, ties to even: a relative error of at most 2^-11, or an absolute one of at most 2^-25. A layer that has a weight
    /// beyond 65504 keeps 32 bits.
    F16,
    /// 8 bits with a scale for each target: an error of at most half the scale, which is the target's largest weight divided by 127. A layer
    /// whose scales take more than is saved keeps 32 bits.
    Int8,
}

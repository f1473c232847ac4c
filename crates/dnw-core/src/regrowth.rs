//! The initial weight of an edge that becomes real: the seventh axis of a rule.

/// The initial weight of an edge that becomes real.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Regrowth {
    /// The weight that it learned while it was hallucinated.
    #[default]
    Kept,
    /// Zero, so that the network's output does not change.
    Zero,
    /// At the selection that ends the first phase, **everything** in the model except the wiring is reset to
    /// its value before the first update (the lottery ticket, Frankle and Carbin 2019).
    Rewound,
}

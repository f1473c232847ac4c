//! The seventh axis of a rule: what an edge begins with when it becomes real.

/// The weight with which an edge becomes real.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Regrowth {
    /// The weight that it learned while it was hallucinated.
    #[default]
    Kept,
    /// Zero, so that its arrival does not change what the network computes.
    Zero,
    /// At the choice that ends the first phase, **everything** in the model goes back to what it was before the first update, and
    /// only the wiring stays (the lottery ticket, Frankle and Carbin 2019).
    Rewound,
}

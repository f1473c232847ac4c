//! Launches and bytes, as the layer counts them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What the layer counted so far.
#[derive(Debug, Deserialize)]
pub struct Counts {
    copies: f64,
    submits: f64,
    kernels: BTreeMap<String, Kernel>,
}

#[derive(Debug, Deserialize)]
struct Kernel {
    launches: f64,
    read: f64,
    written: f64,
}

/// Launches and bytes of a training step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Traffic {
    /// Kernels launched.
    pub launches: f64,
    /// Bytes that kernels read.
    pub read: f64,
    /// Bytes that kernels wrote.
    pub written: f64,
    /// Copies between buffers, which uploads and reads are.
    pub copies: f64,
    /// Submissions to the queue.
    pub submits: f64,
}

impl Counts {
    /// Of all kernels.
    pub fn total(&self) -> Traffic {
        let sum = |of: fn(&Kernel) -> f64| self.kernels.values().map(of).sum();
        Traffic {
            launches: sum(|kernel| kernel.launches),
            read: sum(|kernel| kernel.read),
            written: sum(|kernel| kernel.written),
            copies: self.copies,
            submits: self.submits,
        }
    }
}

impl Traffic {
    /// That of one of so many steps, from the counts before and after them.
    pub fn of_a_step(before: Self, after: Self, steps: usize) -> Self {
        let of = |before: f64, after: f64| (after - before) / steps as f64;
        Self {
            launches: of(before.launches, after.launches),
            read: of(before.read, after.read),
            written: of(before.written, after.written),
            copies: of(before.copies, after.copies),
            submits: of(before.submits, after.submits),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_the_difference_of_counts() {
        let counts = |launches: u32| {
            let text = format!(
                r#"{{"copies":4,"copied":9,"submits":{launches},"kernels":{{
                "a":{{"launches":{launches},"read":100,"written":50}},"b":{{"launches":2,"read":1,"written":0}}}}}}"#
            );
            serde_json::from_str::<Counts>(&text)
                .expect("the layer's form")
                .total()
        };
        assert_eq!((counts(8).launches, counts(8).read), (10.0, 101.0));
        let step = Traffic::of_a_step(counts(2), counts(8), 3);
        assert_eq!((step.launches, step.submits, step.read), (2.0, 2.0, 0.0));
    }
}

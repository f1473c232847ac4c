//! What this machine could do at most, and how near a step comes to it.

use std::time::Instant;

use dnw_runtime::limits::{MULTIPLY_ADDS_PER_ROUND, load_all, multiply_adds};

use crate::StepFacts;

/// Times that each limit is measured; the best counts.
const TRIES: usize = 20;
const ROUNDS: usize = 20_000;

/// The limits of one thread, as measured by short loops.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Roofline {
    /// Multiply-adds a second, in registers.
    pub multiply_adds: f64,
    /// Bytes a second, read from a block of memory as large as [`from`](Self::from).
    pub bytes: f64,
    /// Bytes of that block.
    pub from: usize,
}

impl Roofline {
    /// Measures both limits, the second with a block of about so many bytes: those that the steps of a network use.
    pub fn measure(bytes: usize) -> Self {
        let block = vec![1.0f32; bytes.clamp(1 << 16, 1 << 28) / 4];
        let best = |work: &dyn Fn() -> f32| {
            let tries = (0..TRIES).map(|_| {
                let before = Instant::now();
                std::hint::black_box(work());
                before.elapsed().as_secs_f64()
            });
            tries.fold(f64::INFINITY, f64::min).max(1e-9)
        };
        Self {
            multiply_adds: (ROUNDS * MULTIPLY_ADDS_PER_ROUND) as f64
                / best(&|| multiply_adds(ROUNDS)),
            bytes: (4 * block.len()) as f64 / best(&|| load_all(&block)),
            from: 4 * block.len(),
        }
    }

    /// The seconds that a step needs at least on so many threads: for its multiply-adds, or to read its weights and feature maps and write its
    /// output once, whichever is longer.
    pub fn least_seconds(&self, facts: &StepFacts, threads: usize) -> f64 {
        let compute = facts.multiply_adds as f64 / self.multiply_adds;
        let memory = (facts.bytes + facts.maps) as f64 / self.bytes;
        compute.max(memory) / threads.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_bound_by_what_takes_longer() {
        let limits = Roofline {
            multiply_adds: 100.0,
            bytes: 10.0,
            from: 0,
        };
        let facts = |multiply_adds, bytes, maps| StepFacts {
            shape: [1, 1, 1],
            edges: 0,
            possible: 0,
            multiply_adds,
            bytes,
            maps,
        };
        assert_eq!(limits.least_seconds(&facts(200, 5, 5), 1), 2.0);
        assert_eq!(limits.least_seconds(&facts(200, 15, 25), 1), 4.0);
        assert_eq!(limits.least_seconds(&facts(200, 15, 25), 2), 2.0);
    }

    #[test]
    fn limits_are_those_of_a_computer() {
        let limits = Roofline::measure(1 << 20);
        // A build without optimisation on a busy machine to one core of the next ten years.
        assert!((1e6..1e13).contains(&limits.multiply_adds), "{limits:?}");
        assert!((1e6..1e13).contains(&limits.bytes), "{limits:?}");
        assert_eq!(limits.from, 1 << 20);
    }
}

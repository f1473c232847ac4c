//! The limits of the machine.

use serde::{Deserialize, Serialize};

/// The limits of the machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Roofline {
    /// Threads.
    pub threads: usize,
    /// The vector instructions.
    pub instructions: String,
    /// 32-bit multiply-adds per second.
    pub multiply_adds: f64,
    /// Bandwidth by level.
    pub levels: Vec<Level>,
    /// Bandwidth by size.
    pub sweep: Vec<Bandwidth>,
}

/// A cache level, or main memory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Level {
    /// Its name.
    pub name: String,
    /// Bytes per thread, for a cache.
    pub bytes: Option<usize>,
    /// Bytes per second, read.
    pub read: f64,
    /// Bytes per second, `a = b + s c`.
    pub triad: f64,
}

/// The bandwidth for slices of one size.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bandwidth {
    /// Bytes per thread.
    pub bytes: usize,
    /// Bytes per second, read.
    pub read: f64,
    /// Bytes per second, `a = b + s c`.
    pub triad: f64,
}

impl Roofline {
    /// The fraction of the peak that these multiply-adds in this time are.
    pub fn share(&self, multiply_adds: u64, milliseconds: f64) -> f64 {
        multiply_adds as f64 / (1e-3 * milliseconds) / self.multiply_adds
    }

    /// The nearest level that holds this many bytes per thread.
    pub fn level(&self, bytes: usize) -> &Level {
        let holds = |level: &&Level| level.bytes.is_none_or(|size| bytes <= size);
        let last = self.levels.last().expect("a machine has memory");
        self.levels.iter().find(holds).unwrap_or(last)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn roofline() -> Roofline {
        Roofline {
            threads: 2,
            instructions: "AVX-512".into(),
            multiply_adds: 1e11,
            levels: vec![
                Level {
                    name: "L1".into(),
                    bytes: Some(48 << 10),
                    read: 4e11,
                    triad: 2e11,
                },
                Level {
                    name: "memory".into(),
                    bytes: None,
                    read: 2e10,
                    triad: 1e10,
                },
            ],
            sweep: vec![Bandwidth {
                bytes: 8 << 10,
                read: 4e11,
                triad: 2e11,
            }],
        }
    }
}

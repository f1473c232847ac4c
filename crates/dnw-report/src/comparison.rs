//! The data of a comparison of runs.

use serde::{Deserialize, Serialize};

use crate::recording::Curves;

/// Runs to compare.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Comparison {
    /// The runs, in display order.
    pub runs: Vec<ComparedRun>,
    /// `overlap[a][b]`: the Jaccard index of the real edges of runs `a` and `b` at the end; `None` if their networks
    /// differ in shape.
    pub overlap: Vec<Vec<Option<f32>>>,
    /// The command that creates the page.
    pub command: String,
}

/// One run of a comparison.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ComparedRun {
    /// The run's short name.
    pub name: String,
    /// Recipe, rule and budget in words. Runs with the same `group` differ only in the seed.
    pub group: String,
    /// The rule, in words.
    pub rule: String,
    /// The recipe's name.
    pub recipe: String,
    /// The seed.
    pub seed: u64,
    /// Real edges at the end.
    pub edges_real: usize,
    /// Possible edges.
    pub edges_possible: usize,
    /// Test accuracy at the end, 0 to 1; only meaningful if the curves have an evaluation.
    pub test_accuracy: f64,
    /// Swaps over the whole run.
    pub swaps: u64,
    /// Nodes that are dead at the end (no path from the input or none to the output).
    pub dead_nodes: usize,
    /// The curves.
    pub curves: Curves,
}

impl ComparedRun {
    /// Test accuracy at the end, 0 to 1; `None` if the run was never evaluated.
    pub fn accuracy(&self) -> Option<f64> {
        (!self.curves.test.update.is_empty()).then_some(self.test_accuracy)
    }
}

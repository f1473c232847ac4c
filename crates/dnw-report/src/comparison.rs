//! Several runs beside each other.

use serde::{Deserialize, Serialize};

use crate::recording::Curves;

/// What the comparison page shows.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Comparison {
    /// The runs, in the order in which they were named.
    pub runs: Vec<ComparedRun>,
    /// `overlap[a][b]`: real edges that runs `a` and `b` share over those that either has (Jaccard), at the
    /// end; `None` where their networks differ in shape.
    pub overlap: Vec<Vec<Option<f32>>>,
    /// The command that makes the page again.
    pub command: String,
}

/// One run of a comparison.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ComparedRun {
    /// The run's short name.
    pub name: String,
    /// Runs of equal `group` differ in their seed only: recipe, rule and budget in words.
    pub group: String,
    /// The rule, in words.
    pub rule: String,
    /// The recipe's name.
    pub recipe: String,
    /// The seed.
    pub seed: u64,
    /// Real edges at the end.
    pub edges_real: usize,
    /// Edges that could be.
    pub edges_possible: usize,
    /// Test accuracy at the end, 0 to 1; nothing where the curves have no evaluation.
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

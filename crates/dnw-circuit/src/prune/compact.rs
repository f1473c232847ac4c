//! Removes rows and columns of tensors that no step reads.

use std::collections::BTreeSet;

use crate::{Block, Circuit, Op, Statistics, Tensor};

/// Keeps of each tensor only the rows and columns that some step reads. Entries of wired tensors that no step reads become hallucinated.
pub(super) fn compact(mut circuit: Circuit) -> Circuit {
    let mut parts: Vec<Part> = circuit.tensors.iter().map(Part::new).collect();
    for step in &mut circuit.steps {
        for block in blocks(&mut step.op) {
            parts[block.tensor.0].read(block);
        }
    }
    // The new index of each tensor.
    let mut new_indices = Vec::with_capacity(parts.len());
    let mut tensors = Vec::new();
    for (tensor, part) in circuit.tensors.iter().zip(&parts) {
        new_indices.push(tensors.len());
        if !part.rows.is_empty() {
            tensors.push(part.cut(tensor));
        }
    }
    for step in &mut circuit.steps {
        for block in blocks(&mut step.op) {
            let part = &parts[block.tensor.0];
            let renumber = |indices: &mut [usize], held: &BTreeSet<usize>| {
                let held: Vec<usize> = held.iter().copied().collect();
                for index in indices {
                    *index = held.partition_point(|other| other < index);
                }
            };
            renumber(&mut block.rows, &part.rows);
            renumber(&mut block.columns, &part.columns);
            block.tensor.0 = new_indices[block.tensor.0];
        }
    }
    circuit.tensors = tensors;
    circuit
}

/// The part of a tensor that steps read.
struct Part {
    rows: BTreeSet<usize>,
    columns: BTreeSet<usize>,
    /// For each entry, whether a step reads it.
    entries: Vec<bool>,
    shape: [usize; 4],
}

impl Part {
    fn new(tensor: &Tensor) -> Self {
        Self {
            rows: BTreeSet::new(),
            columns: BTreeSet::new(),
            entries: vec![false; tensor.values.len()],
            shape: tensor.shape,
        }
    }

    fn read(&mut self, block: &Block) {
        self.rows.extend(&block.rows);
        self.columns.extend(&block.columns);
        let area = self.shape[2] * self.shape[3];
        for &row in &block.rows {
            for &column in &block.columns {
                let start = (row * self.shape[1] + column) * area;
                self.entries[start..start + area].fill(true);
            }
        }
    }

    fn cut(&self, tensor: &Tensor) -> Tensor {
        let entries = || {
            let columns = |&row: &usize| self.columns.iter().map(move |&column| (row, column));
            let places = self.rows.iter().flat_map(columns);
            places.flat_map(|(row, column)| tensor.kernel(row, column))
        };
        let [_, _, height, width] = tensor.shape;
        Tensor {
            shape: [self.rows.len(), self.columns.len(), height, width],
            values: entries().map(|entry| tensor.values[entry]).collect(),
            real: tensor.real.as_ref().map(|real| {
                let live = |entry: usize| real[entry] && self.entries[entry];
                entries().map(live).collect()
            }),
            ..tensor.clone()
        }
    }
}

/// The blocks that a step reads.
fn blocks(op: &mut Op) -> Vec<&mut Block> {
    match op {
        Op::Conv { weight, bias, .. } | Op::Depthwise { weight, bias, .. } => {
            std::iter::once(weight).chain(bias).collect()
        }
        Op::Norm {
            statistics: Statistics::Batch { mean, variance },
            gamma,
            beta,
            ..
        } => {
            vec![mean, variance, gamma, beta]
        }
        Op::Norm { gamma, beta, .. } => vec![gamma, beta],
        _ => Vec::new(),
    }
}

//! Tests of circuits: their results, counts and pruning.

mod counts;
mod errors;
mod mobilenet;
mod properties;
mod random;
mod steps;

use dnw_circuit::{Block, CircuitBuilder, CircuitError, Tensor};

type Made<T> = Result<T, CircuitError>;

/// A wired weight of ones with these real edges.
fn edges(name: &str, shape: [usize; 4], real: &[usize]) -> Tensor {
    let entries = shape.iter().product();
    let real = (0..entries).map(|entry| real.contains(&entry)).collect();
    Tensor::edges(name, shape, vec![1.0; entries], real)
}

fn ones(name: &str, shape: [usize; 4]) -> Tensor {
    Tensor::weight(name, shape, vec![1.0; shape.iter().product()])
}

/// Adds a tensor and selects all of it.
fn whole(builder: &mut CircuitBuilder, tensor: Tensor) -> Made<Block> {
    let tensor = builder.tensor(tensor)?;
    Ok(builder.whole(tensor))
}

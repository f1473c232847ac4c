//! Circuits as a whole: what their steps compute, what they cost, what is left of them without dead nodes.

mod costs;
mod mobilenet;
mod properties;
mod random;
mod refusals;
mod steps;

use dnw_circuit::{Block, CircuitBuilder, CircuitError, Tensor};

type Made<T> = Result<T, CircuitError>;

/// A wired weight of ones with these real entries.
fn edges(name: &str, shape: [usize; 4], real: &[usize]) -> Tensor {
    let entries = shape.iter().product();
    let real = (0..entries).map(|entry| real.contains(&entry)).collect();
    Tensor::edges(name, shape, vec![1.0; entries], real)
}

fn ones(name: &str, shape: [usize; 4]) -> Tensor {
    Tensor::weight(name, shape, vec![1.0; shape.iter().product()])
}

/// Adds a tensor of which all is read.
fn whole(builder: &mut CircuitBuilder, tensor: Tensor) -> Made<Block> {
    let tensor = builder.tensor(tensor)?;
    Ok(builder.whole(tensor))
}

//! A wired network as a graph of operations on channels.
//!
//! A [`Circuit`] describes a trained network independently of any framework: the steps from the pixels to the logits, the
//! shape of each step's output, and the tensors that it reads. On this description work
//!
//! * [`count`]: counts parameters and multiply-adds of the dense network, as published, and after dead nodes are removed;
//! * [`Liveness`]: finds the channels on a path of real edges from the image to the result;
//! * [`prune`]: returns an equivalent circuit with these channels only;
//! * [`interpret`]: computes the output with simple loops, as a reference for faster implementations.
//!
//! ```
//! use dnw_circuit::{Block, CircuitBuilder, Tensor, Window, count, interpret};
//!
//! // An image of one channel and 2 x 2 pixels, and two nodes. The edge into the second node is hallucinated.
//! let mut circuit = CircuitBuilder::new([1, 2, 2])?;
//! circuit.layer("graph");
//! let edges = Tensor::edges("graph.weight", [2, 1, 1, 1], vec![3.0, 5.0], vec![true, false]);
//! let edges = circuit.tensor(edges)?;
//! let gathered = circuit.conv(circuit.input(), circuit.whole(edges), None, Window::default())?;
//! let result = circuit.global_average(gathered)?;
//! let circuit = circuit.finish(result)?;
//!
//! assert_eq!(interpret(&circuit, &[1.0, 2.0, 3.0, 4.0])?, [7.5, 0.0]);
//! let total = count(&circuit).total;
//! assert_eq!(total.dense.multiply_adds, 8);
//! assert_eq!((total.alive.edges, total.alive.multiply_adds), (1, 4));
//! # Ok::<(), dnw_circuit::CircuitError>(())
//! ```

#![deny(missing_docs)]

mod activation;
mod builder;
mod circuit;
mod count;
mod error;
mod interpret;
mod liveness;
mod prune;
mod taps;
mod tensor;

pub use activation::{Activation, Function};
pub use builder::CircuitBuilder;
pub use circuit::{Block, Circuit, Op, Pool, Statistics, Step, ValueId, Window};
pub use count::{Count, Row, Tally, Views, count};
pub use error::CircuitError;
pub use interpret::{interpret, interpret_counting, interpret_with};
pub use liveness::Liveness;
pub use prune::prune;
pub use taps::Taps;
pub use tensor::{Kind, Tensor, TensorId};

//! Compiles circuits to plans.
//!
//! A [`Circuit`](dnw_circuit::Circuit) says what a trained network computes, a [`Plan`](dnw_runtime::plan::Plan) how it is computed fast. In
//! between lies a graph of layers ([`graph`](self)), on which each optimisation is one pass that can be switched off ([`Passes`]):
//!
//! 1. dead nodes are removed and constants folded ([`dnw_circuit::prune`]);
//! 2. scales and shifts of norms are folded into the weights of the layers before them;
//! 3. sums and ReLUs are fused into the layer whose output they change, and `x f(x)` becomes one activation; the groups of a
//!    grouped convolution become one convolution;
//! 4. on request a depthwise convolution follows the sparse one before it strip by strip;
//! 5. each layer gets the kernel that costs least, by a model of the costs, and targets that read the same rows are computed one after another;
//! 6. feature maps are placed in memory, which is used again when they are no longer needed.
//!
//! ```
//! use dnw_circuit::{CircuitBuilder, Tensor, Window, interpret};
//! use dnw_compiler::{Passes, compile};
//! use dnw_runtime::{Model, Session, plan::Input};
//!
//! let mut circuit = CircuitBuilder::new([1, 2, 2])?;
//! let edges = Tensor::edges("weight", [2, 1, 1, 1], vec![3.0, 5.0], vec![true, false]);
//! let edges = circuit.tensor(edges)?;
//! let x = circuit.conv(circuit.input(), circuit.whole(edges), None, Window::default())?;
//! let x = circuit.global_average(x)?;
//! let circuit = circuit.finish(x)?;
//!
//! let model = Model::new(compile(&circuit, Input::default(), Passes::default()))?;
//! let (image, mut logits) = ([1.0, 2.0, 3.0, 4.0], [0.0; 2]);
//! Session::new(&model, 1).run(&image, &mut logits)?;
//! assert_eq!(logits, [7.5, 0.0]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![deny(missing_docs)]

mod cost;
mod emit;
mod graph;
mod groups;
mod lower;
mod memory;
mod order;
mod passes;
mod roofline;
mod step_facts;
pub mod timing;

use dnw_circuit::{Circuit, prune};
use dnw_runtime::plan::{Input, Plan};

pub use passes::Passes;
pub use roofline::Roofline;
pub use step_facts::{StepFacts, in_blocks};

/// Compiles a circuit. The shape in `input` is set to the circuit's.
///
/// The plan has the circuit's outputs up to the order of sums and the rounding to 32 bits.
pub fn compile(circuit: &Circuit, input: Input, passes: Passes) -> Plan {
    let pruned = passes.prune.then(|| prune(circuit));
    let mut graph = lower::lower(pruned.as_ref().unwrap_or(circuit));
    if passes.fuse {
        groups::merge_groups(&mut graph);
        passes::fuse_constant_channels(&mut graph);
        passes::merge_sums(&mut graph);
    }
    if passes.fold_norms {
        passes::fuse_constants(&mut graph);
        passes::fold_norms(&mut graph);
    }
    if passes.fuse {
        passes::fuse_gates(&mut graph);
        // The gates of the products that are activations now.
        graph.remove_unread();
    }
    if passes.fold_norms && passes.fuse {
        passes::fold_norms(&mut graph);
        passes::remove_identities(&mut graph);
    }
    if passes.fuse {
        // With the norms behind them folded, more sums are of convolutions.
        passes::merge_sums(&mut graph);
        passes::fuse_constant_channels(&mut graph);
        passes::fuse(&mut graph);
    }
    if passes.strips {
        passes::fuse_depthwise(&mut graph);
    }
    let input = Input {
        shape: circuit.image(),
        ..input
    };
    emit::emit(&graph, input, passes)
}

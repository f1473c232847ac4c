//! Gated activations: products of an input with its own activation.

use dnw_runtime::plan::Activation;

use crate::graph::{Graph, Op};

/// The largest difference from 1 of a factor that is 1 but for its rounding to 32 bits: exporters write GELU with the inverse of the square root
/// of 2, and back.
const ROUNDING: f64 = 1e-6;

/// Makes the product of an input with its own activation one activation, and a norm if there is a factor: SiLU is `x sigmoid(x)`, GELU
/// `x normal(x)`.
pub(crate) fn fuse_gates(graph: &mut Graph) {
    for at in 0..graph.nodes.len() {
        let (Op::Product, &[a, b]) = (&graph.nodes[at].op, &graph.nodes[at].inputs[..]) else {
            continue;
        };
        let readers = graph.readers();
        for (x, gate) in [(a, b), (b, a)] {
            let (by_input, input) = without_factor(graph, &readers, x);
            let (by_gate, gate) = without_factor(graph, &readers, gate);
            let activation = match &graph.nodes[gate].op {
                Op::Activation(activation) if !activation.gated => *activation,
                _ => continue,
            };
            let inside = graph.nodes[gate].inputs[0];
            let (by_inside, inside) = without_factor(graph, &readers, inside);
            let is_own = inside == input && graph.nodes[gate].shape == graph.nodes[at].shape;
            if !is_own || readers[gate] != 1 || (by_inside - 1.0).abs() > ROUNDING {
                continue;
            }
            let gated = Op::Activation(Activation {
                gated: true,
                ..activation
            });
            let factor = by_input * by_gate;
            if (factor - 1.0).abs() <= ROUNDING {
                graph.nodes[at].op = gated;
                graph.nodes[at].inputs = vec![input];
            } else {
                let channels = graph.nodes[at].shape[0];
                graph.nodes[gate].op = gated;
                graph.nodes[gate].inputs = vec![input];
                graph.nodes[at].op = Op::Norm {
                    scale: vec![factor; channels],
                    shift: vec![0.0; channels],
                    epsilon: None,
                };
                graph.nodes[at].inputs = vec![gate];
            }
            break;
        }
    }
}

/// A node's factor and what it multiplies, if it is a norm that multiplies all channels by one factor; else 1 and the node itself.
fn without_factor(graph: &Graph, readers: &[usize], node: usize) -> (f64, usize) {
    let own = &graph.nodes[node];
    let Op::Norm {
        scale,
        shift,
        epsilon: None,
    } = &own.op
    else {
        return (1.0, node);
    };
    let uniform = scale.iter().all(|factor| *factor == scale[0]);
    match !own.relu && readers[node] == 1 && uniform && shift.iter().all(|&x| x == 0.0) {
        true => (scale[0], own.inputs[0]),
        false => (1.0, node),
    }
}

/// Removes norms that change nothing.
pub(crate) fn remove_identities(graph: &mut Graph) {
    for at in 0..graph.nodes.len() {
        let node = &graph.nodes[at];
        let Op::Norm {
            scale,
            shift,
            epsilon: None,
        } = &node.op
        else {
            continue;
        };
        let is_one = scale.iter().all(|factor| (factor - 1.0).abs() <= ROUNDING);
        if is_one && !node.relu && shift.iter().all(|&x| x == 0.0) {
            let input = node.inputs[0];
            graph.replace(at, input);
        }
    }
}

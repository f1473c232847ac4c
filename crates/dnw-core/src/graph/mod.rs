//! Neural graphs: nodes and the edges between them.
//!
//! `I_v = sum over real edges (u, v) of w_uv Z_u`, `Z_v = f_v(I_v)` (Wortsman et al. 2019, section 2).
//!
//! In a static graph, edges lead from earlier levels of nodes to later ones: a [`GraphSpec`] lists nodes and
//! edges, a [`NodeFunction`] is `f`, a [`NeuralGraph`] runs them. In a [`CyclicGraph`] any node may feed any
//! node, and nodes evolve in time. Neither depends on a particular model.

mod cyclic;
mod edges;
mod error;
mod liveness;
mod network;
mod node;
mod norms;
mod order;
pub mod random;
mod spec;

pub use cyclic::{CyclicGraph, CyclicGraphConfig, CyclicPass, Field, StateNodes};
pub use error::GraphError;
pub use liveness::{Liveness, liveness_along_edges, node_liveness};
pub use network::{GraphConfig, GraphPass, NeuralGraph};
pub use node::{BatchNodes, ImageNodes, NodeFunction, ScalarNodes};
pub use norms::{batch_norm, batch_norm_rectified, instance_norm};
pub use spec::{GraphSpec, Outputs};

pub use crate::ops::{BatchStatistics, GraphNodes, GraphNorm, Kernels, add_rectified};

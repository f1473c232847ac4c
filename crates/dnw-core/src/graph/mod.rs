//! Static neural graphs: nodes in levels, edges from earlier levels to later ones.
//!
//! `I_v = sum over real edges (u, v) of w_uv Z_u`, `Z_v = f_v(I_v)` (Wortsman et al. 2019, section 2). A
//! [`GraphSpec`] says which nodes and edges there are, a [`NodeFunction`] what `f` is, a [`NeuralGraph`] runs
//! them. None is written for a particular model.

mod life;
mod network;
mod node;
mod spec;

pub use life::{Life, life_along, life_of_nodes};
pub use network::{GraphConfig, GraphPass, NeuralGraph};
pub use node::{ImageNodes, NodeFunction, ScalarNodes};
pub use spec::{GraphError, GraphSpec, Outputs};

pub use crate::ops::Kernels;

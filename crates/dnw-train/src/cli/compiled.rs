//! `dnw compile`, and the commands that use what it makes.

mod bench;
mod compile;
mod explain;
mod onnxruntime;
mod predict;
mod verify;

pub use bench::bench;
pub use compile::compile;
pub use explain::explain;
pub use predict::predict;
pub use verify::verify;

//! The C interface of [`dnw_runtime`].
//!
//! `include/dnw.h` is generated from this file, comments included; `examples/c/predict.c` is a program that uses it.
//!
//! * Every function that can fail returns a [`Status`]. The message belongs to the thread, as `errno` does ([`dnw_last_error`]): messages have
//!   any length, calls need no buffer for them, and threads do not mix theirs.
//! * No panic crosses the border: it becomes [`Status::Panic`]. A null pointer becomes [`Status::Null`].
//! * Handles are opaque. A session keeps its model, so both can be freed in any order.

#![deny(missing_docs)]

mod error;
mod model;
mod session;

pub use error::{Status, dnw_last_error};
pub use model::{
    dnw_model, dnw_model_channel, dnw_model_class, dnw_model_free, dnw_model_from_bytes,
    dnw_model_load, dnw_model_outputs, dnw_model_resize, dnw_model_shape,
};
pub use session::{dnw_session, dnw_session_free, dnw_session_new, dnw_session_run};

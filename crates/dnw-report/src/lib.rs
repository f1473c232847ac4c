//! The explorer: one HTML file that shows how a run discovered its wiring.
//!
//! This crate depends on no model, training loop or backend. Training code fills a [`Recording`]; [`explorer_page`]
//! turns it into a page that opens from disk, and [`comparison_page`] compares several runs. [`wiring_svg`],
//! [`animated_wiring_svg`] and [`comparison_svg`] draw static and animated pictures, for example for a README.
//!
//! ```
//! let recording = dnw_report::synthetic::recording(&dnw_report::synthetic::Size::small());
//! let html = dnw_report::explorer_page(&recording)?;
//! assert!(html.starts_with("<!DOCTYPE html>"));
//! # Ok::<(), dnw_report::ReportError>(())
//! ```
#![deny(missing_docs)]

mod animated_svg;
mod comparison;
mod comparison_svg;
mod error;
pub mod history;
mod page;
mod picture;
mod recording;
mod replay;
pub mod synthetic;
mod validate;
pub mod weights;
mod wiring_svg;

pub use animated_svg::animated_wiring_svg;
pub use comparison::{ComparedRun, Comparison};
pub use comparison_svg::comparison_svg;
pub use error::ReportError;
pub use page::{comparison_page, explorer_page};
pub use recording::{
    Blob, Curves, DataFacts, Features, Layer, Node, NodeKind, Outcome, RECORDING_VERSION,
    Recording, RunFacts, Samples, TestCurve, TrainCurve,
};
pub use wiring_svg::wiring_svg;

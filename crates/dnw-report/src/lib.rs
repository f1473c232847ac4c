//! The explorer: one HTML file in which one watches a wiring being discovered.
//!
//! This crate knows a recorded run ([`Recording`]) and nothing else: no model, no training loop, no
//! backend. Whoever trains fills a `Recording`; [`explorer_page`] turns it into a page that opens from
//! disk, and [`comparison_page`] lays several runs over each other.
//!
//! ```
//! let recording = dnw_report::synthetic::recording(&dnw_report::synthetic::Size::small());
//! let html = dnw_report::explorer_page(&recording)?;
//! assert!(html.starts_with("<!DOCTYPE html>"));
//! # Ok::<(), dnw_report::ReportError>(())
//! ```

//! Executes compiled networks at the cost of their real edges.
//!
//! `dnw-compiler` turns a trained network into a [`Plan`](plan::Plan). This crate checks, stores and executes it, without Burn and Python.

#![deny(missing_docs)]

pub mod plan;

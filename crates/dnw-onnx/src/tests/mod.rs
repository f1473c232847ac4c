//! Tests of imported models: each makes its own model and compares with results that were computed by hand or by a plain loop.

mod exporting;
mod files;
mod functions;
mod hostile;
mod images;
mod inputs;
mod kit;
mod layers;
mod moving;
mod pooling;
mod quantised;

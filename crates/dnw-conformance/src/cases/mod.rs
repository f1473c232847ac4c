//! The cases by subject.

mod equations;
mod graphs;
mod layers;
mod models;
mod nodes;
mod precision;
mod rules;
mod saving;
mod selection;
mod training;

use crate::{Case, parity};

/// Every case, ordered by subject.
pub fn cases() -> Vec<Case> {
    let subjects = [
        layers::cases(),
        nodes::cases(),
        selection::cases(),
        graphs::cases(),
        equations::cases(),
        rules::cases(),
        models::cases(),
        saving::cases(),
        training::cases(),
        precision::cases(),
        parity::cases(),
    ];
    subjects.into_iter().flatten().collect()
}

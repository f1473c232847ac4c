//! Checks that a recording is consistent.
//!
//! The page indexes columns and blobs without bounds checks, so everything that it relies on is checked here, and an error
//! names the field. A history that ends within a record is valid: an interrupted run leaves such a history.

use crate::comparison::Comparison;
use crate::error::ReportError;
use crate::recording::{Curves, Features, Layer, RECORDING_VERSION, Recording, Samples};
use crate::weights::legal_entries;

pub(crate) fn recording(recording: &Recording) -> Result<(), ReportError> {
    if recording.version != RECORDING_VERSION {
        return Err(ReportError::Version {
            found: recording.version,
            expected: RECORDING_VERSION,
        });
    }
    let nodes = recording.nodes.len();
    if let Some((index, node)) = recording
        .nodes
        .iter()
        .enumerate()
        .find(|(_, node)| node.level as usize >= nodes)
    {
        return Err(value(
            &format!("nodes[{index}].level"),
            node.level.to_string(),
            &format!("{nodes} nodes cannot have more levels"),
        ));
    }
    let classes = recording.data.classes.len();
    curves("curves", &recording.curves, Some(classes))?;
    for (index, layer) in recording.layers.iter().enumerate() {
        self::layer(&format!("layers[{index}]"), layer, recording.nodes.len())?;
    }
    match &recording.samples {
        Some(samples) => self::samples(samples, classes, recording.nodes.len()),
        None => Ok(()),
    }
}

pub(crate) fn comparison(comparison: &Comparison) -> Result<(), ReportError> {
    let runs = comparison.runs.len();
    for (index, run) in comparison.runs.iter().enumerate() {
        curves(&format!("runs[{index}].curves"), &run.curves, None)?;
        within(
            &format!("runs[{index}].edges_real"),
            run.edges_real,
            run.edges_possible,
            "edges_possible",
        )?;
    }
    length("overlap", "rows", runs, comparison.overlap.len())?;
    for (index, row) in comparison.overlap.iter().enumerate() {
        length(&format!("overlap[{index}]"), "entries", runs, row.len())?;
    }
    Ok(())
}

fn curves(path: &str, curves: &Curves, classes: Option<usize>) -> Result<(), ReportError> {
    let train = &curves.train;
    let rows = train.update.len();
    ascending(&format!("{path}.train.update"), &train.update)?;
    for (name, found) in [
        ("loss", train.loss.len()),
        ("accuracy", train.accuracy.len()),
        ("swaps", train.swaps.len()),
        ("learning_rate", train.learning_rate.len()),
        ("real", train.real.len()),
    ] {
        length(&format!("{path}.train.{name}"), "entries", rows, found)?;
    }
    let test = &curves.test;
    let rows = test.update.len();
    ascending(&format!("{path}.test.update"), &test.update)?;
    length(
        &format!("{path}.test.loss"),
        "entries",
        rows,
        test.loss.len(),
    )?;
    length(
        &format!("{path}.test.accuracy"),
        "entries",
        rows,
        test.accuracy.len(),
    )?;
    // The column is empty in a comparison and in a run without confusion matrices.
    if let (Some(classes), false) = (classes, test.confusion.is_empty()) {
        length(
            &format!("{path}.test.confusion"),
            "entries",
            rows,
            test.confusion.len(),
        )?;
        for (index, matrix) in test.confusion.iter().enumerate() {
            length(
                &format!("{path}.test.confusion[{index}]"),
                "cells",
                product([classes, classes]),
                matrix.len(),
            )?;
        }
    }
    Ok(())
}

fn layer(path: &str, layer: &Layer, nodes: usize) -> Result<(), ReportError> {
    let at_least_a_matrix = layer.shape.len() >= 2;
    let entries = layer
        .shape
        .iter()
        .try_fold(1usize, |product, &side| product.checked_mul(side));
    let entries = match entries {
        Some(entries) if at_least_a_matrix && entries > 0 && u32::try_from(entries).is_ok() => {
            entries
        }
        _ => {
            return Err(value(
                &format!("{path}.shape"),
                format!("{:?}", layer.shape),
                "it must be [targets, sources, ..] with 1 to 2^32 - 1 entries",
            ));
        }
    };
    if layer.target_nodes.is_empty() != layer.source_nodes.is_empty() {
        return Err(value(
            &format!("{path}.target_nodes"),
            format!(
                "{} entries for {} source nodes",
                layer.target_nodes.len(),
                layer.source_nodes.len()
            ),
            "a layer has nodes for both its sources and targets or for neither",
        ));
    }
    if !layer.target_nodes.is_empty() {
        for (name, list, side) in [
            ("target_nodes", &layer.target_nodes, layer.shape[0]),
            ("source_nodes", &layer.source_nodes, layer.shape[1]),
        ] {
            length(&format!("{path}.{name}"), "nodes", side, list.len())?;
            if let Some(&node) = list.iter().find(|&&node| node as usize >= nodes) {
                return Err(value(
                    &format!("{path}.{name}"),
                    format!("node {node}"),
                    &format!("the run has {nodes} nodes"),
                ));
            }
        }
    }
    let bits = entries.div_ceil(8);
    if let Some(legal) = &layer.legal {
        length(&format!("{path}.legal"), "bytes", bits, legal.0.len())?;
    }
    length(
        &format!("{path}.initial"),
        "bytes",
        bits,
        layer.initial.0.len(),
    )?;
    within(
        &format!("{path}.possible"),
        layer.possible,
        entries,
        "the layer's entries",
    )?;
    within(
        &format!("{path}.budget"),
        layer.budget,
        entries,
        "the layer's entries",
    )?;
    let frames = layer.frames.len();
    ascending(&format!("{path}.frames"), &layer.frames)?;
    let legal = legal_entries(layer).len();
    length(
        &format!("{path}.possible"),
        "legal entries",
        legal,
        layer.possible,
    )?;
    let found = layer.weights.0.len();
    // Either precision; see `weights`.
    if found != product([frames, legal]) {
        let expected = product([frames, legal, 2]);
        length(&format!("{path}.weights"), "bytes", expected, found)?;
    }
    length(
        &format!("{path}.scale"),
        "entries",
        frames,
        layer.scale.len(),
    )?;
    length(
        &format!("{path}.threshold"),
        "entries",
        frames,
        layer.threshold.len(),
    )
}

fn samples(samples: &Samples, classes: usize, nodes: usize) -> Result<(), ReportError> {
    let images = samples.labels.len();
    let pixels = product(samples.shape);
    length(
        "samples.pixels",
        "bytes",
        product([images, pixels]),
        samples.pixels.0.len(),
    )?;
    if let Some(&label) = samples
        .labels
        .iter()
        .find(|&&label| label as usize >= classes)
    {
        return Err(value(
            "samples.labels",
            format!("{label}"),
            &format!("the data has {classes} classes"),
        ));
    }
    ascending("samples.frames", &samples.frames)?;
    let expected = product([samples.frames.len(), images, classes]);
    length(
        "samples.probabilities",
        "bytes",
        expected,
        samples.probabilities.0.len(),
    )?;
    match &samples.features {
        Some(features) => self::features(features, images, nodes),
        None => Ok(()),
    }
}

fn features(features: &Features, images: usize, nodes: usize) -> Result<(), ReportError> {
    let frames = features.frames.len();
    ascending("samples.features.frames", &features.frames)?;
    let expected = product([frames, images, nodes, features.height, features.width]);
    length(
        "samples.features.values",
        "bytes",
        expected,
        features.values.0.len(),
    )?;
    length(
        "samples.features.scale",
        "bytes",
        product([frames, nodes, 4]),
        features.scale.0.len(),
    )
}

/// The product of sizes, saturating on overflow.
fn product(sizes: impl IntoIterator<Item = usize>) -> usize {
    sizes.into_iter().fold(1, usize::saturating_mul)
}

fn length(
    field: &str,
    unit: &'static str,
    expected: usize,
    found: usize,
) -> Result<(), ReportError> {
    if expected == found {
        return Ok(());
    }
    Err(ReportError::Length {
        field: field.into(),
        unit,
        expected,
        found,
    })
}

fn within(field: &str, found: usize, limit: usize, name: &str) -> Result<(), ReportError> {
    if found <= limit {
        return Ok(());
    }
    Err(value(
        field,
        found.to_string(),
        &format!("it may not exceed {name} ({limit})"),
    ))
}

fn ascending(field: &str, updates: &[u64]) -> Result<(), ReportError> {
    match updates.windows(2).position(|pair| pair[1] < pair[0]) {
        Some(before) => Err(ReportError::Order {
            field: field.into(),
            entry: before + 1,
        }),
        None => Ok(()),
    }
}

fn value(field: &str, found: String, rule: &str) -> ReportError {
    ReportError::Value {
        field: field.into(),
        found,
        rule: rule.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::Blob;
    use crate::synthetic::{self, Size};

    /// The error message for a recording after `spoil` made it invalid.
    fn error_of(spoil: impl FnOnce(&mut Recording)) -> String {
        let mut spoiled = synthetic::recording(&Size::small());
        assert!(
            recording(&spoiled).is_ok(),
            "a synthetic recording is consistent"
        );
        spoil(&mut spoiled);
        recording(&spoiled)
            .expect_err("the recording is inconsistent")
            .to_string()
    }

    #[test]
    fn an_error_names_the_field() {
        type Spoil = fn(&mut Recording);
        let cases: [(&str, Spoil); 14] = [
            ("version 9", |r| r.version = 9),
            ("curves.train.loss", |r| r.curves.train.loss.clear()),
            ("curves.test.confusion[1]", |r| {
                r.curves.test.confusion[1].clear()
            }),
            ("curves.train.update", |r| r.curves.train.update.reverse()),
            ("layers[0].shape", |r| r.layers[0].shape = vec![3]),
            ("layers[0].shape", |r| {
                r.layers[0].shape = vec![usize::MAX, 2]
            }),
            ("layers[0].target_nodes", |r| {
                r.layers[0].target_nodes[0] = 99
            }),
            ("layers[0].target_nodes", |r| {
                r.layers[0].target_nodes.clear()
            }),
            ("layers[0].initial", |r| {
                r.layers[0].initial = Blob::default()
            }),
            ("layers[0].weights", |r| r.layers[0].weights.0.clear()),
            ("layers[0].threshold", |r| r.layers[0].threshold.clear()),
            ("samples.labels", |r| {
                r.samples.as_mut().unwrap().labels[0] = 10
            }),
            ("samples.probabilities", |r| {
                r.samples.as_mut().unwrap().probabilities.0.clear()
            }),
            ("samples.features.values", |r| {
                r.samples.as_mut().unwrap().features.as_mut().unwrap().width += 1
            }),
        ];
        for (field, spoil) in cases {
            let error = error_of(spoil);
            assert!(error.contains(field), "`{error}` does not name {field}");
        }
    }

    #[test]
    fn a_truncated_history_is_valid() {
        let mut cut = synthetic::recording(&Size::small());
        let length = cut.layers[0].history.0.len() / 2;
        cut.layers[0].history.0.truncate(length);
        assert!(recording(&cut).is_ok());
    }

    #[test]
    fn an_overlap_without_an_entry_for_each_run_is_an_error() {
        let mut spoiled = synthetic::comparison();
        spoiled.overlap[3].pop();
        let error = comparison(&spoiled)
            .expect_err("a row is short")
            .to_string();
        assert!(error.contains("overlap[3]"), "{error}");
    }

    #[test]
    fn sizes_whose_product_overflows_are_an_error() {
        let mut recording = crate::synthetic::recording(&crate::synthetic::Size::small());
        if let Some(samples) = &mut recording.samples {
            samples.shape = [usize::MAX, 2, 2];
        }
        assert!(super::recording(&recording).is_err());
        let mut recording = crate::synthetic::recording(&crate::synthetic::Size::small());
        recording.nodes[0].level = u32::MAX;
        assert!(super::recording(&recording).is_err());
    }
}

//! A run folder as a recording for the explorer.

use dnw_core::WeightShape;
use dnw_report::weights::{Precision, encode};
use dnw_report::{
    Blob, Curves, DataFacts, Features, Layer, Node, NodeKind, Outcome, RECORDING_VERSION,
    Recording, RunFacts, Samples, TestCurve, TrainCurve,
};

use crate::run::frame::Frame;
use crate::run::{DrawingFile, Facts, Metric, Metrics, RunError, RunFolder, Status, TensorFacts};

/// Bytes of swaps, weights and feature maps on a page. With the third that base64 adds and everything else, these are 5 MB. Swaps are exact,
/// so a long run of a large network may need more.
const PAGE_BYTES: usize = 3_450_000;
/// Frames of weights to keep, however large they are.
const MIN_FRAMES: usize = 3;
/// Frames that make animated 16-bit weights look smooth.
const SMOOTH_FRAMES: usize = 12;

/// Reads a run folder as a recording.
///
/// # Errors
/// [`RunError`] if a file is missing or damaged. A run that stopped early is shown as far as it went.
pub fn record(folder: &RunFolder) -> Result<Recording, RunError> {
    let facts = folder.read_facts()?;
    let recipe = folder.read_recipe()?;
    let metrics = folder.read_metrics(facts.classes.len())?;
    let drawing = folder.read_drawing()?;
    let updates = updates_made(&facts, &metrics);
    let moments = folder.frame_updates()?;
    let frames: Vec<(u64, Frame)> = moments
        .into_iter()
        .filter(|&update| update <= updates)
        .map(|update| Ok((update, folder.read_frame(update)?)))
        .collect::<Result<_, RunError>>()?;
    let edges = facts.edges_possible.max(1);
    let left = PAGE_BYTES.saturating_sub(wiring_bytes(folder, &facts));
    let with_maps = frames_with_maps(&frames, left / 3);
    let map_bytes = with_maps.iter().map(|(_, frame)| map_bytes(frame));
    let weight_bytes = left.saturating_sub(map_bytes.sum());
    let precision = match weight_bytes / (2 * edges) {
        fitting if fitting >= frames.len().min(SMOOTH_FRAMES) => Precision::Sixteen,
        _ => Precision::Eight,
    };
    let most = weight_bytes / (precision.bytes() * edges);
    let shown = evenly(frames.len(), most.max(MIN_FRAMES));
    let layers = facts.tensors.iter().map(|tensor| {
        let chosen: Vec<&(u64, Frame)> = shown.iter().map(|&i| &frames[i]).collect();
        layer(folder, tensor, drawing.as_ref(), &chosen, precision)
    });
    let layers = layers.collect::<Result<Vec<_>, RunError>>()?;
    Ok(Recording {
        version: RECORDING_VERSION,
        run: RunFacts {
            name: folder.name(),
            recipe: recipe.name.clone(),
            recipe_text: recipe.to_toml(),
            command: facts.command.clone(),
            rule: format!("{}, {}", recipe.wiring.rule, budget_in_words(&recipe)),
            seed: recipe.seed,
            environment: facts.shown_environment(),
            seconds: facts.seconds,
            finished: matches!(facts.status, Status::Finished | Status::Imported),
        },
        data: DataFacts {
            name: recipe.data.clone(),
            classes: facts.classes.clone(),
            train_images: facts.train_images,
            test_images: facts.test_images,
        },
        outcome: Outcome {
            test_accuracy: facts.test_accuracy,
            best_test_accuracy: facts.best_test_accuracy,
            edges_real: facts.edges_real,
            edges_possible: facts.edges_possible,
            parameters: facts.parameters,
        },
        updates,
        curves: curves(&metrics, updates),
        nodes: drawing.as_ref().map(nodes).unwrap_or_default(),
        layers,
        samples: samples(
            folder,
            &facts,
            drawing.as_ref().map_or(0, |drawing| drawing.nodes.len()),
            &frames,
            &with_maps,
        )?,
    })
}

/// Bytes of the swaps of all tensors, and of their legal and first edges.
fn wiring_bytes(folder: &RunFolder, facts: &Facts) -> usize {
    let bytes = facts.tensors.iter().map(|tensor| {
        let swaps = std::fs::metadata(folder.history(&tensor.name));
        swaps.map_or(0, |file| file.len() as usize)
    });
    bytes.sum()
}

/// The frames whose feature maps are shown: as many as fit, at least the last.
fn frames_with_maps(frames: &[(u64, Frame)], bytes: usize) -> Vec<&(u64, Frame)> {
    let all = frames
        .iter()
        .filter(|(_, frame)| frame.bytes("maps").is_some());
    let all: Vec<&(u64, Frame)> = all.collect();
    let most = bytes / all.first().map_or(1, |(_, frame)| map_bytes(frame)).max(1);
    evenly(all.len(), most.max(1))
        .into_iter()
        .map(|i| all[i])
        .collect()
}

fn map_bytes(frame: &Frame) -> usize {
    frame.bytes("maps").map_or(0, <[u8]>::len)
}

pub(crate) fn budget_in_words(recipe: &crate::recipe::Recipe) -> String {
    recipe
        .wiring
        .budget()
        .map_or_else(|error| error.to_string(), |budget| budget.to_string())
}

/// At most `most` of `count` indices, evenly spaced: the last, and if there are several the first.
fn evenly(count: usize, most: usize) -> Vec<usize> {
    if count <= most {
        return (0..count).collect();
    }
    if most == 1 {
        return vec![count - 1];
    }
    (0..most)
        .map(|i| i * (count - 1) / (most - 1).max(1))
        .collect()
}

/// The updates of a run. If a run was interrupted between two evaluations, its metrics go beyond its facts.
pub(crate) fn updates_made(facts: &Facts, metrics: &Metrics) -> u64 {
    let of = |metric: &Metric| match metric {
        Metric::Train { update, .. } | Metric::Test { update, .. } => *update,
    };
    metrics
        .0
        .iter()
        .map(of)
        .fold(facts.updates, u64::max)
        .min(facts.planned_updates)
}

/// The metrics as columns.
pub(crate) fn curves(metrics: &Metrics, updates: u64) -> Curves {
    let (mut train, mut test) = (TrainCurve::default(), TestCurve::default());
    for metric in &metrics.0 {
        match metric {
            Metric::Train {
                update,
                loss,
                accuracy,
                swaps,
                learning_rate,
                real,
            } if *update <= updates => {
                train.update.push(*update);
                train.loss.push(*loss as f32);
                train.accuracy.push(*accuracy as f32);
                train.swaps.push(*swaps as u32);
                train.learning_rate.push(*learning_rate as f32);
                train.real.push(*real as u32);
            }
            Metric::Test {
                update,
                loss,
                accuracy,
                confusion,
                ..
            } if *update <= updates => {
                test.update.push(*update);
                test.loss.push(*loss as f32);
                test.accuracy.push(*accuracy as f32);
                test.confusion.push(confusion.clone());
            }
            _ => {}
        }
    }
    Curves { train, test }
}

fn nodes(drawing: &DrawingFile) -> Vec<Node> {
    let node = |(number, (level, kernel)): (usize, &(usize, Vec<f32>))| Node {
        level: *level as u32,
        kind: match level {
            0 => NodeKind::Input,
            _ if drawing.outputs.contains(&number) => NodeKind::Output,
            _ => NodeKind::Hidden,
        },
        kernel: kernel.clone(),
    };
    drawing.nodes.iter().enumerate().map(node).collect()
}

fn layer(
    folder: &RunFolder,
    tensor: &TensorFacts,
    drawing: Option<&DrawingFile>,
    frames: &[&(u64, Frame)],
    precision: Precision,
) -> Result<Layer, RunError> {
    let shape = WeightShape::new(&tensor.dims);
    let entries = shape.entries();
    let history = folder.read_history(&tensor.name, entries)?;
    let ends = drawing.and_then(|drawing| {
        drawing
            .tensors
            .iter()
            .find(|(name, ..)| *name == tensor.name)
    });
    let numbers = |range: &std::ops::Range<usize>| range.clone().map(|node| node as u32).collect();
    let (target_nodes, source_nodes): (Vec<u32>, Vec<u32>) = ends
        .map(|(_, targets, sources)| (numbers(targets), numbers(sources)))
        .unwrap_or_default();
    if ends.is_some() && (target_nodes.len(), source_nodes.len()) != (shape.targets, shape.sources)
    {
        let path = folder.path().join("drawing.json");
        return Err(RunError::damaged(
            path,
            format!("its nodes do not fit the shape of `{}`", tensor.name),
        ));
    }
    let (mut encoded, mut scale, mut threshold) = (Blob::default(), Vec::new(), Vec::new());
    let mut real = history.first.to_mask();
    let mut changes = history.changes.iter().peekable();
    for (update, frame) in frames {
        let path = folder.frame(*update);
        let weights = frame
            .f32(&format!("weight:{}", tensor.name))
            .filter(|w| w.len() == entries);
        let weights = weights.ok_or_else(|| {
            RunError::damaged(&path, format!("it lacks the weights of `{}`", tensor.name))
        })?;
        while let Some(change) = changes.next_if(|change| change.update <= *update) {
            change
                .removed
                .iter()
                .for_each(|&entry| real[entry as usize] = false);
            change
                .added
                .iter()
                .for_each(|&entry| real[entry as usize] = true);
        }
        let legal: Vec<f32> = history.legal.iter().map(|entry| weights[entry]).collect();
        scale.push(encode(&mut encoded, &legal, precision));
        let magnitudes = weights
            .iter()
            .zip(&real)
            .filter(|(_, real)| **real)
            .map(|(w, _)| w.abs());
        threshold.push(magnitudes.reduce(f32::min).unwrap_or(0.0));
    }
    let all_legal = history.legal.count() == entries;
    Ok(Layer {
        name: tensor.name.clone(),
        shape: [shape.targets, shape.sources]
            .into_iter()
            .chain((shape.kernel > 1).then_some(shape.kernel))
            .collect(),
        target_nodes,
        source_nodes,
        legal: (!all_legal).then(|| Blob::from_bits(history.legal.to_mask())),
        possible: tensor.possible,
        budget: tensor.budget,
        initial: Blob::from_bits(history.first.to_mask()),
        history: Blob(history.bytes),
        frames: frames.iter().map(|(update, _)| *update).collect(),
        weights: encoded,
        scale,
        threshold,
    })
}

fn samples(
    folder: &RunFolder,
    facts: &Facts,
    nodes: usize,
    frames: &[(u64, Frame)],
    with_maps: &[&(u64, Frame)],
) -> Result<Option<Samples>, RunError> {
    if facts.status == Status::Imported {
        // No sample was recorded yet.
        return Ok(None);
    }
    let path = folder.samples();
    let file = Frame::read(&path)?;
    let (Some(labels), Some(pixels)) = (file.bytes("labels"), file.bytes("pixels")) else {
        return Err(RunError::damaged(path, "it lacks labels or pixels"));
    };
    let (images, classes) = (labels.len(), facts.classes.len());
    if pixels.len() != images * facts.image.iter().product::<usize>() {
        return Err(RunError::damaged(
            path,
            "its pixels are not those of its images",
        ));
    }
    if labels.iter().any(|&label| usize::from(label) >= classes) {
        return Err(RunError::damaged(
            path,
            format!("a label names none of the {classes} classes"),
        ));
    }
    let mut probabilities = Vec::new();
    for (update, frame) in frames {
        let found = frame
            .f32("probabilities")
            .filter(|p| p.len() == images * classes);
        let found = found
            .ok_or_else(|| RunError::damaged(folder.frame(*update), "it lacks predictions"))?;
        probabilities.extend(found.iter().map(|p| (p * 255.0).round() as u8));
    }
    Ok(Some(Samples {
        shape: facts.image,
        pixels: Blob(pixels.to_vec()),
        labels: labels.iter().map(|&label| u32::from(label)).collect(),
        frames: frames.iter().map(|(update, _)| *update).collect(),
        probabilities: Blob(probabilities),
        features: features(folder, images, nodes, with_maps)?,
    }))
}

/// The nodes' feature maps of the frames that have them.
fn features(
    folder: &RunFolder,
    images: usize,
    nodes: usize,
    frames: &[&(u64, Frame)],
) -> Result<Option<Features>, RunError> {
    let mut features: Option<Features> = None;
    let mut scales = Vec::new();
    for (update, frame) in frames {
        let (Some(maps), Some(scale)) = (frame.bytes("maps"), frame.f32("maps-scale")) else {
            continue;
        };
        let sizes = match frame.shape("maps") {
            // The bytes bound the product; with a size of 0 the others would be unbounded.
            Some(&[of, by, height, width]) if (of, by) == (images, nodes) && !maps.is_empty() => {
                Some([height, width])
            }
            _ => None,
        };
        let expected = features
            .as_ref()
            .map(|features| [features.height, features.width])
            .or(sizes);
        let Some([height, width]) = sizes.filter(|_| sizes == expected && scale.len() == nodes)
        else {
            return Err(RunError::damaged(
                folder.frame(*update),
                "its maps are not those of the nodes and samples",
            ));
        };
        let features = features.get_or_insert_with(|| Features {
            height,
            width,
            frames: Vec::new(),
            values: Blob::default(),
            scale: Blob::default(),
        });
        features.frames.push(*update);
        features.values.0.extend(maps);
        scales.extend(scale);
    }
    Ok(features.map(|features| Features {
        scale: Blob::from_f32(scales),
        ..features
    }))
}

#[cfg(test)]
mod tests {
    use super::evenly;

    #[test]
    fn frames_are_evenly_spaced_and_include_the_last() {
        assert_eq!(evenly(2, 9), [0, 1]);
        assert_eq!(evenly(5, 3), [0, 2, 4]);
        assert_eq!(evenly(5, 1), [4]);
        assert_eq!(evenly(0, 1), [0; 0]);
    }
}

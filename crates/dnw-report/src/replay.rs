//! The state of a recording at an update: its real edges and their weights.

use std::fmt::Write;

use crate::error::ReportError;
use crate::history::{self, Change};
use crate::recording::{Layer, Recording};
use crate::validate;
use crate::weights;

/// One layer, decoded.
pub(crate) struct Replay<'a> {
    layer: &'a Layer,
    entries: usize,
    changes: Vec<Change>,
    /// `[frames, entries]`.
    weights: Vec<i16>,
}

impl<'a> Replay<'a> {
    pub(crate) fn new(layer: &'a Layer) -> Self {
        let entries = layer.shape.iter().product();
        let (changes, _) = history::decode(&layer.history.0, entries);
        Self {
            layer,
            entries,
            changes,
            weights: weights::decode(layer),
        }
    }

    /// The entries that are real after `update`, as one flag per entry.
    pub(crate) fn wiring(&self, update: u64) -> Vec<bool> {
        let initial = &self.layer.initial.0;
        let mut real: Vec<bool> = (0..self.entries)
            .map(|entry| initial[entry / 8] >> (entry % 8) & 1 == 1)
            .collect();
        for change in self
            .changes
            .iter()
            .take_while(|change| change.update <= update)
        {
            for &entry in &change.removed {
                real[entry as usize] = false;
            }
            for &entry in &change.added {
                real[entry as usize] = true;
            }
        }
        real
    }

    /// The weight of `entry` at `update`, interpolated linearly between the two nearest frames.
    pub(crate) fn weight(&self, entry: usize, update: u64) -> f32 {
        let (before, after, share) = self.frames_around(update);
        self.recorded(before, entry) * (1.0 - share) + self.recorded(after, entry) * share
    }

    /// The largest |w| that the layer's encoding can hold at `update`.
    pub(crate) fn scale(&self, update: u64) -> f32 {
        let (before, after, share) = self.frames_around(update);
        let scale = |frame: usize| self.layer.scale.get(frame).copied().unwrap_or(1.0);
        scale(before) * (1.0 - share) + scale(after) * share
    }

    /// The source and target node of `entry`.
    pub(crate) fn ends(&self, entry: usize) -> (usize, usize) {
        let sources = self.layer.shape[1];
        let cell: usize = self.layer.shape[2..].iter().product();
        let (target, source) = (entry / (sources * cell), entry / cell % sources);
        (
            self.layer.source_nodes[source] as usize,
            self.layer.target_nodes[target] as usize,
        )
    }

    fn recorded(&self, frame: usize, entry: usize) -> f32 {
        match self.weights.get(frame * self.entries + entry) {
            Some(&number) => f32::from(number) / 32767.0 * self.layer.scale[frame],
            None => 0.0,
        }
    }

    fn frames_around(&self, update: u64) -> (usize, usize, f32) {
        let frames = &self.layer.frames;
        let after = frames.partition_point(|&frame| frame <= update);
        if after == 0 {
            return (0, 0, 0.0);
        }
        let before = after - 1;
        if after == frames.len() {
            return (before, before, 0.0);
        }
        (
            before,
            after,
            (update - frames[before]) as f32 / (frames[after] - frames[before]) as f32,
        )
    }
}

/// A real edge at an update.
pub(crate) struct RealEdge {
    pub(crate) ends: (usize, usize),
    /// |w| relative to the layer's largest at this update, 0 to 1.
    pub(crate) size: f32,
    pub(crate) negative: bool,
    /// Layer and entry.
    pub(crate) key: (usize, usize),
}

impl RealEdge {
    /// The class of its colour in a picture.
    pub(crate) fn class(&self) -> &'static str {
        if self.negative { "n" } else { "p" }
    }
}

/// The layers that are drawn as nodes and edges, decoded.
pub(crate) fn drawn_layers(recording: &Recording) -> Result<Vec<Replay<'_>>, ReportError> {
    validate::recording(recording)?;
    let replays: Vec<_> = recording
        .layers
        .iter()
        .filter(|layer| !layer.target_nodes.is_empty())
        .map(Replay::new)
        .collect();
    if replays.is_empty() {
        return Err(ReportError::NoNodes(recording.run.name.clone()));
    }
    Ok(replays)
}

/// The real edges of all these layers after `update`.
pub(crate) fn real_edges(replays: &[Replay<'_>], update: u64) -> Vec<RealEdge> {
    let mut edges = Vec::new();
    for (layer, replay) in replays.iter().enumerate() {
        let scale = replay.scale(update).max(f32::MIN_POSITIVE);
        for entry in (0..)
            .zip(replay.wiring(update))
            .filter_map(|(entry, real)| real.then_some(entry))
        {
            let weight = replay.weight(entry, update);
            edges.push(RealEdge {
                ends: replay.ends(entry),
                size: (weight.abs() / scale).clamp(0.0, 1.0),
                negative: weight < 0.0,
                key: (layer, entry),
            });
        }
    }
    edges
}

/// The caption of a picture at an update.
pub(crate) fn caption(recording: &Recording, real: usize, update: u64) -> String {
    let mut words = format!("{} real edges", crate::picture::count(real as u64));
    let test = &recording.curves.test;
    let evaluated = test.update.partition_point(|&at| at <= update);
    if let Some(accuracy) = evaluated.checked_sub(1).map(|at| test.accuracy[at]) {
        let _ = write!(words, " · {:.1}% right", accuracy * 100.0);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::Blob;

    fn layer() -> Layer {
        let mut history = Vec::new();
        history::encode(
            &mut history,
            0,
            &Change {
                update: 4,
                added: vec![2],
                removed: vec![0],
            },
        );
        Layer {
            name: "graph.weight".into(),
            shape: vec![1, 3],
            target_nodes: vec![3],
            source_nodes: vec![0, 1, 2],
            legal: None,
            possible: 3,
            budget: 1,
            initial: Blob::from_bits([true, false, false]),
            history: Blob(history),
            frames: vec![0, 8],
            weights: Blob::from_i16([32767, 0, 0, 0, 0, -32767]),
            scale: vec![1.0, 2.0],
            threshold: vec![1.0, 2.0],
        }
    }

    #[test]
    fn the_wiring_changes_at_the_update_of_its_record() {
        let layer = layer();
        let replay = Replay::new(&layer);
        assert_eq!(replay.wiring(3), [true, false, false]);
        assert_eq!(replay.wiring(4), [false, false, true]);
    }

    #[test]
    fn weights_are_interpolated_between_frames() {
        let layer = layer();
        let replay = Replay::new(&layer);
        assert!((replay.weight(0, 2) - 0.75).abs() < 1e-6);
        assert!((replay.weight(2, 6) + 1.5).abs() < 1e-6);
        assert!((replay.weight(2, 100) + 2.0).abs() < 1e-6);
    }

    #[test]
    fn an_entry_leads_from_its_column_to_its_row() {
        assert_eq!(Replay::new(&layer()).ends(1), (1, 3));
    }
}

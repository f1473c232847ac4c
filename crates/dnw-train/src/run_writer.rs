//! Writes the files of a run during training.

use std::collections::{BTreeMap, BTreeSet};

use burn::tensor::Tensor;
use dnw_models::Classifier;

use crate::compiled::prediction::probabilities;
use crate::data::DataSet;
use crate::run::Checkpoint;
use crate::run::frame::Frame;
use crate::run::history::HistoryWriter;
use crate::run::{
    FilesState, Metric, MetricsWriter, Position, RunError, RunFolder, SumsState, to_bytes,
    write_whole,
};
use crate::runner::RunnerError;
use crate::training::{Evaluation, Training, Update};

mod samples;

use samples::Samples;

/// Approximate number of training lines in `metrics.jsonl`.
const METRIC_LINES: u64 = 400;
/// Frames of a network with few weights.
const MAX_FRAMES: u64 = 100;
/// Frames of a network with many weights.
const MIN_FRAMES: u64 = 12;
/// Bytes of weights in all frames together, unless the minimum number of frames needs more.
const FRAME_BYTES: u64 = 24 << 20;
/// Every how many frames the nodes' feature maps are recorded.
const MAPS_EVERY: u64 = 5;
/// Writes metrics, histories, frames and weights.
pub struct RunWriter<'a> {
    folder: &'a RunFolder,
    metrics: MetricsWriter,
    histories: Vec<(String, HistoryWriter)>,
    samples: Samples,
    every: u64,
    sums: Sums,
    /// The updates that get a frame.
    frames: BTreeSet<u64>,
    /// The updates that have one.
    written: BTreeSet<u64>,
    /// The weights of the last evaluation and of the best one.
    weights: BTreeMap<String, Position>,
}

/// Sums since the last line of metrics.
#[derive(Default)]
struct Sums {
    loss: f64,
    right: usize,
    images: usize,
    updates: u64,
    swaps: u64,
    rate: f64,
}

impl Sums {
    fn to_state(&self) -> SumsState {
        SumsState {
            loss: self.loss.to_bits(),
            right: self.right,
            images: self.images,
            updates: self.updates,
            swaps: self.swaps,
            rate: self.rate.to_bits(),
        }
    }

    fn from_state(state: &SumsState) -> Self {
        Self {
            loss: f64::from_bits(state.loss),
            right: state.right,
            images: state.images,
            updates: state.updates,
            swaps: state.swaps,
            rate: f64::from_bits(state.rate),
        }
    }
}

impl<'a> RunWriter<'a> {
    /// Writes the first wiring, the first frame, the first weights and the sample images.
    pub(crate) fn begin<M: Classifier>(
        folder: &'a RunFolder,
        training: &Training<M>,
        data: &DataSet,
    ) -> Result<Self, RunnerError> {
        let tensors = training.model.tensors();
        let histories = tensors.iter().map(|tensor| {
            let path = folder.history(&tensor.name);
            let writer =
                HistoryWriter::create(path, tensor.shape.clone(), &tensor.wiring, &tensor.legal)?;
            Ok((tensor.name.clone(), writer))
        });
        let histories = histories.collect::<Result<_, RunError>>()?;
        let entries: usize = tensors.iter().map(|tensor| tensor.weights.len()).sum();
        let updates = training.updates();
        let mut writer = Self {
            folder,
            metrics: MetricsWriter::create(folder.metrics())?,
            histories,
            samples: Samples::choose(folder, data)?,
            every: (updates / METRIC_LINES).max(1),
            sums: Sums::default(),
            frames: frame_moments(updates, entries as u64),
            written: BTreeSet::new(),
            weights: BTreeMap::new(),
        };
        writer.frame(training, true)?;
        writer.save(training, &["last"])?;
        writer.draw(training)?;
        Ok(writer)
    }

    /// Goes on from a checkpoint, which undoes all that the run wrote after it.
    pub(crate) fn resume<M: Classifier>(
        folder: &'a RunFolder,
        training: &Training<M>,
        data: &DataSet,
        checkpoint: &Checkpoint,
    ) -> Result<Self, RunnerError> {
        let state = &checkpoint.state.files;
        let tensors = training.model.tensors();
        let histories = tensors.iter().map(|tensor| {
            let path = folder.history(&tensor.name);
            let Some(position) = state.histories.get(&tensor.name) else {
                return Err(RunError::damaged(path, "no checkpoint names it"));
            };
            let shape = tensor.shape.clone();
            let writer = HistoryWriter::resume(path, shape, &tensor.legal, position)?;
            Ok((tensor.name.clone(), writer))
        });
        let histories = histories.collect::<Result<_, RunError>>()?;
        let entries: usize = tensors.iter().map(|tensor| tensor.weights.len()).sum();
        let updates = training.updates();
        let writer = Self {
            folder,
            metrics: MetricsWriter::resume(folder.metrics(), &state.metrics)?,
            histories,
            samples: Samples::choose(folder, data)?,
            every: (updates / METRIC_LINES).max(1),
            sums: Sums::from_state(&state.sums),
            frames: frame_moments(updates, entries as u64),
            written: state.frames.iter().copied().collect(),
            weights: state.weights.clone(),
        };
        folder.clean(&state.frames)?;
        checkpoint.remove_others(folder)?;
        for which in ["last", "best"] {
            let path = folder.weights(which);
            match checkpoint.weights(folder, which)? {
                Some(bytes) => write_whole(&path, &bytes)?,
                None if path.exists() => std::fs::remove_file(&path)
                    .map_err(|source| RunError::Write { path, source })?,
                None => {}
            }
        }
        Ok(writer)
    }

    /// The state of all files, which are on the disk then.
    pub(crate) fn state(&mut self) -> Result<FilesState, RunError> {
        let histories = self.histories.iter_mut();
        let histories = histories.map(|(name, history)| Ok((name.clone(), history.sync()?)));
        Ok(FilesState {
            histories: histories.collect::<Result<_, RunError>>()?,
            metrics: self.metrics.sync()?,
            frames: self.written.iter().copied().collect(),
            weights: self.weights.clone(),
            sums: self.sums.to_state(),
        })
    }

    /// Records an update.
    pub(crate) fn update<M: Classifier>(
        &mut self,
        training: &Training<M>,
        update: &Update,
    ) -> Result<(), RunError> {
        for tensor in &update.rewiring.tensors {
            let history = self
                .histories
                .iter_mut()
                .find(|(name, _)| *name == tensor.name);
            if let Some((_, history)) = history.filter(|_| !tensor.swaps.is_empty()) {
                history.append(update.update, &tensor.swaps);
            }
        }
        self.sums.loss += f64::from(update.loss);
        self.sums.right += update.right;
        self.sums.images += update.images;
        self.sums.updates += 1;
        self.sums.swaps += update.rewiring.added() as u64;
        self.sums.rate = update.rate;
        if update.update.is_multiple_of(self.every) {
            self.write_metric(training)?;
        }
        if self.frames.contains(&update.update) {
            let count = self.written.len() as u64;
            self.frame(training, count.is_multiple_of(MAPS_EVERY))?;
        }
        Ok(())
    }

    /// Writes the sums since the last line of metrics, and flushes the histories.
    fn write_metric<M: Classifier>(&mut self, training: &Training<M>) -> Result<(), RunError> {
        let sums = std::mem::take(&mut self.sums);
        if sums.updates > 0 {
            let tensors = training.model.tensors();
            let real: usize = tensors.iter().map(|tensor| tensor.active().count()).sum();
            self.metrics.append(&Metric::Train {
                update: training.updates_made(),
                loss: sums.loss / sums.updates as f64,
                accuracy: sums.right as f64 / sums.images.max(1) as f64,
                swaps: sums.swaps,
                learning_rate: sums.rate,
                real: real as u64,
            })?;
        }
        self.flush()
    }

    /// Records an evaluation and its weights.
    pub(crate) fn evaluated<M: Classifier>(
        &mut self,
        training: &Training<M>,
        epoch: u64,
        found: &Evaluation,
        is_best: bool,
    ) -> Result<(), RunError> {
        self.metrics.append(&Metric::Test {
            update: training.updates_made(),
            epoch,
            loss: found.loss,
            accuracy: found.accuracy,
            confusion: found.confusion.clone(),
        })?;
        self.flush()?;
        let which: &[&str] = if is_best {
            &["last", "best"]
        } else {
            &["last"]
        };
        self.save(training, which)?;
        self.draw(training)
    }

    /// Writes the weights under these names.
    fn save<M: Classifier>(
        &mut self,
        training: &Training<M>,
        which: &[&str],
    ) -> Result<(), RunError> {
        let bytes = to_bytes(&*training.model, &self.folder.weights("last"))?;
        for &which in which {
            write_whole(&self.folder.weights(which), &bytes)?;
            self.weights.insert(which.to_owned(), Position::of(&bytes));
        }
        Ok(())
    }

    /// Records the end.
    pub(crate) fn end<M: Classifier>(mut self, training: &Training<M>) -> Result<(), RunError> {
        self.write_metric(training)?;
        // A run that is stopped where it has a frame keeps it, because the run that is resumed has the same.
        match self.written.contains(&training.updates_made()) {
            true => Ok(()),
            false => self.frame(training, true),
        }
    }

    /// Flushes all files.
    pub(crate) fn flush(&mut self) -> Result<(), RunError> {
        self.histories
            .iter_mut()
            .try_for_each(|(_, history)| history.flush())
    }

    fn draw<M: Classifier>(&self, training: &Training<M>) -> Result<(), RunError> {
        match training.model.drawing() {
            Some(drawing) => self.folder.write_drawing(&drawing.into()),
            None => Ok(()),
        }
    }

    /// Records the weights, the predictions for the samples and, if requested, the feature maps of the nodes.
    fn frame<M: Classifier>(
        &mut self,
        training: &Training<M>,
        with_maps: bool,
    ) -> Result<(), RunError> {
        let mut frame = Frame::default();
        for tensor in training.model.tensors() {
            frame.put_weights(&tensor);
        }
        let model = training.model.valid();
        let images = self.samples.tensor(&training.device().clone().inner());
        let logits = model.forward(images.clone());
        let shape = logits.dims();
        let probabilities: Vec<f32> = values(logits)
            .chunks_exact(shape[1])
            .flat_map(probabilities)
            .map(|probability| probability as f32)
            .collect();
        frame.put_f32("probabilities", &shape, &probabilities);
        if let Some(maps) = with_maps.then(|| model.node_maps(images)).flatten() {
            let shape = maps.dims();
            let (quantised, scale) = quantise(&values(maps), shape);
            frame.put_i8("maps", &shape, &quantised);
            frame.put_f32("maps-scale", &[shape[1]], &scale);
        }
        let update = training.updates_made();
        frame.write(&self.folder.frame(update))?;
        self.written.insert(update);
        Ok(())
    }
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.to_data().iter::<f32>().collect()
}

/// Feature maps as signed bytes with one scale per node: the largest magnitude over the images.
fn quantise(maps: &[f32], [_, nodes, height, width]: [usize; 4]) -> (Vec<i8>, Vec<f32>) {
    let mut scale = vec![0.0f32; nodes];
    for (i, map) in maps.chunks_exact(height * width).enumerate() {
        let largest = map.iter().map(|value| value.abs()).fold(0.0, f32::max);
        scale[i % nodes] = scale[i % nodes].max(largest);
    }
    let quantised = maps
        .chunks_exact(height * width)
        .enumerate()
        .flat_map(|(i, map)| {
            let factor = if scale[i % nodes] > 0.0 {
                127.0 / scale[i % nodes]
            } else {
                0.0
            };
            map.iter().map(move |value| (value * factor).round() as i8)
        });
    (quantised.collect(), scale)
}

/// The updates with frames. They are denser in the beginning, when most changes happen.
fn frame_moments(updates: u64, entries: u64) -> BTreeSet<u64> {
    let fit = FRAME_BYTES / (4 * entries).max(1);
    let frames = fit.clamp(MIN_FRAMES, MAX_FRAMES);
    let moment = |i: u64| {
        let share = i as f64 / frames as f64;
        (updates as f64 * share * share.sqrt()).round() as u64
    };
    (1..frames)
        .map(moment)
        .filter(|&update| update > 0 && update < updates)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_denser_in_the_beginning_and_fewer_for_many_weights() {
        let few = frame_moments(10_000, 5_000);
        assert!(few.len() > 90 && few.len() < 100);
        assert!(few.iter().filter(|&&update| update < 5_000).count() > 55);
        assert_eq!(frame_moments(10_000, 300_000).len(), 19);
        assert_eq!(frame_moments(10_000, 1 << 30).len(), 11);
        assert!(
            frame_moments(3, 10)
                .iter()
                .all(|&update| update > 0 && update < 3)
        );
    }

    #[test]
    fn quantised_maps_are_accurate_to_half_a_step() {
        let maps: Vec<f32> = (0..24)
            .map(|i| (i as f32 * 0.7).sin() * if i < 12 { 3.0 } else { 0.0 })
            .collect();
        let (quantised, scale) = quantise(&maps, [1, 2, 3, 4]);
        for (i, (&q, &map)) in quantised.iter().zip(&maps).enumerate() {
            let step = scale[i / 12] / 127.0;
            assert!((f32::from(q) * step - map).abs() <= 0.5 * step + 1e-6);
        }
        assert_eq!(scale[1], 0.0);
    }
}

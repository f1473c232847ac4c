//! Writes the files of a run during training.

use std::collections::BTreeSet;

use burn::tensor::{Device, Tensor, TensorData, activation};
use dnw_models::Classifier;

use crate::data::DataSet;
use crate::run::frame::Frame;
use crate::run::history::HistoryWriter;
use crate::run::{Metric, MetricsWriter, RunError, RunFolder, save_weights};
use crate::runner::RunnerError;
use crate::training::{Evaluation, Training, Update};

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
/// Sample images per class.
const SAMPLES_PER_CLASS: usize = 1;
/// The most classes with sample images; more would not fit on a page.
const MAX_SAMPLED_CLASSES: usize = 20;

/// Writes metrics, histories, frames and weights.
pub struct RunWriter<'a> {
    folder: &'a RunFolder,
    metrics: MetricsWriter,
    histories: Vec<(String, HistoryWriter)>,
    samples: Samples,
    every: u64,
    sums: Sums,
    frames: BTreeSet<u64>,
    kept: u64,
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

/// A few test images.
struct Samples {
    images: TensorData,
    count: usize,
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
            kept: 0,
        };
        writer.frame(training, true)?;
        save_weights(&*training.model, &folder.weights("last"))?;
        writer.draw(training)?;
        Ok(writer)
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
            self.frame(training, self.kept.is_multiple_of(MAPS_EVERY))?;
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
        save_weights(&*training.model, &self.folder.weights("last"))?;
        if is_best {
            save_weights(&*training.model, &self.folder.weights("best"))?;
        }
        self.draw(training)
    }

    /// Records the end.
    pub(crate) fn end<M: Classifier>(mut self, training: &Training<M>) -> Result<(), RunError> {
        self.write_metric(training)?;
        self.frame(training, true)
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
        let probabilities = activation::softmax(model.forward(images.clone()), 1);
        let shape = probabilities.dims();
        frame.put_f32("probabilities", &shape, &values(probabilities));
        if let Some(maps) = with_maps.then(|| model.node_maps(images)).flatten() {
            let shape = maps.dims();
            let (quantised, scale) = quantise(&values(maps), shape);
            frame.put_i8("maps", &shape, &quantised);
            frame.put_f32("maps-scale", &[shape[1]], &scale);
        }
        self.kept += 1;
        frame.write(&self.folder.frame(training.updates_made()))
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
    let moment = |i: u64| (updates as f64 * (i as f64 / frames as f64).powf(1.5)).round() as u64;
    (1..frames)
        .map(moment)
        .filter(|&update| update > 0 && update < updates)
        .collect()
}

impl Samples {
    /// Selects the first images of each class, and writes them to the folder.
    fn choose(folder: &RunFolder, data: &DataSet) -> Result<Self, RunnerError> {
        let labels = data.test.labels();
        let chosen: Vec<usize> = (0..data.classes.len().min(MAX_SAMPLED_CLASSES))
            .flat_map(|class| {
                let of_class = (0..labels.len()).filter(move |&i| usize::from(labels[i]) == class);
                of_class.take(SAMPLES_PER_CLASS)
            })
            .collect();
        let [c, h, w] = data.shape();
        let mut pixels = Vec::with_capacity(chosen.len() * c * h * w);
        for &i in &chosen {
            pixels.extend(data.test_image(i)?);
        }
        let normalised: Vec<f32> = pixels
            .iter()
            .enumerate()
            .map(|(i, &pixel)| {
                let channel = i / (h * w) % c;
                (f32::from(pixel) / 255.0 - data.mean[channel]) / data.std[channel]
            })
            .collect();
        let mut file = Frame::default();
        file.put_u8(
            "labels",
            &[chosen.len()],
            // There are few enough classes for a byte.
            chosen.iter().map(|&i| labels[i] as u8).collect(),
        );
        file.put_u8("pixels", &[chosen.len(), c, h, w], pixels);
        file.write(&folder.samples())?;
        Ok(Self {
            count: chosen.len(),
            images: TensorData::new(normalised, [chosen.len(), c, h, w]),
        })
    }

    fn tensor(&self, device: &Device) -> Tensor<4> {
        debug_assert!(self.count > 0);
        Tensor::from_data(self.images.clone(), device)
    }
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

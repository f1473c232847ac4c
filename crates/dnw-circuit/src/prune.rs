//! Pruning of dead channels.

mod compact;

use std::collections::BTreeSet;

use crate::interpret::{Maps, constants, convolve};
use crate::{
    Block, Circuit, CircuitBuilder, CircuitError, Liveness, Op, Statistics, ValueId, Window,
};

/// Returns an equivalent circuit without dead channels.
///
/// Channels without a path to the result are removed. Channels without a path from the image are the same for every image, so
/// their values are computed once and added where they are used. They are added as a constant *feature map*, because the padded
/// convolution of a constant feature map differs at the border. In the returned circuit
///
/// * every channel of every step that computes is alive. Steps that only move values may hold other channels: the image, what is
///   flattened or folded before a part of it is selected, constants, and concatenations of constants and live channels where the
///   result or a sum needs both;
/// * tensors have the rows and columns that some step reads, and an entry of a wired tensor is real if the edge is alive in some
///   step;
/// * the result is the same up to the order of sums.
///
/// To compute the constants, the circuit is run once with the loops of [`interpret`](crate::interpret), without the sums of channels that
/// depend on the image.
pub fn prune(circuit: &Circuit) -> Circuit {
    // Each part of a valid circuit is valid.
    let pruned = Pruning::new(circuit).and_then(Pruning::finish);
    compact::compact(pruned.expect("the live part of a circuit is a circuit"))
}

/// A value of the pruned circuit and the channels of the original that it holds, ascending.
#[derive(Clone)]
struct Kept {
    value: ValueId,
    channels: Vec<usize>,
}

struct Pruning<'a> {
    old: &'a Circuit,
    live: Liveness,
    new: CircuitBuilder,
    /// For each value of the original with live channels, their location in the pruned circuit.
    kept: Vec<Option<Kept>>,
    /// For each value of the original, the feature maps of its constant channels one after the other.
    constants: Vec<Vec<f64>>,
}

impl<'a> Pruning<'a> {
    fn new(old: &'a Circuit) -> Result<Self, CircuitError> {
        let live = Liveness::along_paths(old);
        let constants = constants(old, &live)?;
        let image = old.image();
        let mut new = CircuitBuilder::new(image)?;
        for tensor in &old.tensors {
            new.tensor(tensor.clone())?;
        }
        let mut kept = vec![None; old.steps.len()];
        kept[0] = Some(Kept {
            value: new.input(),
            channels: (0..image[0]).collect(),
        });
        let mut pruning = Self {
            old,
            live,
            new,
            kept,
            constants,
        };
        for value in old.values().skip(1) {
            let channels: Vec<usize> = pruning.live.alive(value).collect();
            if !channels.is_empty() {
                pruning.new.layer(&old.step(value).layer);
                pruning.kept[value.0] = Some(pruning.rewrite(value, channels)?);
            }
        }
        Ok(pruning)
    }

    fn finish(mut self) -> Result<Circuit, CircuitError> {
        let output = self.old.output;
        self.new.layer(&self.old.step(output).layer);
        let all: Vec<usize> = (0..self.old.step(output).shape[0]).collect();
        let output = self.with_constants(output, &all)?;
        self.new.finish(output)
    }

    /// Adds the pruned step that computes these live channels of a value.
    fn rewrite(&mut self, value: ValueId, channels: Vec<usize>) -> Result<Kept, CircuitError> {
        let step = self.old.step(value);
        let of = |block: &Block| Block {
            rows: channels
                .iter()
                .map(|&channel| block.rows[channel])
                .collect(),
            ..block.clone()
        };
        let same = |kept: ValueId| {
            Ok(Kept {
                value: kept,
                channels: channels.clone(),
            })
        };
        match &step.op {
            Op::Input | Op::Constant(_) => unreachable!("the image is kept, constants never vary"),
            Op::Conv {
                weight,
                bias,
                window,
            } => {
                let rows = of(weight);
                let gathered = self.conv(value, &rows, bias.as_ref().map(of), *window)?;
                same(gathered)
            }
            Op::Depthwise {
                weight,
                bias,
                window,
            } => {
                let x = self.live(step.inputs[0], &channels)?;
                same(
                    self.new
                        .depthwise(x, of(weight), bias.as_ref().map(of), *window)?,
                )
            }
            Op::Norm {
                statistics,
                gamma,
                beta,
                epsilon,
            } => {
                if *statistics == Statistics::Pixel {
                    let affine = [gamma.clone(), beta.clone()];
                    return self.whole(value, channels, |new, x| {
                        new.pixel_norm(x, affine, *epsilon)
                    });
                }
                let x = self.live(step.inputs[0], &channels)?;
                let statistics = match statistics {
                    Statistics::Instance | Statistics::Pixel => Statistics::Instance,
                    Statistics::Batch { mean, variance } => Statistics::Batch {
                        mean: of(mean),
                        variance: of(variance),
                    },
                };
                same(
                    self.new
                        .norm(x, statistics, [of(gamma), of(beta)], *epsilon)?,
                )
            }
            Op::Relu => {
                let x = self.live(step.inputs[0], &channels)?;
                same(self.new.relu(x)?)
            }
            &Op::Activation(activation) => {
                let x = self.live(step.inputs[0], &channels)?;
                same(self.new.activation(x, activation)?)
            }
            Op::Product => {
                let x = self.with_constants(step.inputs[0], &channels)?;
                let by = self.with_constants(step.inputs[1], &channels)?;
                same(self.new.product(x, by)?)
            }
            Op::Softmax => self.whole(value, channels, CircuitBuilder::softmax),
            Op::Reshape => self.whole(value, channels, |new, x| new.reshape(x, step.shape)),
            Op::Resample { rows, columns } => {
                let x = self.live(step.inputs[0], &channels)?;
                same(self.new.resample(x, rows.clone(), columns.clone())?)
            }
            &Op::Unfold(side) => {
                let area = side * side;
                let read = channels.iter().flat_map(|at| at * area..(at + 1) * area);
                let read: Vec<usize> = read.collect();
                let x = self.with_constants(step.inputs[0], &read)?;
                same(self.new.unfold(x, side)?)
            }
            &Op::Crop { top, left } => {
                let x = self.live(step.inputs[0], &channels)?;
                let [_, height, width] = step.shape;
                same(self.new.crop(x, [top, left], [height, width])?)
            }
            &Op::Pool {
                pool,
                kernel,
                stride,
                padding,
            } => {
                let x = self.live(step.inputs[0], &channels)?;
                let [_, height, width] = step.shape;
                same(
                    self.new
                        .pool(x, pool, kernel, stride, padding, [height, width])?,
                )
            }
            Op::Sum(coefficients) => same(self.sum(value, coefficients, &channels)?),
            Op::Concat => {
                let (mut parts, mut start) = (Vec::new(), 0);
                for &input in &step.inputs {
                    let end = start + self.old.step(input).shape[0];
                    let inside = channels
                        .iter()
                        .filter(|channel| (start..end).contains(channel));
                    let inside: Vec<usize> = inside.map(|channel| channel - start).collect();
                    if !inside.is_empty() {
                        parts.push(self.live(input, &inside)?);
                    }
                    start = end;
                }
                same(match parts[..] {
                    [only] => only,
                    _ => self.new.concat(&parts)?,
                })
            }
            Op::Select(selected) => {
                let read: Vec<usize> = channels.iter().map(|&channel| selected[channel]).collect();
                same(self.live(step.inputs[0], &read)?)
            }
            Op::Flatten | Op::Fold(_) => {
                let share = step.shape[0] / self.old.step(step.inputs[0]).shape[0];
                let read: BTreeSet<usize> =
                    channels.iter().map(|channel| channel / share).collect();
                let read: Vec<usize> = read.into_iter().collect();
                let x = self.live(step.inputs[0], &read)?;
                let spread = match step.op {
                    Op::Fold(side) => self.new.fold(x, side)?,
                    _ => self.new.flatten(x)?,
                };
                let spread_channels = read
                    .iter()
                    .flat_map(|channel| channel * share..(channel + 1) * share);
                let spread = Kept {
                    value: spread,
                    channels: spread_channels.collect(),
                };
                same(self.select(&spread, &channels)?)
            }
        }
    }

    /// A step each of whose channels depends on all channels of its input, those that are constant included.
    fn whole(
        &mut self,
        value: ValueId,
        channels: Vec<usize>,
        step: impl FnOnce(&mut CircuitBuilder, ValueId) -> Result<ValueId, CircuitError>,
    ) -> Result<Kept, CircuitError> {
        let old = self.old.step(value);
        let sources: Vec<usize> = (0..self.old.step(old.inputs[0]).shape[0]).collect();
        let x = self.with_constants(old.inputs[0], &sources)?;
        let whole = Kept {
            value: step(&mut self.new, x)?,
            channels: (0..old.shape[0]).collect(),
        };
        Ok(Kept {
            value: self.select(&whole, &channels)?,
            channels,
        })
    }

    /// A convolution over the live sources, plus a constant for the others.
    fn conv(
        &mut self,
        value: ValueId,
        weight: &Block,
        bias: Option<Block>,
        window: Window,
    ) -> Result<ValueId, CircuitError> {
        let input = self.old.step(value).inputs[0];
        let tensor = self.old.tensor(weight.tensor);
        let joined = |source: &usize| {
            let column = weight.columns[*source];
            weight.rows.iter().any(|&row| tensor.joins(row, column))
        };
        let varies = self.live.varies(input);
        let (sources, constant): (Vec<usize>, Vec<usize>) = (0..weight.columns.len())
            .filter(joined)
            .partition(|&source| varies[source]);
        let columns = |of: &[usize]| of.iter().map(|&source| weight.columns[source]).collect();
        let shape = self.old.step(input).shape;
        let [_, height, width] = self.old.step(value).shape;
        let gathered = [weight.rows.len(), height, width];
        let folded = (!constant.is_empty()).then(|| {
            let block = Block {
                columns: columns(&constant),
                ..weight.clone()
            };
            let maps = self.constant_maps(input, &constant);
            let maps = Maps::new(&maps, [constant.len(), shape[1], shape[2]]);
            convolve(self.old, &block, window, maps, gathered)
        });
        let x = self.live(input, &sources)?;
        let block = Block {
            columns: columns(&sources),
            ..weight.clone()
        };
        let sum = self.new.conv(x, block, bias, window)?;
        match folded.filter(|maps| maps.iter().any(|&value| value != 0.0)) {
            Some(maps) => {
                let folded = self.new.constant(gathered, maps)?;
                self.new.add(&[sum, folded])
            }
            None => Ok(sum),
        }
    }

    /// A sum in which the terms that are constant on all `channels` are folded into one constant.
    fn sum(
        &mut self,
        value: ValueId,
        coefficients: &[f64],
        channels: &[usize],
    ) -> Result<ValueId, CircuitError> {
        let step = self.old.step(value);
        let [_, height, width] = step.shape;
        let mut folded = vec![0.0; channels.len() * height * width];
        let mut terms = Vec::new();
        for (&a, &input) in coefficients.iter().zip(&step.inputs) {
            if channels
                .iter()
                .any(|&channel| self.live.varies(input)[channel])
            {
                terms.push((a, self.with_constants(input, channels)?));
            } else {
                let maps = self.constant_maps(input, channels);
                for (sum, value) in folded.iter_mut().zip(maps) {
                    *sum += a * value;
                }
            }
        }
        if folded.iter().any(|&value| value != 0.0) {
            let folded = self.new.constant([channels.len(), height, width], folded)?;
            terms.push((1.0, folded));
        }
        match terms[..] {
            [(1.0, only)] => Ok(only),
            _ => self.new.sum(&terms),
        }
    }

    /// These channels of a value, all of which are live.
    fn live(&mut self, value: ValueId, channels: &[usize]) -> Result<ValueId, CircuitError> {
        let kept = self.kept[value.0].clone();
        self.select(&kept.expect("a live channel is kept"), channels)
    }

    fn select(&mut self, kept: &Kept, channels: &[usize]) -> Result<ValueId, CircuitError> {
        if kept.channels == channels {
            return Ok(kept.value);
        }
        let position = |channel: &usize| {
            let position = kept.channels.binary_search(channel);
            position.expect("a live channel is kept")
        };
        self.new.select(kept.value, channels.iter().map(position))
    }

    /// These channels of a value, live or constant.
    fn with_constants(
        &mut self,
        value: ValueId,
        channels: &[usize],
    ) -> Result<ValueId, CircuitError> {
        let varies = self.live.varies(value);
        let (live, constant): (Vec<usize>, Vec<usize>) =
            channels.iter().partition(|&&channel| varies[channel]);
        if constant.is_empty() {
            return self.live(value, channels);
        }
        // Where each channel is among the live ones, behind which the constant ones are.
        let mut next = [0, live.len()];
        let positions = channels.iter().map(|&channel| {
            let next = &mut next[usize::from(!varies[channel])];
            *next += 1;
            *next - 1
        });
        let positions: Vec<usize> = positions.collect();
        let [_, height, width] = self.old.step(value).shape;
        let maps = self.constant_maps(value, &constant);
        let constants = self.new.constant([constant.len(), height, width], maps)?;
        if live.is_empty() {
            return Ok(constants);
        }
        let live_part = self.live(value, &live)?;
        let joined = self.new.concat(&[live_part, constants])?;
        match positions.is_sorted() {
            true => Ok(joined),
            false => self.new.select(joined, positions),
        }
    }

    /// The feature maps of constant channels.
    fn constant_maps(&self, value: ValueId, channels: &[usize]) -> Vec<f64> {
        let [_, height, width] = self.old.step(value).shape;
        let varies = self.live.varies(value);
        let all = &self.constants[value.0];
        // How many constant channels are before each.
        let before = varies.iter().scan(0, |count, &varies| {
            let before = *count;
            *count += usize::from(!varies);
            Some(before)
        });
        let before: Vec<usize> = before.collect();
        let map = |&channel: &usize| &all[before[channel] * height * width..][..height * width];
        channels.iter().flat_map(map).copied().collect()
    }
}

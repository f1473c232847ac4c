//! A reference interpreter.
//!
//! Nothing is fused, skipped, reordered or vectorised: one loop over targets, sources and kernel entries, one over pixels,
//! sums in `f64`. Tests compare faster implementations with its results, and the counts of this crate with the number of multiplications
//! that it does.

mod maps;
mod norms;
mod pixels;

use crate::{Block, Circuit, CircuitError, Liveness, Op, Step, Tensor, ValueId, Window};
pub(crate) use maps::Maps;

/// Computes the result for one image, `[channels, height, width]` row-major.
///
/// All values are `f64`.
///
/// # Errors
/// [`CircuitError::Image`] if the image has the wrong size.
pub fn interpret(circuit: &Circuit, image: &[f32]) -> Result<Vec<f64>, CircuitError> {
    interpret_counting(circuit, image).map(|(result, _)| result)
}

/// Computes the result for one image and the number of multiplications with a real weight.
///
/// Multiplications with zeros of the padding are included, as in counts of multiply-adds. Norms, biases, means and coefficients of sums
/// are not weights.
///
/// # Errors
/// [`CircuitError::Image`] if the image has the wrong size.
pub fn interpret_counting(
    circuit: &Circuit,
    image: &[f32],
) -> Result<(Vec<f64>, u64), CircuitError> {
    let mut result = Vec::new();
    let multiplications = run(circuit, image, None, |value, maps| {
        if value == circuit.output() {
            result = maps.clone();
        }
    })?;
    Ok((result, multiplications))
}

/// Calls the observer with every step's output, `[channels, height, width]` row-major, in the order of the steps. The observer can
/// change it; later steps read the changed values.
///
/// # Errors
/// [`CircuitError::Image`] if the image has the wrong size.
pub fn interpret_with(
    circuit: &Circuit,
    image: &[f32],
    mut observer: impl FnMut(ValueId, &mut [f64]),
) -> Result<(), CircuitError> {
    run(circuit, image, None, |value, maps| observer(value, maps)).map(|_| ())
}

/// For each value the feature maps of its channels that are the same for every image, one after the other. Sums of other channels are not
/// computed.
pub(crate) fn constants(circuit: &Circuit, live: &Liveness) -> Result<Vec<Vec<f64>>, CircuitError> {
    let mut constants = vec![Vec::new(); circuit.steps.len()];
    if circuit
        .values()
        .all(|value| live.varies(value).iter().all(|varies| *varies))
    {
        return Ok(constants);
    }
    let zeros = vec![0.0; circuit.image().iter().product()];
    run(circuit, &zeros, Some(live), |value, maps| {
        let [_, height, width] = circuit.step(value).shape;
        let channels = maps.chunks(height * width).zip(live.varies(value));
        constants[value.0] = channels
            .filter(|(_, varies)| !**varies)
            .flat_map(|(map, _)| map)
            .copied()
            .collect();
    })?;
    Ok(constants)
}

fn run(
    circuit: &Circuit,
    image: &[f32],
    without: Option<&Liveness>,
    mut observer: impl FnMut(ValueId, &mut Vec<f64>),
) -> Result<u64, CircuitError> {
    let expected = circuit.image();
    if image.len() != expected.iter().product::<usize>() {
        let found = image.len();
        return Err(CircuitError::Image { expected, found });
    }
    // A value is freed after the last step that reads it.
    let mut last_read: Vec<usize> = (0..circuit.steps.len()).collect();
    for (at, step) in circuit.steps.iter().enumerate() {
        for input in &step.inputs {
            last_read[input.0] = at;
        }
    }
    let mut values: Vec<Vec<f64>> = Vec::with_capacity(circuit.steps.len());
    let mut multiplications = 0;
    for (at, step) in circuit.steps.iter().enumerate() {
        let inputs: Vec<Maps<'_>> = step
            .inputs
            .iter()
            .map(|&input| Maps::new(&values[input.0], circuit.step(input).shape))
            .collect();
        let mut maps = match step.op {
            Op::Input => image.iter().copied().map(f64::from).collect(),
            _ => {
                let without = without.map(|live| live.varies(ValueId(at)));
                evaluate(circuit, step, &inputs, without, &mut multiplications)
            }
        };
        observer(ValueId(at), &mut maps);
        values.push(maps);
        for input in &step.inputs {
            if last_read[input.0] == at {
                values[input.0] = Vec::new();
            }
        }
    }
    Ok(multiplications)
}

/// The output of a step. Convolutions leave out the channels that are marked in `without`.
fn evaluate(
    circuit: &Circuit,
    step: &Step,
    inputs: &[Maps<'_>],
    without: Option<&[bool]>,
    multiplications: &mut u64,
) -> Vec<f64> {
    let [_, height, width] = step.shape;
    let x = inputs.first().copied();
    match (&step.op, x) {
        (Op::Constant(maps), _) => maps.clone(),
        (
            Op::Conv {
                weight,
                bias,
                window,
            },
            Some(x),
        ) => {
            let mut sums = vec![0.0; step.shape.iter().product()];
            for (target, sums) in sums.chunks_mut(height * width).enumerate() {
                if without.is_none_or(|without| !without[target]) {
                    *multiplications +=
                        sum_target(circuit, weight, target, *window, x, sums, width);
                }
            }
            add_bias(circuit, bias.as_ref(), &mut sums, height * width);
            sums
        }
        (
            Op::Depthwise {
                weight,
                bias,
                window,
            },
            Some(x),
        ) => {
            let mut sums = vec![0.0; step.shape.iter().product()];
            let tensor = circuit.tensor(weight.tensor);
            for (channel, &row) in weight.rows.iter().enumerate() {
                if without.is_some_and(|without| without[channel]) {
                    continue;
                }
                let sums = &mut sums[channel * height * width..][..height * width];
                let kernel = Kernel {
                    tensor,
                    row,
                    column: weight.columns[0],
                };
                *multiplications += kernel.slide(x, channel, *window, sums, width);
            }
            add_bias(circuit, bias.as_ref(), &mut sums, height * width);
            sums
        }
        (
            Op::Norm {
                statistics,
                gamma,
                beta,
                epsilon,
            },
            Some(x),
        ) => norms::norm(circuit, x, statistics, [gamma, beta], *epsilon),
        (Op::Activation(activation), Some(x)) => {
            x.values.iter().map(|&z| activation.apply(z)).collect()
        }
        (Op::Product, Some(x)) => {
            let y = inputs[1];
            let each = x.pixels() / y.pixels();
            let factors = y.values.iter().flat_map(|&z| std::iter::repeat_n(z, each));
            x.values.iter().zip(factors).map(|(z, f)| z * f).collect()
        }
        (Op::Softmax, Some(x)) => norms::softmax(x),
        (Op::Relu, Some(x)) => x.values.iter().map(|z| z.max(0.0)).collect(),
        (Op::Sum(coefficients), Some(x)) => {
            let mut sums = vec![0.0; x.values.len()];
            for (a, term) in coefficients.iter().zip(inputs) {
                for (sum, z) in sums.iter_mut().zip(term.values) {
                    *sum += a * z;
                }
            }
            sums
        }
        (Op::Concat, _) => inputs.iter().flat_map(|x| x.values).copied().collect(),
        (Op::Select(channels), Some(x)) => {
            let maps = channels.iter().flat_map(|&channel| x.channel(channel));
            maps.copied().collect()
        }
        (&Op::Crop { top, left }, Some(x)) => {
            let mut cropped = Vec::new();
            for channel in 0..step.shape[0] {
                for y in top..top + height {
                    let row = &x.channel(channel)[y * x.shape[2]..][..x.shape[2]];
                    cropped.extend(&row[left..left + width]);
                }
            }
            cropped
        }
        (Op::Resample { rows, columns }, Some(x)) => pixels::resample(x, rows, columns),
        (
            &Op::Pool {
                pool,
                kernel,
                stride,
                padding,
            },
            Some(x),
        ) => pixels::pool(x, pool, kernel, stride, padding, [height, width]),
        (Op::Flatten | Op::Reshape, Some(x)) => x.values.to_vec(),
        (&Op::Fold(side), Some(x)) => pixels::fold(x, side),
        (&Op::Unfold(side), Some(x)) => pixels::unfold(x, side),
        (Op::Input, _) | (_, None) => Vec::new(),
    }
}

/// The output of a convolution without its bias.
pub(crate) fn convolve(
    circuit: &Circuit,
    weight: &Block,
    window: Window,
    x: Maps<'_>,
    [_, height, width]: [usize; 3],
) -> Vec<f64> {
    let mut sums = vec![0.0; weight.rows.len() * height * width];
    for (target, sums) in sums.chunks_mut(height * width).enumerate() {
        sum_target(circuit, weight, target, window, x, sums, width);
    }
    sums
}

/// Adds the convolution of one target to `sums`, which has `width` elements per row. Returns the number of multiplications.
fn sum_target(
    circuit: &Circuit,
    weight: &Block,
    target: usize,
    window: Window,
    x: Maps<'_>,
    sums: &mut [f64],
    width: usize,
) -> u64 {
    let (tensor, row) = (circuit.tensor(weight.tensor), weight.rows[target]);
    let columns = weight.columns.iter().enumerate();
    columns
        .map(|(source, &column)| {
            let kernel = Kernel {
                tensor,
                row,
                column,
            };
            kernel.slide(x, source, window, sums, width)
        })
        .sum()
}

/// The kernel between one source and one target.
struct Kernel<'a> {
    tensor: &'a Tensor,
    row: usize,
    column: usize,
}

impl Kernel<'_> {
    /// Adds the convolution of a channel of `x` with the real entries to `sums`, which has `width` elements per row. Returns the number of
    /// multiplications.
    fn slide(
        &self,
        x: Maps<'_>,
        channel: usize,
        window: Window,
        sums: &mut [f64],
        width: usize,
    ) -> u64 {
        let [_, _, _, kernel_w] = self.tensor.shape;
        let entries = self.tensor.kernel(self.row, self.column).enumerate();
        let mut multiplications = 0;
        for (place, entry) in entries.filter(|&(_, entry)| self.tensor.is_real(entry)) {
            let from = |output: usize, tap: usize, side: usize| {
                (output * window.stride[side] + tap * window.dilation[side]) as isize
                    - window.padding[side] as isize
            };
            for (output, sum) in sums.iter_mut().enumerate() {
                let y = from(output / width, place / kernel_w, 0);
                let x_ = from(output % width, place % kernel_w, 1);
                let pixel = x.pixel(channel, y, x_).unwrap_or(0.0);
                *sum += f64::from(self.tensor.values[entry]) * pixel;
                multiplications += 1;
            }
        }
        multiplications
    }
}

fn add_bias(circuit: &Circuit, bias: Option<&Block>, sums: &mut [f64], pixels: usize) {
    let Some(bias) = bias else { return };
    let tensor = circuit.tensor(bias.tensor);
    for (&row, sums) in bias.rows.iter().zip(sums.chunks_mut(pixels)) {
        for sum in sums {
            *sum += f64::from(tensor.values[row]);
        }
    }
}

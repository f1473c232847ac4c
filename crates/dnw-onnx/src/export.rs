//! From circuits to ONNX files.
//!
//! The file has what every runtime reads: dead nodes are removed, batch norms are folded into the convolutions before them, and there are
//! plain operators only. Zeros of weights are stored unless sparse weights are asked for.

mod operators;
mod writer;

use dnw_circuit::{Block, Circuit, Op, Statistics, Step, ValueId, Window, prune};

use crate::Description;
use writer::{Setting, Writer};

/// The names of the model's input and output.
const INPUT: &str = "image";
const OUTPUT: &str = "logits";

/// How a model is written.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ExportOptions {
    /// Stores weights of which more than half are zeros as `sparse_initializer`.
    pub sparse: bool,
    /// The name of another file in the same folder for the weights; `None` to have them in the model.
    pub external: Option<String>,
}

/// A model as bytes.
#[derive(Clone, Debug)]
pub struct Exported {
    /// The ONNX file.
    pub model: Vec<u8>,
    /// The other file, if one was asked for.
    pub external: Option<Vec<u8>>,
}

/// Writes a circuit as an ONNX model with the input `image`, `[batch, channels, height, width]`, and the output `logits`.
///
/// The batch is open; it is 1 if the output is the same for every image.
pub fn export(circuit: &Circuit, description: &Description, options: ExportOptions) -> Exported {
    let circuit = prune(circuit);
    let mut export = Export::new(&circuit, options);
    for value in circuit.values() {
        export.step(value);
    }
    export.finish(description)
}

struct Export<'a> {
    circuit: &'a Circuit,
    writer: Writer,
    /// For each value its name as `[batch, channels, height, width]`, and as `[batch, channels]`.
    names: Vec<[Option<String>; 2]>,
    /// The scale and shift that are folded into each value.
    folded: Vec<Option<[Vec<f64>; 2]>>,
    /// Norms that are folded.
    is_folded: Vec<bool>,
    batch: Option<usize>,
}

impl<'a> Export<'a> {
    fn new(circuit: &'a Circuit, options: ExportOptions) -> Self {
        let steps = circuit.steps().len();
        let constant_result = is_constant(circuit, circuit.output());
        let mut export = Self {
            circuit,
            writer: Writer::new(options.sparse, options.external),
            names: vec![[None, None]; steps],
            folded: vec![None; steps],
            is_folded: vec![false; steps],
            batch: constant_result.then_some(1),
        };
        export.fold_norms();
        export
    }

    /// Finds the norms that can be folded into what they read.
    fn fold_norms(&mut self) {
        let circuit = self.circuit;
        let mut readers = vec![0; circuit.steps().len()];
        for step in circuit.steps() {
            step.inputs.iter().for_each(|x| readers[x.index()] += 1);
        }
        readers[circuit.output().index()] += 1;
        for value in circuit.values() {
            let step = circuit.step(value);
            let Op::Norm {
                statistics: Statistics::Batch { mean, variance },
                gamma,
                beta,
                epsilon,
            } = &step.op
            else {
                continue;
            };
            let at = |block: &Block| vector(circuit, block);
            let (mean, variance, gamma) = (at(mean), at(variance), at(gamma));
            let scale: Vec<f64> = gamma
                .iter()
                .zip(&variance)
                .map(|(gamma, variance)| gamma / (variance + epsilon).sqrt())
                .collect();
            let shift: Vec<f64> = at(beta)
                .iter()
                .zip(&mean)
                .zip(&scale)
                .map(|((beta, mean), scale)| beta - mean * scale)
                .collect();
            let alone = |x: ValueId| readers[x.index()] == 1 && self.folded[x.index()].is_none();
            let sums = |x: ValueId| {
                alone(x) && matches!(circuit.step(x).op, Op::Conv { .. } | Op::Depthwise { .. })
            };
            let input = step.inputs[0];
            let zeros = vec![0.0; shift.len()];
            let before = circuit.step(input);
            if sums(input) {
                self.folded[input.index()] = Some([scale, shift]);
                self.is_folded[value.index()] = true;
            } else if let (Op::Sum(a), &[conv, constant], true) =
                (&before.op, &before.inputs[..], alone(input))
                && a[..] == [1.0, 1.0]
                && sums(conv)
                && alone(constant)
                && is_constant(circuit, constant)
            {
                // What was folded from dead nodes.
                self.folded[conv.index()] = Some([scale.clone(), shift]);
                self.folded[constant.index()] = Some([scale, zeros]);
                self.is_folded[value.index()] = true;
            } else {
                // Written as a scale and a shift.
                self.folded[value.index()] = Some([scale, shift]);
            }
        }
    }

    /// The name of a value as feature maps.
    fn maps(&mut self, value: ValueId) -> String {
        if let Some(name) = &self.names[value.index()][0] {
            return name.clone();
        }
        if is_constant(self.circuit, value) {
            let name = self.constant(value);
            self.names[value.index()][0] = Some(name.clone());
            return name;
        }
        let flat = self.flat(value);
        let shape = self.writer.ints("shape", &[0, -1, 1, 1]);
        let layer = &self.circuit.step(value).layer;
        let maps = self.writer.node(layer, "Reshape", &[&flat, &shape], &[]);
        self.names[value.index()][0] = Some(maps.clone());
        maps
    }

    /// The name of a value as vectors.
    fn flat(&mut self, value: ValueId) -> String {
        if let Some(name) = &self.names[value.index()][1] {
            return name.clone();
        }
        let maps = self.maps(value);
        let layer = &self.circuit.step(value).layer;
        let axis = [("axis", Setting::Int(1))];
        let flat = self.writer.node(layer, "Flatten", &[&maps], &axis);
        self.names[value.index()][1] = Some(flat.clone());
        flat
    }

    fn step(&mut self, value: ValueId) {
        let circuit = self.circuit;
        let step = circuit.step(value);
        if is_constant(circuit, value) {
            // Written where it is read, which joins of channels do in another form.
            return;
        }
        if self.is_folded[value.index()] {
            self.names[value.index()] = self.names[step.inputs[0].index()].clone();
            return;
        }
        if let Op::Conv {
            weight,
            bias,
            window,
        } = &step.op
            && self.is_linear(step, weight, *window)
        {
            let flat = self.gemm(value, weight, bias.as_ref());
            self.names[value.index()][1] = Some(flat);
            return;
        }
        if step.op == Op::Flatten {
            let flat = self.flat(step.inputs[0]);
            self.names[value.index()][1] = Some(flat);
            return;
        }
        if step.op == Op::Concat {
            let name = self.concat(step);
            self.names[value.index()][0] = Some(name);
            return;
        }
        let inputs: Vec<String> = step.inputs.iter().map(|&x| self.maps(x)).collect();
        let name = self.maps_step(value, step, &inputs);
        self.names[value.index()][0] = Some(name);
    }

    /// Whether a convolution is a linear layer.
    fn is_linear(&self, step: &Step, weight: &Block, window: Window) -> bool {
        let [_, _, height, width] = self.circuit.tensor(weight.tensor).shape();
        let [_, rows, columns] = self.circuit.step(step.inputs[0]).shape;
        [height, width, rows, columns] == [1; 4] && window.padding == [0, 0]
    }

    /// Weight `[targets, sources, height, width]` and bias with what is folded into them.
    fn weights(&mut self, value: ValueId, weight: &Block, bias: Option<&Block>) -> [Vec<f32>; 2] {
        let circuit = self.circuit;
        let tensor = circuit.tensor(weight.tensor);
        let [_, columns, height, width] = tensor.shape();
        let targets = weight.rows.len();
        let own = || [vec![1.0; targets], vec![0.0; targets]];
        let [scale, shift] = self.folded[value.index()].clone().unwrap_or_else(own);
        let mut values = Vec::with_capacity(targets * weight.columns.len() * height * width);
        for (&row, scale) in weight.rows.iter().zip(&scale) {
            for &column in &weight.columns {
                let first = (row * columns + column) * height * width;
                values.extend((first..first + height * width).map(|entry| {
                    let weight = f64::from(tensor.values()[entry]);
                    let is_real = tensor.is_real(entry);
                    if is_real {
                        (weight * scale) as f32
                    } else {
                        0.0
                    }
                }));
            }
        }
        let bias = bias.map_or_else(|| vec![0.0; targets], |bias| vector(circuit, bias));
        let bias = bias.iter().zip(&scale).zip(&shift);
        let bias = bias.map(|((bias, scale), shift)| (bias * scale + shift) as f32);
        [values, bias.collect()]
    }

    /// Writes a layer's weight, of these dimensions, and its bias; their names.
    fn parameters(
        &mut self,
        value: ValueId,
        weight: &Block,
        bias: Option<&Block>,
        dims: &[usize],
    ) -> [String; 2] {
        let layer = &self.circuit.step(value).layer;
        let [weights, biases] = self.weights(value, weight, bias);
        let weight = format!("{layer}.weight");
        let bias = format!("{layer}.bias");
        [
            self.writer.floats(&weight, dims, &weights),
            self.writer.floats(&bias, &dims[..1], &biases),
        ]
    }

    fn gemm(&mut self, value: ValueId, weight: &Block, bias: Option<&Block>) -> String {
        let step = self.circuit.step(value);
        let x = self.flat(step.inputs[0]);
        let dims = [weight.rows.len(), weight.columns.len()];
        let [weight, bias] = self.parameters(value, weight, bias, &dims);
        let settings = [("transB", Setting::Int(1))];
        let inputs = [x.as_str(), &weight, &bias];
        self.writer.node(&step.layer, "Gemm", &inputs, &settings)
    }

    fn maps_step(&mut self, value: ValueId, step: &Step, inputs: &[String]) -> String {
        let layer = step.layer.as_str();
        let [channels, height, width] = step.shape;
        let x = inputs.first().map_or("", String::as_str);
        match &step.op {
            Op::Input => INPUT.to_owned(),
            Op::Conv {
                weight,
                bias,
                window,
            } => {
                let kernel = self.kernel(weight);
                let dims = [channels, weight.columns.len(), kernel[0], kernel[1]];
                self.conv(value, weight, bias.as_ref(), *window, dims, 1)
            }
            Op::Depthwise {
                weight,
                bias,
                window,
            } => {
                let kernel = self.kernel(weight);
                let dims = [channels, 1, kernel[0], kernel[1]];
                self.conv(value, weight, bias.as_ref(), *window, dims, channels)
            }
            Op::Norm {
                statistics: Statistics::Instance,
                gamma,
                beta,
                epsilon,
            } => {
                let [gamma, beta] = [gamma, beta].map(|block| floats(&vector(self.circuit, block)));
                let scale = self
                    .writer
                    .floats(&format!("{layer}.scale"), &[channels], &gamma);
                let shift = self
                    .writer
                    .floats(&format!("{layer}.shift"), &[channels], &beta);
                let epsilon = [("epsilon", Setting::Float(*epsilon as f32))];
                let inputs = [x, &scale, &shift];
                self.writer
                    .node(layer, "InstanceNormalization", &inputs, &epsilon)
            }
            Op::Norm {
                statistics: Statistics::Pixel,
                gamma,
                beta,
                epsilon,
            } => {
                let affine = [gamma, beta].map(|block| floats(&vector(self.circuit, block)));
                self.writer.pixel_norm(layer, x, affine, *epsilon as f32)
            }
            Op::Norm { .. } => {
                let [scale, shift] = self.folded[value.index()].clone().unwrap_or_default();
                let dims = [channels, 1, 1];
                let scale = self
                    .writer
                    .floats(&format!("{layer}.scale"), &dims, &floats(&scale));
                let scaled = self.writer.node(layer, "Mul", &[x, &scale], &[]);
                let shift = self
                    .writer
                    .floats(&format!("{layer}.shift"), &dims, &floats(&shift));
                self.writer.node(layer, "Add", &[&scaled, &shift], &[])
            }
            Op::Relu => self.writer.node(layer, "Relu", &[x], &[]),
            Op::Activation(activation) => self.writer.activation(layer, x, *activation),
            Op::Product => self.writer.node(layer, "Mul", &[x, &inputs[1]], &[]),
            Op::Softmax => self
                .writer
                .node(layer, "Softmax", &[x], &[("axis", Setting::Int(1))]),
            Op::Sum(coefficients) => {
                let mut sum: Option<String> = None;
                for (&a, input) in coefficients.iter().zip(inputs) {
                    let term = match a {
                        1.0 => input.clone(),
                        _ => {
                            let factor = self.writer.floats("factor", &[], &[a as f32]);
                            self.writer.node(layer, "Mul", &[input, &factor], &[])
                        }
                    };
                    sum = Some(match sum {
                        None => term,
                        Some(sum) => self.writer.node(layer, "Add", &[&sum, &term], &[]),
                    });
                }
                sum.unwrap_or_default()
            }
            Op::Select(selected) => self.writer.select(layer, x, selected),
            &Op::Crop { top, left } => {
                let starts = [top, left].map(|at| at as i64);
                let ends = [top + height, left + width].map(|at| at as i64);
                let bounds = [&starts, &ends, &[2, 3]].map(|b| self.writer.ints("bounds", b));
                let inputs = [x, &bounds[0], &bounds[1], &bounds[2]];
                self.writer.node(layer, "Slice", &inputs, &[])
            }
            &Op::Pool {
                pool,
                kernel,
                stride,
                padding,
            } => {
                let from = self.circuit.step(step.inputs[0]).shape;
                self.writer
                    .pool(layer, x, from, step.shape, (pool, kernel, stride, padding))
            }
            &Op::Fold(side) => {
                let blocks = [channels / (side * side), height, side, width, side];
                self.writer
                    .transpose_blocks(layer, x, (&blocks, &[0, 1, 3, 5, 2, 4]), step.shape)
            }
            Op::Reshape => self.writer.reshape(layer, x, &step.shape),
            Op::Resample { rows, columns } => {
                let [_, from_height, from_width] = self.circuit.step(step.inputs[0]).shape;
                let from = [from_height, from_width];
                self.writer.resample(layer, x, from, [rows, columns])
            }
            &Op::Unfold(side) => {
                let blocks = [channels, side, side, height / side, width / side];
                self.writer
                    .transpose_blocks(layer, x, (&blocks, &[0, 1, 4, 2, 5, 3]), step.shape)
            }
            other => unreachable!("an operation that is not written: {other:?}"),
        }
    }

    /// The values of a constant, with what is folded into it, row-major.
    fn constant_values(&self, value: ValueId) -> Vec<f32> {
        let step = self.circuit.step(value);
        let Op::Constant(values) = &step.op else {
            return Vec::new();
        };
        let [_, height, width] = step.shape;
        let scale = self.folded[value.index()].as_ref().map(|[scale, _]| scale);
        let maps = values.chunks(height * width).enumerate();
        maps.flat_map(|(channel, map)| {
            let scale = scale.map_or(1.0, |scale| scale[channel]);
            map.iter().map(move |value| (value * scale) as f32)
        })
        .collect()
    }

    fn constant(&mut self, value: ValueId) -> String {
        let values = self.constant_values(value);
        let step = self.circuit.step(value);
        let [channels, height, width] = step.shape;
        let name = format!("{}.constant", step.layer);
        let dims = [1, channels, height, width];
        self.writer.floats(&name, &dims, &values)
    }

    /// Joins channels. Constants have no batch, so the channels beside them are padded with zeros, to which the constants are added.
    fn concat(&mut self, step: &Step) -> String {
        let circuit = self.circuit;
        let layer = step.layer.as_str();
        let channels = |x: ValueId| circuit.step(x).shape[0];
        // Each input with a batch, and the channels of zeros before and after it.
        let mut parts: Vec<(ValueId, [usize; 2])> = Vec::new();
        let mut before = 0;
        for &input in &step.inputs {
            match parts.last_mut() {
                Some((_, [_, after])) if is_constant(circuit, input) => *after += channels(input),
                None if is_constant(circuit, input) => before += channels(input),
                _ => parts.push((input, [std::mem::take(&mut before), 0])),
            }
        }
        let mut maps: Vec<String> = Vec::with_capacity(parts.len());
        for (input, zeros) in parts {
            let mut name = self.maps(input);
            if zeros != [0, 0] {
                let [before, after] = zeros.map(|channels| channels as i64);
                let pads = self.writer.ints("pads", &[0, before, 0, 0, 0, after, 0, 0]);
                name = self.writer.node(layer, "Pad", &[&name, &pads], &[]);
            }
            maps.push(name);
        }
        let maps: Vec<&str> = maps.iter().map(String::as_str).collect();
        let axis = [("axis", Setting::Int(1))];
        let joined = match maps[..] {
            [] => None,
            [one] => Some(one.to_owned()),
            _ => Some(self.writer.node(layer, "Concat", &maps, &axis)),
        };
        match (joined, self.joined_constants(step)) {
            (Some(joined), Some(constants)) => {
                self.writer.node(layer, "Add", &[&joined, &constants], &[])
            }
            (joined, constants) => joined.or(constants).unwrap_or_default(),
        }
    }

    /// The constants of a join with zeros in the place of everything else; one number for each channel if that is enough.
    fn joined_constants(&mut self, step: &Step) -> Option<String> {
        let circuit = self.circuit;
        let inputs = step.inputs.iter();
        if !inputs.clone().any(|&x| is_constant(circuit, x)) {
            return None;
        }
        let [channels, height, width] = step.shape;
        let mut values = Vec::with_capacity(channels * height * width);
        for &input in inputs {
            if is_constant(circuit, input) {
                values.extend(self.constant_values(input));
            } else {
                let zeros = circuit.step(input).shape.iter().product::<usize>();
                values.resize(values.len() + zeros, 0.0);
            }
        }
        let mut dims = [1, channels, height, width];
        let mut maps = values.chunks(height * width);
        if maps.all(|map| map.iter().all(|value| *value == map[0])) {
            values = values.into_iter().step_by(height * width).collect();
            dims = [1, channels, 1, 1];
        }
        let name = format!("{}.constants", step.layer);
        Some(self.writer.floats(&name, &dims, &values))
    }

    fn kernel(&self, weight: &Block) -> [usize; 2] {
        let [_, _, height, width] = self.circuit.tensor(weight.tensor).shape();
        [height, width]
    }

    fn conv(
        &mut self,
        value: ValueId,
        weight: &Block,
        bias: Option<&Block>,
        window: Window,
        dims: [usize; 4],
        groups: usize,
    ) -> String {
        let step = self.circuit.step(value);
        let x = self.maps(step.inputs[0]);
        let [weight, bias] = self.parameters(value, weight, bias, &dims);
        let [py, px] = window.padding;
        let settings = [
            ("kernel_shape", Setting::Ints(&dims[2..])),
            ("strides", Setting::Ints(&window.stride)),
            ("pads", Setting::Ints(&[py, px, py, px])),
            ("dilations", Setting::Ints(&window.dilation)),
            ("group", Setting::Int(groups as i64)),
        ];
        self.writer
            .node(&step.layer, "Conv", &[&x, &weight, &bias], &settings)
    }

    fn finish(mut self, description: &Description) -> Exported {
        let result = self.circuit.output();
        let [channels, height, width] = self.circuit.step(result).shape;
        let is_vector = [height, width] == [1, 1];
        let name = if is_vector {
            self.flat(result)
        } else {
            self.maps(result)
        };
        self.writer.result("Identity", &name, OUTPUT);
        let [c, h, w] = self.circuit.image();
        let input = [self.batch, Some(c), Some(h), Some(w)];
        let output = [self.batch, Some(channels), Some(height), Some(width)];
        let rank = if is_vector { 2 } else { 4 };
        let (model, external) =
            self.writer
                .finish(description, (INPUT, &input), (OUTPUT, &output[..rank]));
        Exported { model, external }
    }
}

fn is_constant(circuit: &Circuit, value: ValueId) -> bool {
    matches!(circuit.step(value).op, Op::Constant(_))
}

/// The values of a block of one column.
fn vector(circuit: &Circuit, block: &Block) -> Vec<f64> {
    let values = circuit.tensor(block.tensor).values();
    let rows = block.rows.iter();
    rows.map(|&row| f64::from(values[row])).collect()
}

fn floats(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&value| value as f32).collect()
}

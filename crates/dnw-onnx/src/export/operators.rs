//! Operations of circuits as ONNX's operators.

use dnw_circuit::{Activation, Function, Pool, Taps};

use super::writer::{Setting, Writer};

impl Writer {
    pub(super) fn activation(&mut self, layer: &str, x: &str, activation: Activation) -> String {
        let Activation { function, gated } = activation;
        let float = |x: f64| Setting::Float(x as f32);
        let result = match function {
            Function::Clip { low, high } => {
                let bounds = [low, high].map(|b| self.floats("bound", &[], &[b as f32]));
                self.node(layer, "Clip", &[x, &bounds[0], &bounds[1]], &[])
            }
            Function::LeakyRelu { slope } => {
                self.node(layer, "LeakyRelu", &[x], &[("alpha", float(slope))])
            }
            Function::HardSigmoid { slope, shift }
                if gated && (slope, shift) == (1.0 / 6.0, 0.5) =>
            {
                return self.node(layer, "HardSwish", &[x], &[]);
            }
            Function::HardSigmoid { slope, shift } => {
                let settings = [("alpha", float(slope)), ("beta", float(shift))];
                self.node(layer, "HardSigmoid", &[x], &settings)
            }
            Function::Sigmoid => self.node(layer, "Sigmoid", &[x], &[]),
            Function::Softplus => self.node(layer, "Softplus", &[x], &[]),
            Function::Exp => self.node(layer, "Exp", &[x], &[]),
            Function::Ln => self.node(layer, "Log", &[x], &[]),
            Function::Sqrt => self.node(layer, "Sqrt", &[x], &[]),
            Function::Reciprocal => self.node(layer, "Reciprocal", &[x], &[]),
            Function::Abs => self.node(layer, "Abs", &[x], &[]),
            Function::Normal => {
                let numbers = [std::f32::consts::FRAC_1_SQRT_2, 1.0, 0.5];
                let [scale, one, half] = numbers.map(|x| self.floats("factor", &[], &[x]));
                let scaled = self.node(layer, "Mul", &[x, &scale], &[]);
                let erf = self.node(layer, "Erf", &[&scaled], &[]);
                let more = self.node(layer, "Add", &[&erf, &one], &[]);
                self.node(layer, "Mul", &[&more, &half], &[])
            }
            other => unreachable!("a function that is not written: {other:?}"),
        };
        match gated {
            true => self.node(layer, "Mul", &[x, &result], &[]),
            false => result,
        }
    }

    /// A layer norm over channels, which ONNX has for the last dimension.
    pub(super) fn pixel_norm(
        &mut self,
        layer: &str,
        x: &str,
        [scale, shift]: [Vec<f32>; 2],
        epsilon: f32,
    ) -> String {
        let order = |perm: &'static [usize]| [("perm", Setting::Ints(perm))];
        let last = self.node(layer, "Transpose", &[x], &order(&[0, 2, 3, 1]));
        let scale = self.floats(&format!("{layer}.scale"), &[scale.len()], &scale);
        let shift = self.floats(&format!("{layer}.shift"), &[shift.len()], &shift);
        let epsilon = [("epsilon", Setting::Float(epsilon))];
        let inputs = [last.as_str(), &scale, &shift];
        let normed = self.node(layer, "LayerNormalization", &inputs, &epsilon);
        self.node(layer, "Transpose", &[&normed], &order(&[0, 3, 1, 2]))
    }

    /// Products with a matrix for the columns and one for the rows.
    pub(super) fn resample(
        &mut self,
        layer: &str,
        x: &str,
        from: [usize; 2],
        [rows, columns]: [&Taps; 2],
    ) -> String {
        let mut matrix = |taps: &Taps, size: usize, is_transposed: bool| {
            let outputs = taps.outputs().len();
            let mut values = vec![0.0; outputs * size];
            for (output, inputs) in taps.outputs().iter().enumerate() {
                for &(input, weight) in inputs {
                    let at = match is_transposed {
                        true => input * outputs + output,
                        false => output * size + input,
                    };
                    values[at] += weight as f32;
                }
            }
            let dims = if is_transposed {
                [size, outputs]
            } else {
                [outputs, size]
            };
            self.floats(&format!("{layer}.weights"), &dims, &values)
        };
        let (columns, rows) = (matrix(columns, from[1], true), matrix(rows, from[0], false));
        let wide = self.node(layer, "MatMul", &[x, &columns], &[]);
        self.node(layer, "MatMul", &[&rows, &wide], &[])
    }

    /// The numbers of each image in another shape.
    pub(super) fn reshape(&mut self, layer: &str, x: &str, shape: &[usize]) -> String {
        let sizes = shape.iter().map(|&size| size as i64);
        let sizes: Vec<i64> = std::iter::once(-1).chain(sizes).collect();
        let sizes = self.ints("shape", &sizes);
        self.node(layer, "Reshape", &[x, &sizes], &[])
    }

    /// Blocks of pixels that become channels, or the inverse, as reshapes around a transposition: `SpaceToDepth` has another order of channels,
    /// and neither it nor `DepthToSpace` is known to every runtime.
    pub(super) fn transpose_blocks(
        &mut self,
        layer: &str,
        x: &str,
        (blocks, order): (&[usize], &[usize]),
        shape: [usize; 3],
    ) -> String {
        let blocks = self.reshape(layer, x, blocks);
        let order = [("perm", Setting::Ints(order))];
        let moved = self.node(layer, "Transpose", &[&blocks], &order);
        self.reshape(layer, &moved, &shape)
    }

    pub(super) fn select(&mut self, layer: &str, x: &str, selected: &[usize]) -> String {
        let follows = selected.windows(2).all(|pair| pair[1] == pair[0] + 1);
        match (follows, selected) {
            (true, &[first, ..]) => {
                let (start, end) = (first as i64, (first + selected.len()) as i64);
                let bounds = [start, end, 1].map(|b| self.ints("bound", &[b]));
                let inputs = [x, &bounds[0], &bounds[1], &bounds[2]];
                self.node(layer, "Slice", &inputs, &[])
            }
            _ => {
                let indices: Vec<i64> = selected.iter().map(|&channel| channel as i64).collect();
                let indices = self.ints("channels", &indices);
                let axis = [("axis", Setting::Int(1))];
                self.node(layer, "Gather", &[x, &indices], &axis)
            }
        }
    }

    pub(super) fn pool(
        &mut self,
        layer: &str,
        x: &str,
        from: [usize; 3],
        to: [usize; 3],
        (pool, kernel, stride, padding): (Pool, [usize; 2], [usize; 2], [usize; 2]),
    ) -> String {
        let is_whole = kernel == from[1..] && to[1..] == [1, 1] && padding == [0, 0];
        if is_whole {
            let operator = if pool == Pool::Max {
                "GlobalMaxPool"
            } else {
                "GlobalAveragePool"
            };
            return self.node(layer, operator, &[x], &[]);
        }
        // What windows read behind the last row and column; rows and columns that no window reads are cut off.
        let ends: [usize; 2] =
            std::array::from_fn(|i| (to[i + 1] - 1) * stride[i] + kernel[i] - padding[i]);
        let mut x = x.to_owned();
        if (0..2).any(|i| ends[i] < from[i + 1]) {
            let ends = ends.map(|end| end as i64);
            let bounds = [&[0, 0], &ends, &[2, 3]].map(|b| self.ints("bounds", b));
            let inputs = [x.as_str(), &bounds[0], &bounds[1], &bounds[2]];
            x = self.node(layer, "Slice", &inputs, &[]);
        }
        let after: [usize; 2] = std::array::from_fn(|i| ends[i].saturating_sub(from[i + 1]));
        let pads = [padding[0], padding[1], after[0], after[1]];
        let mut settings = vec![
            ("kernel_shape", Setting::Ints(&kernel)),
            ("strides", Setting::Ints(&stride)),
            ("pads", Setting::Ints(&pads)),
        ];
        if pool == Pool::Max {
            return self.node(layer, "MaxPool", &[&x], &settings);
        }
        let counts = i64::from(pool == Pool::Average);
        settings.push(("count_include_pad", Setting::Int(counts)));
        self.node(layer, "AveragePool", &[&x], &settings)
    }
}

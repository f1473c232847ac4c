//! Operations of circuits as ONNX's operators.

use dnw_circuit::{Activation, Function, Pool};

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
            other => unreachable!("a function that is not written: {other:?}"),
        };
        match gated {
            true => self.node(layer, "Mul", &[x, &result], &[]),
            false => result,
        }
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

//! Convolutions, linear layers and norms.

use dnw_circuit::{Block, Tensor, ValueId, Window};

use super::importer::Importer;
use super::values::{Maps, finite, weight};
use crate::ImportError;
use crate::constant::count;
use crate::node::Node;

impl Importer {
    pub fn conv(&mut self, node: &Node) -> Result<Maps, ImportError> {
        let maps = self.maps(node, 0)?;
        let constant = self.known(node, 1, "its weight")?;
        let &[targets, sources, kernel_h, kernel_w] = &constant.dims[..] else {
            return Err(node.unsupported(
                format!("its weight has the shape {:?}", constant.dims),
                "convolutions of images, with weights of four dimensions, are supported",
            ));
        };
        if constant.len() == 0 {
            return Err(node.invalid(format!("its weight has the shape {:?}", constant.dims)));
        }
        let values = constant.to_floats();
        finite(node, "its weight", &values)?;
        let stride = node.sizes("strides", [1; 2])?;
        let dilation = node.sizes("dilations", [1; 2])?;
        if stride.contains(&0) || dilation.contains(&0) {
            return Err(node.invalid("a stride or dilation is zero"));
        }
        let groups = usize::try_from(node.int("group").unwrap_or(1)).unwrap_or(0);
        let [_, channels, ..] = maps.dims[..] else {
            return Err(node.invalid(format!("its input has the shape {:?}", maps.dims)));
        };
        if groups.checked_mul(sources) != Some(channels) {
            return Err(node.invalid(format!(
                "its input has {channels} channels, and its weight needs {groups} groups of {sources}"
            )));
        }
        // A padding with zeros before it is one more of its own.
        let (inner, before) = match (maps.padding, &maps.dims[..]) {
            (Some(padding), [_, _, _, _]) if padding.value == 0.0 => (
                Maps {
                    padding: None,
                    ..maps.clone()
                },
                padding.sides,
            ),
            _ => (maps.clone(), [[0; 2]; 2]),
        };
        let kernel = [kernel_h, kernel_w];
        let size = [maps.dims.get(2), maps.dims.get(3)].map(|size| size.copied().unwrap_or(1));
        let reach: [usize; 2] = std::array::from_fn(|i| (kernel[i] - 1) * dilation[i] + 1);
        let mut sides = padding(node, size, reach, stride)?;
        for (sides, before) in sides.iter_mut().zip(before) {
            sides[0] += before[0];
            sides[1] += before[1];
        }
        let mut x = match inner.padding.is_some() || before == [[0; 2]; 2] {
            true => self.as_image(node, &inner)?,
            // The dimensions are those of the padded image.
            false => inner.value,
        };
        let even = |i: usize| {
            sides[i][0]
                .abs_diff(sides[i][1])
                .is_multiple_of(dilation[i])
        };
        if !even(0) || !even(1) {
            let shape = self.circuit.shape(x);
            let padded = Maps {
                value: x,
                dims: vec![1, shape[0], shape[1], shape[2]],
                padding: Some(super::values::Padding { sides, value: 0.0 }),
            };
            let plain = self.plain(&padded);
            x = node.circuit(plain)?;
            sides = [[0; 2]; 2];
        }
        let Some((values, kernel)) = widened(values, kernel, sides, dilation) else {
            return Err(node.invalid("its padding is much larger than its input"));
        };
        let label = node.input(1).unwrap_or("weight").to_owned();
        let label = self.name(&label);
        let tensor = weight(label, [targets, sources, kernel[0], kernel[1]], values);
        let block = self.whole(tensor);
        let block = node.circuit(block)?;
        let bias = self.bias(node, 2, targets)?;
        let window = Window {
            stride,
            padding: sides.map(|[a, b]| a.max(b)),
            dilation,
        };
        let sum = self.circuit.grouped_conv(x, block, bias, window, groups);
        let sum = node.circuit(sum)?;
        Ok(self.image_maps(sum))
    }

    /// An optional vector that is added to each target.
    fn bias(
        &mut self,
        node: &Node,
        at: usize,
        targets: usize,
    ) -> Result<Option<Block>, ImportError> {
        if node.input(at).is_none() {
            return Ok(None);
        }
        let values = self.vector(node, at, "its bias", targets)?;
        let label = node.input(at).unwrap_or("bias").to_owned();
        let label = self.name(&label);
        let block = self.whole(Tensor::bias(label, values));
        node.circuit(block).map(Some)
    }

    pub fn gemm(&mut self, node: &Node) -> Result<Maps, ImportError> {
        let maps = self.maps(node, 0)?;
        if node.int("transA").unwrap_or(0) != 0 {
            return Err(node.unsupported(
                "its first input is transposed",
                "export linear layers as `torch.nn.Linear` does",
            ));
        }
        let (alpha, beta) = (
            node.float("alpha").unwrap_or(1.0),
            node.float("beta").unwrap_or(1.0),
        );
        let transposed = node.int("transB").unwrap_or(0) != 0;
        let bias = match node.input(2) {
            None => None,
            Some(_) => {
                let values = self.known(node, 2, "its bias")?.to_floats();
                Some(values.iter().map(|x| beta * x).collect::<Vec<f32>>())
            }
        };
        self.linear(node, &maps, transposed, alpha, bias)
    }

    pub fn mat_mul(&mut self, node: &Node) -> Result<Maps, ImportError> {
        if self.constant(node, 0).is_some() || self.constant(node, 1).is_none() {
            return Err(node.unsupported(
                "it is no product of the image's features with a constant matrix",
                "attention is not supported; export a convolutional network",
            ));
        }
        let maps = self.maps(node, 0)?;
        self.linear(node, &maps, false, 1.0, None)
    }

    /// A product of one vector with the matrix that is the second input: `[targets, sources]` if it is `transposed`, else the other way round.
    fn linear(
        &mut self,
        node: &Node,
        maps: &Maps,
        transposed: bool,
        alpha: f32,
        bias: Option<Vec<f32>>,
    ) -> Result<Maps, ImportError> {
        let matrix = self.known(node, 1, "its matrix")?;
        let &[rows, columns] = &matrix.dims[..] else {
            return Err(node.unsupported(
                format!("its second input has the shape {:?}", matrix.dims),
                "products with matrices are supported",
            ));
        };
        let [targets, sources] = if transposed {
            [rows, columns]
        } else {
            [columns, rows]
        };
        let numbers: usize = maps.dims.iter().product();
        if maps.dims.last() != Some(&sources) || numbers != sources || matrix.len() == 0 {
            return Err(node.unsupported(
                format!(
                    "an input of the shape {:?} is multiplied with a matrix of {sources} rows",
                    maps.dims
                ),
                "a linear layer must read one vector for each image: flatten or pool before it",
            ));
        }
        let given = matrix.to_floats();
        let values: Vec<f32> = if transposed {
            given.iter().map(|x| alpha * x).collect()
        } else {
            let entry = |target: usize, source: usize| alpha * given[source * targets + target];
            (0..targets)
                .flat_map(|target| (0..sources).map(move |source| entry(target, source)))
                .collect()
        };
        finite(node, "its matrix", &values)?;
        let x = self.as_shape(node, maps, [sources, 1, 1])?;
        let label = node.input(1).unwrap_or("weight").to_owned();
        let label = self.name(&label);
        let block = self.whole(weight(label, [targets, sources, 1, 1], values));
        let block = node.circuit(block)?;
        let bias = match bias {
            None => None,
            Some(values) => {
                // One number is for all targets.
                let values = match values[..] {
                    [one] => vec![one; targets],
                    _ => values,
                };
                if values.len() != targets {
                    let found = values.len();
                    return Err(
                        node.invalid(format!("it has {found} biases and {targets} targets"))
                    );
                }
                finite(node, "its bias", &values)?;
                let label = node.input(2).unwrap_or("bias").to_owned();
                let label = self.name(&label);
                let block = self.whole(Tensor::bias(label, values));
                Some(node.circuit(block)?)
            }
        };
        let sum = self.circuit.linear(x, block, bias);
        let mut dims = maps.dims.clone();
        if let Some(last) = dims.last_mut() {
            *last = targets;
        }
        Ok(Maps::new(node.circuit(sum)?, dims))
    }

    pub fn batch_norm(&mut self, node: &Node) -> Result<Maps, ImportError> {
        if node.int("training_mode").unwrap_or(0) != 0 || node.has_output(1) {
            return Err(node.unsupported(
                "it is in training mode",
                "call `model.eval()` before the export",
            ));
        }
        let maps = self.maps(node, 0)?;
        let x = self.as_image(node, &maps)?;
        let channels = self.circuit.shape(x)[0];
        let epsilon = node.float("epsilon").unwrap_or(1e-5);
        let variance = self.vector(node, 4, "its variance", channels)?;
        if variance
            .iter()
            .any(|&v| v + epsilon <= 0.0 || !epsilon.is_finite())
        {
            return Err(node.invalid("a variance is not positive"));
        }
        let mean = self.vector(node, 3, "its mean", channels)?;
        let affine = self.affine_blocks(node, channels)?;
        let mean = Tensor::statistic(self.name("running mean"), mean);
        let variance = Tensor::statistic(self.name("running variance"), variance);
        let mean = self.whole(mean);
        let variance = self.whole(variance);
        let statistics = [node.circuit(mean)?, node.circuit(variance)?];
        let norm = self
            .circuit
            .batch_norm(x, statistics, affine, f64::from(epsilon));
        Ok(Maps::new(node.circuit(norm)?, maps.dims))
    }

    pub fn instance_norm(&mut self, node: &Node) -> Result<Maps, ImportError> {
        let maps = self.maps(node, 0)?;
        let x = self.as_image(node, &maps)?;
        let channels = self.circuit.shape(x)[0];
        let epsilon = node.float("epsilon").unwrap_or(1e-5);
        if !epsilon.is_finite() || epsilon <= 0.0 {
            return Err(node.invalid(format!("`epsilon` is {epsilon}")));
        }
        let affine = self.affine_blocks(node, channels)?;
        let norm = self.circuit.instance_norm(x, affine, f64::from(epsilon));
        Ok(Maps::new(node.circuit(norm)?, maps.dims))
    }

    /// Inputs 1 and 2: scales and shifts.
    fn affine_blocks(&mut self, node: &Node, channels: usize) -> Result<[Block; 2], ImportError> {
        let scale = self.vector(node, 1, "its scale", channels)?;
        let shift = self.vector(node, 2, "its shift", channels)?;
        let mut block = |at: usize, values: Vec<f32>| {
            let label = self.name(node.input(at).unwrap_or("scale"));
            let block = self.whole(Tensor::norm(label, values));
            node.circuit(block)
        };
        Ok([block(1, scale)?, block(2, shift)?])
    }

    /// Maps whose dimensions are the circuit's.
    pub fn image_maps(&self, value: ValueId) -> Maps {
        let [channels, height, width] = self.circuit.shape(value);
        Maps::new(value, vec![1, channels, height, width])
    }
}

/// The padding of a window that reaches over so many pixels, from `pads` or `auto_pad`.
pub fn padding(
    node: &Node,
    size: [usize; 2],
    reach: [usize; 2],
    stride: [usize; 2],
) -> Result<[[usize; 2]; 2], ImportError> {
    if stride.contains(&0) {
        return Err(node.invalid("a stride is zero"));
    }
    let same = |i: usize| {
        let output = size[i].div_ceil(stride[i]);
        let needed = output.saturating_sub(1) * stride[i] + reach[i];
        needed.saturating_sub(size[i])
    };
    match node.text("auto_pad").unwrap_or("NOTSET") {
        "NOTSET" | "" => {
            let [top, left, bottom, right] = node.sizes("pads", [0; 4])?;
            Ok([[top, bottom], [left, right]])
        }
        "VALID" => Ok([[0; 2]; 2]),
        "SAME_UPPER" => Ok([0, 1].map(|i| [same(i) / 2, same(i) - same(i) / 2])),
        "SAME_LOWER" => Ok([0, 1].map(|i| [same(i) - same(i) / 2, same(i) / 2])),
        other => Err(node.invalid(format!("`auto_pad` is `{other}`"))),
    }
}

/// The same convolution with a padding that is the same on opposite sides: a padding that is smaller on one side is the larger one with zeros
/// at that side of the kernel. `None` if that would be too large.
fn widened(
    values: Vec<f32>,
    kernel: [usize; 2],
    sides: [[usize; 2]; 2],
    dilation: [usize; 2],
) -> Option<(Vec<f32>, [usize; 2])> {
    let most = sides.map(|[before, after]| before.max(after));
    let first: [usize; 2] = std::array::from_fn(|i| (most[i] - sides[i][0]) / dilation[i]);
    let last: [usize; 2] = std::array::from_fn(|i| (most[i] - sides[i][1]) / dilation[i]);
    if first == [0; 2] && last == [0; 2] {
        return Some((values, kernel));
    }
    let wide: [usize; 2] = std::array::from_fn(|i| first[i] + kernel[i] + last[i]);
    let kernels = values.len() / (kernel[0] * kernel[1]);
    let mut all = vec![0.0; count(&[kernels, wide[0], wide[1]])?];
    for (at, value) in values.into_iter().enumerate() {
        let (number, place) = (at / (kernel[0] * kernel[1]), at % (kernel[0] * kernel[1]));
        let (y, x) = (place / kernel[1] + first[0], place % kernel[1] + first[1]);
        all[(number * wide[0] + y) * wide[1] + x] = value;
    }
    Some((all, wide))
}

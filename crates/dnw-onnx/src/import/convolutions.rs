//! Convolutions.

use std::rc::Rc;

use dnw_circuit::{Block, Tensor, ValueId, Window};

use super::importer::Importer;
use super::values::{Maps, Value, finite, weight};
use crate::ImportError;
use crate::constant::{Constant, count};
use crate::node::Node;

impl Importer {
    pub fn conv(&mut self, node: &Node) -> Result<Maps, ImportError> {
        let maps = self.maps(node, 0)?;
        let constant = self.known(node, 1, "its weight")?;
        if let &[targets, sources, kernel] = &constant.dims[..] {
            return self.conv_of_signals(node, &maps, &constant, [targets, sources, kernel]);
        }
        let &[targets, sources, kernel_h, kernel_w] = &constant.dims[..] else {
            return Err(node.unsupported(
                format!("its weight has the shape {:?}", constant.dims),
                "convolutions of images and signals, with weights of four or three dimensions, are supported",
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
                last: false,
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

    /// A convolution of signals `[1, channels, length]` is one of images of height 1.
    fn conv_of_signals(
        &mut self,
        node: &Node,
        maps: &Maps,
        constant: &Constant,
        [targets, sources, kernel]: [usize; 3],
    ) -> Result<Maps, ImportError> {
        let &[1, channels, length] = &maps.dims[..] else {
            return Err(node.invalid(format!("its input has the shape {:?}", maps.dims)));
        };
        let x = self.as_shape(node, maps, [channels, 1, length])?;
        let mut own = node.clone();
        for (name, first) in [("strides", 1), ("dilations", 1), ("kernel_shape", 1)] {
            if let Some(&[size]) = node.ints(name) {
                own = own.with_ints(name, vec![first, size]);
            }
        }
        if let Some(&[before, after]) = node.ints("pads") {
            own = own.with_ints("pads", vec![0, before, 0, after]);
        }
        // No names of the model have this character.
        let names = ["image\0", "weight\0"].map(str::to_owned);
        let image = Maps::new(x, vec![1, channels, 1, length]);
        let weight = Constant::new(vec![targets, sources, 1, kernel], constant.data.clone());
        self.values.insert(names[0].clone(), Value::Maps(image));
        self.values
            .insert(names[1].clone(), Value::Constant(Rc::new(weight)));
        own.inputs.splice(0..2, names.iter().cloned());
        let result = self.conv(&own);
        names.iter().for_each(|name| {
            self.values.remove(name);
        });
        let mut maps = result?;
        maps.dims.remove(2);
        Ok(maps)
    }

    /// An optional vector that is added to each target.
    pub(super) fn bias(
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

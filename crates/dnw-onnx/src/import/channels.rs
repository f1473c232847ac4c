//! Nodes that select and join channels and pixels.
//!
//! In row-major order the first dimensions of feature maps are channels and the others pixels. [`Importer::channel_axes`] says how many
//! dimensions are channels.

use dnw_circuit::{Taps, ValueId};

use super::importer::Importer;
use super::reshapes::MOST_AXES;
use super::shapes::{MOST_PLACES, axis, slice};
use super::values::{Maps, Value};
use crate::ImportError;
use crate::node::Node;

impl Importer {
    /// How many of the first dimensions are the circuit's channels.
    pub(super) fn channel_axes(&self, value: ValueId, dims: &[usize]) -> Option<usize> {
        let channels = self.circuit.shape(value)[0];
        // The most, so that dimensions of one are channels.
        (0..=dims.len())
            .rev()
            .find(|&axes| dims[..axes].iter().product::<usize>() == channels)
    }

    pub fn concat(&mut self, node: &Node) -> Result<Maps, ImportError> {
        let mut parts = Vec::new();
        for (at, name) in node.inputs.iter().enumerate() {
            let maps = match self.values.get(name) {
                Some(Value::Constant(constant)) => {
                    let constant = constant.clone();
                    let &[1, channels, height, width] = &constant.dims[..] else {
                        return Err(node.unsupported(
                            format!("it joins a constant of the shape {:?}", constant.dims),
                            "constants of the shape [1, channels, height, width] are supported",
                        ));
                    };
                    let values = constant.to_floats().into_iter().map(f64::from).collect();
                    let value = self.circuit.constant([channels, height, width], values);
                    Maps::new(node.circuit(value)?, constant.dims.clone())
                }
                _ => self.maps(node, at)?,
            };
            parts.push(maps);
        }
        let Some(first) = parts.first().cloned() else {
            return Err(node.invalid("it has no inputs"));
        };
        let rank = first.dims.len();
        let given = node.int("axis").unwrap_or(1);
        let axis = axis(given, rank).ok_or_else(|| node.invalid(format!("`axis` is {given}")))?;
        let others = |dims: &[usize]| {
            let mut dims = dims.to_vec();
            if dims.len() == rank {
                dims[axis] = 0;
            }
            dims
        };
        if parts
            .iter()
            .any(|part| others(&part.dims) != others(&first.dims))
        {
            return Err(node.invalid("its inputs have different shapes"));
        }
        let mut dims = first.dims.clone();
        dims[axis] = parts.iter().map(|part| part.dims[axis]).sum();
        let outer: usize = dims[..axis].iter().product();
        let mut values = Vec::new();
        for part in &parts {
            let plain = self.plain(part);
            values.push(node.circuit(plain)?);
        }
        // Parts of another shape than the first, such as a flattened one, become vectors.
        let pixels = |importer: &Self, value| {
            let [_, height, width] = importer.circuit.shape(value);
            [height, width]
        };
        if values
            .iter()
            .any(|&v| pixels(self, v) != pixels(self, values[0]))
        {
            for (value, part) in values.iter_mut().zip(&parts) {
                let numbers = part.dims.iter().product();
                *value =
                    self.as_shape(node, &Maps::new(*value, part.dims.clone()), [numbers, 1, 1])?;
            }
        }
        let in_channels = parts.iter().zip(&values).all(|(part, &value)| {
            self.channel_axes(value, &part.dims)
                .is_some_and(|axes| axis < axes)
        });
        if !in_channels {
            for (value, part) in values.iter_mut().zip(&parts) {
                let own = Maps::new(*value, part.dims.clone());
                *value = self.with_channels(node, &own, axis)?;
            }
        }
        let counts: Vec<usize> = values.iter().map(|&v| self.circuit.shape(v)[0]).collect();
        let joined = self.circuit.concat(&values);
        let mut joined = node.circuit(joined)?;
        if outer > 1 {
            let mut order = Vec::new();
            for block in 0..outer {
                let mut start = 0;
                for count in &counts {
                    let own = count / outer;
                    order.extend((0..own).map(|i| start + block * own + i));
                    start += count;
                }
            }
            let selected = self.circuit.select(joined, order);
            joined = node.circuit(selected)?;
        }
        Ok(Maps::new(joined, dims))
    }

    pub fn gather(&mut self, node: &Node) -> Result<Maps, ImportError> {
        let maps = self.maps(node, 0)?;
        let indices = self.known(node, 1, "its list of indices")?;
        let given = node.int("axis").unwrap_or(0);
        let axis = axis(given, maps.dims.len())
            .ok_or_else(|| node.invalid(format!("`axis` is {given}")))?;
        let size = maps.dims[axis];
        let found: Option<Vec<usize>> = indices.as_ints().and_then(|indices| {
            let own = indices.iter();
            own.map(|&index| super::shapes::axis(index, size)).collect()
        });
        let rank = maps.dims.len() + indices.dims.len();
        let Some(found) = found.filter(|_| rank <= MOST_AXES) else {
            return Err(node.invalid(format!("its indices do not fit an axis of {size}")));
        };
        let mut taken = self.take(node, &maps, axis, &found)?;
        taken.dims.splice(axis..=axis, indices.dims.iter().copied());
        // The last axis may have become several, or gone.
        if taken.last && axis + 1 == maps.dims.len() && indices.dims.len() != 1 {
            taken.dims.clone_from(&maps.dims);
            taken.dims[axis] = found.len();
            let moved = self.in_memory_order(&taken);
            taken = node.circuit(moved)?;
            taken.dims.splice(axis..=axis, indices.dims.iter().copied());
        }
        Ok(taken)
    }

    pub fn slice(&mut self, node: &Node) -> Result<Maps, ImportError> {
        let mut maps = self.maps(node, 0)?;
        let list = |at: usize, name: &str| match node.ints(name) {
            Some(ints) => Ok(Some(ints.to_vec())),
            None if node.input(at).is_none() => Ok(None),
            None => {
                let ints = self.known(node, at, "a bound of the slice")?;
                Ok(ints.as_ints().map(<[i64]>::to_vec))
            }
        };
        let starts = list(1, "starts")?.unwrap_or_default();
        let ends = list(2, "ends")?.unwrap_or_default();
        let count = starts.len();
        let axes = list(3, "axes")?.unwrap_or_else(|| (0..count as i64).collect());
        let steps = list(4, "steps")?.unwrap_or_else(|| vec![1; count]);
        if [ends.len(), axes.len(), steps.len()] != [count; 3] {
            return Err(node.invalid("its lists have different lengths"));
        }
        for i in 0..count {
            let axis = axis(axes[i], maps.dims.len())
                .ok_or_else(|| node.invalid(format!("axis {} does not exist", axes[i])))?;
            let indices = slice(starts[i], ends[i], steps[i], maps.dims[axis])
                .ok_or_else(|| node.invalid("a step is zero"))?;
            if indices.len() != maps.dims[axis] || steps[i] < 0 {
                maps = self.take(node, &maps, axis, &indices)?;
            }
        }
        Ok(maps)
    }

    pub fn split(&mut self, node: &Node) -> Result<Vec<Value>, ImportError> {
        let constant = self.constant(node, 0);
        let dims = match &constant {
            Some(constant) => constant.dims.clone(),
            None => self.maps(node, 0)?.dims,
        };
        let given = node.int("axis").unwrap_or(0);
        let axis =
            axis(given, dims.len()).ok_or_else(|| node.invalid(format!("`axis` is {given}")))?;
        let (size, parts) = (dims[axis], node.outputs.len());
        let sizes: Vec<i64> = match (node.ints("split"), node.input(1)) {
            (Some(sizes), _) => sizes.to_vec(),
            (None, Some(_)) => {
                let sizes = self.known(node, 1, "its list of sizes")?;
                sizes.as_ints().unwrap_or_default().to_vec()
            }
            // Equal parts; the last may be smaller.
            (None, None) => {
                let most = size.div_ceil(parts.max(1));
                let part = |at: usize| most.min(size.saturating_sub(at * most)) as i64;
                (0..parts).map(part).collect()
            }
        };
        let own: Vec<usize> = sizes
            .iter()
            .filter_map(|&n| usize::try_from(n).ok())
            .collect();
        let sum = own.iter().try_fold(0usize, |sum, &n| sum.checked_add(n));
        if own.len() != sizes.len() || own.len() != parts || sum != Some(size) {
            return Err(node.invalid(format!("an axis of {size} is split into {sizes:?}")));
        }
        let mut start = 0;
        let mut values = Vec::new();
        for size in own {
            let indices: Vec<usize> = (start..start + size).collect();
            start += size;
            values.push(match &constant {
                Some(constant) => Value::Constant(super::elements::take(constant, axis, &indices)),
                None => {
                    let maps = self.maps(node, 0)?;
                    Value::Maps(self.take(node, &maps, axis, &indices)?)
                }
            });
        }
        Ok(values)
    }

    /// The circuit's value in a shape in which this axis is one of the channels'.
    fn with_channels(
        &mut self,
        node: &Node,
        maps: &Maps,
        axis: usize,
    ) -> Result<ValueId, ImportError> {
        if maps.dims.len() == 4 && axis <= 1 && maps.dims[0] == 1 {
            return self.as_image(node, maps);
        }
        let (channels, pixels) = maps.dims.split_at(axis + 1);
        let shape = [channels, pixels].map(|sizes| sizes.iter().product());
        self.as_shape(node, maps, [shape[0], 1, shape[1]])
    }

    /// These indices along an axis.
    pub(super) fn take(
        &mut self,
        node: &Node,
        maps: &Maps,
        axis: usize,
        indices: &[usize],
    ) -> Result<Maps, ImportError> {
        if maps.last {
            let axis = self.first_axis(maps, axis);
            return Ok(self.take(node, &maps.first(), axis, indices)?.to_last());
        }
        let plain = self.plain(maps);
        let value = node.circuit(plain)?;
        let mut dims = maps.dims.clone();
        dims[axis] = indices.len();
        if indices.iter().copied().eq(0..maps.dims[axis]) {
            return Ok(Maps::new(value, dims));
        }
        let mut value = value;
        let mut axes = self.channel_axes(value, &maps.dims).filter(|&n| axis < n);
        let is_image = matches!((maps.dims.len(), axis), (4, 2 | 3) | (3, 2));
        if axes.is_none() && !is_image {
            value = self.with_channels(node, maps, axis)?;
            axes = self.channel_axes(value, &maps.dims);
        }
        if let Some(axes) = axes.filter(|&n| axis < n) {
            let inner: usize = maps.dims[axis + 1..axes].iter().product();
            let outer: usize = maps.dims[..axis].iter().product();
            let block = maps.dims[axis] * inner;
            let own = (0..outer).flat_map(|o| {
                let place = move |&i: &usize| (0..inner).map(move |k| o * block + i * inner + k);
                indices.iter().flat_map(place)
            });
            let own: Vec<usize> = own.collect();
            let selected = self.circuit.select(value, own);
            return Ok(Maps::new(node.circuit(selected)?, dims));
        }
        let side = match (maps.dims.len(), axis) {
            (4, 2) => 0,
            (4, 3) | (3, 2) => 1,
            _ => return Err(self.scattered(node, maps, axis)),
        };
        let value = self.as_image(node, maps)?;
        let [_, height, width] = self.circuit.shape(value);
        let size = [height, width];
        let (Some(&first), Some(&last)) = (indices.first(), indices.last()) else {
            return Err(node.invalid("nothing is left"));
        };
        let taken = if indices.windows(2).all(|pair| pair[1] == pair[0] + 1) {
            let (mut corner, mut size) = ([0; 2], size);
            corner[side] = first;
            size[side] = last + 1 - first;
            self.circuit.crop(value, corner, size)
        } else {
            if size.iter().any(|&size| size > MOST_PLACES) {
                return Err(self.scattered(node, maps, axis));
            }
            let mut axes = size.map(|size| Taps::of(0..size));
            axes[side] = Taps::of(indices.iter().copied());
            let [rows, columns] = axes;
            self.circuit.resample(value, rows, columns)
        };
        Ok(Maps::new(node.circuit(taken)?, dims))
    }

    fn scattered(&self, node: &Node, maps: &Maps, axis: usize) -> ImportError {
        node.unsupported(
            format!("it selects from axis {axis} of the shape {:?}", maps.dims),
            "channels, rows and columns of images can be selected",
        )
    }

    pub fn space_to_depth(&mut self, node: &Node) -> Result<Maps, ImportError> {
        let maps = self.maps(node, 0)?;
        let x = self.as_image(node, &maps)?;
        let side = usize::try_from(node.int("blocksize").unwrap_or(0)).unwrap_or(0);
        let sources = self.circuit.shape(x)[0];
        let folded = self.circuit.fold(x, side);
        let folded = node.circuit(folded)?;
        // ONNX has the channels of one place of the block together, circuits those of one channel.
        let channels = self.circuit.shape(folded)[0];
        let area = channels / sources;
        let order = (0..channels).map(|channel| channel % sources * area + channel / sources);
        let ordered = self.circuit.select(folded, order);
        let ordered = node.circuit(ordered)?;
        Ok(self.image_maps(ordered))
    }
}

//! Quantised models: integers of 8 or 16 bits that stand for `scale (integer - zero)`.
//!
//! Weights are computed from their integers as any runtime does. Feature maps stay 32-bit floats: where the model quantises them they are clipped
//! to what the integers can express, and not rounded. The clip is part of the network, because exporters leave out a ReLU where the integers
//! have no negative numbers (seen: ONNX Runtime 1.32). Without the rounding the outputs are those of the network before its feature maps were
//! quantised, up to the clips.

use std::rc::Rc;

use dnw_circuit::{CircuitError, ValueId};

use super::importer::Importer;
use super::shapes::axis;
use super::values::{Maps, Quantisation, Value, finite};
use crate::ImportError;
use crate::constant::{Constant, Data, Element};
use crate::node::Node;

/// What an operator that quantises, or the reverse, says.
struct Parameters {
    /// A scale and a zero for each index of an axis, or one of each.
    by: Quantisation,
    /// The integers that there are.
    range: [i64; 2],
}

impl Importer {
    /// The quantisation of feature maps that a node only moves; `None` if it has no quantised input or handles it.
    pub(super) fn moved_integers(
        &self,
        node: &Node,
    ) -> Result<Option<Rc<Quantisation>>, ImportError> {
        let mut inputs = node.inputs.iter();
        let Some(found) = inputs.find_map(|name| self.quantised.get(name)) else {
            return Ok(None);
        };
        match node.operator.as_str() {
            "DequantizeLinear" | "ConvInteger" | "MatMulInteger" | "Shape" | "Size" => Ok(None),
            "MaxPool" | "Identity" => Ok(Some(found.clone())),
            _ if found.scales.len() > 1 => {
                Err(node.unsupported("it moves integers with a scale for each channel", QDQ))
            }
            "Reshape" | "Flatten" | "Transpose" | "Squeeze" | "Unsqueeze" | "Slice" | "Split"
            | "Gather" => Ok(Some(found.clone())),
            "Concat"
                if node
                    .inputs
                    .iter()
                    .all(|x| self.quantised.get(x) == Some(found)) =>
            {
                Ok(Some(found.clone()))
            }
            _ => Err(node.unsupported("it computes with integers", QDQ)),
        }
    }

    /// Feature maps of integers, as floats within the range of the integers.
    pub(super) fn quantise(&mut self, node: &Node) -> Result<Maps, ImportError> {
        let maps = self.maps(node, 0)?;
        let Parameters { by, range } = self.parameters(node)?;
        let value = match (&by.scales[..], &by.zeros[..]) {
            (&[scale], &[zero]) => {
                let [low, high] = range.map(|bound| scale * (bound - zero) as f32);
                self.padded(&maps).and_then(|x| self.clip(x, low, high))
            }
            _ => {
                self.check_channels(node, &maps, &by)?;
                self.clip_channels(&maps, &by, range)
            }
        };
        if let Some(name) = node.outputs.first() {
            self.quantised.insert(name.clone(), Rc::new(by));
        }
        Ok(Maps {
            value: node.circuit(value)?,
            padding: None,
            ..maps
        })
    }

    /// Each channel clipped to its own range: as its integers, which are not rounded.
    fn clip_channels(
        &mut self,
        maps: &Maps,
        by: &Quantisation,
        range: [i64; 2],
    ) -> Result<ValueId, CircuitError> {
        let x = self.plain(maps)?;
        let zeros: Vec<f32> = by.zeros.iter().map(|&zero| zero as f32).collect();
        let integers = by.scales.iter().map(|scale| 1.0 / scale).collect();
        let integers = self.affine(x, integers, zeros.clone())?;
        let [low, high] = range.map(|bound| bound as f32);
        let clipped = self.clip(integers, low, high)?;
        let offsets = zeros.iter().zip(&by.scales).map(|(zero, by)| -zero * by);
        self.affine(clipped, by.scales.clone(), offsets.collect())
    }

    /// Refuses scales that are not those of channels.
    fn check_channels(
        &self,
        node: &Node,
        maps: &Maps,
        by: &Quantisation,
    ) -> Result<(), ImportError> {
        let given = node.int("axis").unwrap_or(1);
        let axis = axis(given, maps.dims.len())
            .filter(|&axis| self.first_axis(maps, axis) == 1 && maps.dims[axis] == by.scales.len());
        match axis {
            Some(_) => Ok(()),
            None => Err(node.unsupported(
                format!(
                    "it has {} scales for axis {given} of the shape {:?}",
                    by.scales.len(),
                    maps.dims
                ),
                "quantise feature maps with one scale, or one for each channel",
            )),
        }
    }

    /// The floats that feature maps of integers stand for, as which they are kept.
    pub(super) fn dequantise(&mut self, node: &Node) -> Result<Maps, ImportError> {
        let maps = self.maps(node, 0)?;
        let by = self.parameters(node)?.by;
        let quantised = node.input(0).and_then(|name| self.quantised.get(name));
        if by.scales.len() > 1 {
            self.check_channels(node, &maps, &by)?;
        }
        match quantised.is_some_and(|quantised| **quantised == by) {
            true => Ok(maps),
            false => Err(node.unsupported(
                "its scale and zero point are not those with which its input was quantised",
                QDQ,
            )),
        }
    }

    /// Integers for the range of an image's own numbers, which no number leaves: the numbers themselves, with a scale of 1.
    pub(super) fn quantise_dynamically(&mut self, node: &Node) -> Result<(), ImportError> {
        let maps = self.maps(node, 0)?;
        let quantisation = Quantisation {
            scales: vec![1.0],
            zeros: vec![0],
        };
        if let Some(name) = node.outputs.first() {
            self.quantised.insert(name.clone(), Rc::new(quantisation));
        }
        let zero = Constant {
            element: Some(Element::U8),
            ..Constant::new(vec![], Data::Ints(vec![0]))
        };
        let values = [
            Value::Maps(maps),
            Value::Constant(Constant::floats(vec![], vec![1.0])),
            Value::Constant(Rc::new(zero)),
        ];
        self.values.extend(node.outputs.iter().cloned().zip(values));
        Ok(())
    }

    /// A convolution or product of integers, whose output is multiplied with the scales by later nodes.
    pub(super) fn product_of_integers(&mut self, node: &Node) -> Result<Maps, ImportError> {
        let by = node.input(0).and_then(|name| self.quantised.get(name));
        let by = by.map(|by| (&by.scales[..], &by.zeros[..]));
        let Some((&[scale], &[zero])) = by else {
            return Err(node.unsupported("its input is not quantised with one scale", QDQ));
        };
        let weight = self.known(node, 1, "its weight")?;
        let zeros = |at: usize| match node.input(at) {
            None => Ok(vec![0]),
            Some(_) => self.integers(node, at, "its zero point"),
        };
        if zeros(2)?.iter().any(|&found| found != zero) {
            return Err(node.unsupported(
                "its zero point is not that with which its input was quantised",
                QDQ,
            ));
        }
        let is_product = node.operator == "MatMulInteger";
        let along = if is_product { -1 } else { 0 };
        let by = Quantisation {
            zeros: zeros(3)?,
            scales: vec![1.0 / scale],
        };
        let weight = self.dequantise_constant(node, &weight, along, &by)?;
        // No name of the model has this character.
        let name = "integers\0".to_owned();
        self.values.insert(name.clone(), Value::Constant(weight));
        let mut own = node.clone();
        own.inputs.truncate(1);
        own.inputs.push(name.clone());
        let result = match is_product {
            true => self.mat_mul(&own),
            false => self.conv(&own),
        };
        self.values.remove(&name);
        result
    }

    /// A constant that is quantised or dequantised.
    pub(super) fn quantise_constant(
        &mut self,
        node: &Node,
        x: &Constant,
    ) -> Result<Rc<Constant>, ImportError> {
        let Parameters { by, range } = self.parameters(node)?;
        let along = node.int("axis").unwrap_or(1);
        if node.operator == "DequantizeLinear" {
            return self.dequantise_constant(node, x, along, &by);
        }
        self.tensors.reserve(&node.name, &x.dims)?;
        let places = Places::new(node, &by, &x.dims, along)?;
        let [low, high] = range;
        let values = x.to_floats();
        finite(node, "its input", &values)?;
        let integers = values.iter().enumerate().map(|(i, x)| {
            let (scale, zero) = places.of(i);
            // As the specification asks: rounded to the even neighbour, then added.
            let rounded = (x / scale).round_ties_even() as i64;
            rounded.saturating_add(zero).clamp(low, high)
        });
        Ok(Constant::ints(x.dims.clone(), integers.collect()))
    }

    fn dequantise_constant(
        &mut self,
        node: &Node,
        x: &Constant,
        along: i64,
        by: &Quantisation,
    ) -> Result<Rc<Constant>, ImportError> {
        let Some(integers) = x.as_ints() else {
            return Err(node.invalid("its input has no integers"));
        };
        self.tensors.reserve(&node.name, &x.dims)?;
        let places = Places::new(node, by, &x.dims, along)?;
        let values = integers.iter().enumerate().map(|(i, &x)| {
            let (scale, zero) = places.of(i);
            x.saturating_sub(zero) as f32 * scale
        });
        Ok(Constant::floats(x.dims.clone(), values.collect()))
    }

    /// The scales and zeros of a node, and the integers of its output.
    fn parameters(&mut self, node: &Node) -> Result<Parameters, ImportError> {
        if node.int("block_size").unwrap_or(0) != 0 {
            return Err(node.unsupported(
                "it has a scale for each block of an axis",
                "quantise with one scale, or one for each channel",
            ));
        }
        let scales = self.known(node, 1, "its scale")?;
        // Counted, because any number of nodes may have the same scales.
        self.tensors.reserve(&node.name, &scales.dims)?;
        let scales = scales.to_floats();
        finite(node, "its scale", &scales)?;
        if scales.iter().any(|&scale| scale <= 0.0) || scales.is_empty() {
            return Err(node.invalid("a scale is not positive"));
        }
        let element = match node.input(2) {
            Some(_) => self.known(node, 2, "its zero point")?.element,
            None => Element::of(node.int("output_dtype").map_or(U8, |type_| type_ as i32)),
        };
        let zeros = match node.input(2) {
            Some(_) => self.integers(node, 2, "its zero point")?,
            None => vec![0; scales.len()],
        };
        if zeros.len() != scales.len() {
            return Err(node.invalid(format!(
                "it has {} scales and {} zero points",
                scales.len(),
                zeros.len()
            )));
        }
        let range = match (element.and_then(Element::range), &node.operator[..]) {
            (Some(range), _) => range,
            // Biases have 32 bits.
            (None, "DequantizeLinear") => [0; 2],
            (None, _) => {
                return Err(node.unsupported(
                    "it quantises to a type that is not read",
                    "quantise to 8 or 16 bits",
                ));
            }
        };
        Ok(Parameters {
            by: Quantisation { scales, zeros },
            range,
        })
    }

    fn integers(&self, node: &Node, at: usize, what: &str) -> Result<Vec<i64>, ImportError> {
        let constant = self.known(node, at, what)?;
        let integers = constant.as_ints().map(<[i64]>::to_vec);
        integers.ok_or_else(|| node.invalid(format!("{what} is no integer")))
    }
}

/// The remedy for other forms of quantised models.
pub const QDQ: &str = "quantise the model in ONNX Runtime's format `QuantFormat.QDQ`, or export it with 32-bit weights: `dnw compile --weights int8` stores 8 bits";
/// The number of the type in the schema.
const U8: i32 = 2;

/// Which scale and zero an entry has.
struct Places<'a> {
    by: &'a Quantisation,
    count: usize,
    /// Entries with the same scale one after the other.
    run: usize,
}

impl<'a> Places<'a> {
    fn new(
        node: &Node,
        by: &'a Quantisation,
        dims: &[usize],
        along: i64,
    ) -> Result<Self, ImportError> {
        let count = by.scales.len().max(by.zeros.len());
        let run = match axis(along, dims.len()) {
            _ if count == 1 => 1,
            Some(axis) if dims[axis] == count => dims[axis + 1..].iter().product(),
            _ => {
                return Err(node.invalid(format!(
                    "it has {count} scales, and its input the shape {dims:?} with axis {along}"
                )));
            }
        };
        Ok(Self { by, count, run })
    }

    fn of(&self, entry: usize) -> (f32, i64) {
        let at = entry / self.run % self.count;
        let one = |count: usize| if count == 1 { 0 } else { at };
        let Quantisation { scales, zeros } = self.by;
        (scales[one(scales.len())], zeros[one(zeros.len())])
    }
}

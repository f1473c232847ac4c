//! Norms.

use dnw_circuit::{Block, Function, Tensor, ValueId, Window};

use super::importer::Importer;
use super::values::{Maps, finite};
use crate::ImportError;
use crate::node::Node;

/// The most channels that are normed with their neighbours: each could be one's neighbour.
const MOST_CHANNELS: usize = 1 << 12;

fn epsilon(node: &Node) -> Result<f64, ImportError> {
    let epsilon = node.float("epsilon").unwrap_or(1e-5);
    match epsilon.is_finite() && epsilon > 0.0 {
        true => Ok(f64::from(epsilon)),
        false => Err(node.invalid(format!("`epsilon` is {epsilon}"))),
    }
}

impl Importer {
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
        let &[1, channels, ref pixels @ ..] = &maps.dims[..] else {
            return Err(node.invalid(format!("its input has the shape {:?}", maps.dims)));
        };
        let plain = self.padded(&maps);
        let mut x = node.circuit(plain)?;
        // The groups of a group norm are channels of an instance norm.
        if self.circuit.shape(x)[0] != channels {
            let pixels = pixels.iter().product();
            x = self.as_shape(node, &maps, [channels, 1, pixels])?;
        }
        let epsilon = epsilon(node)?;
        let affine = self.affine_blocks(node, channels)?;
        let norm = self.circuit.instance_norm(x, affine, epsilon);
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

    pub fn group_norm(&mut self, node: &Node) -> Result<Maps, ImportError> {
        let maps = self.maps(node, 0)?;
        let groups = usize::try_from(node.int("num_groups").unwrap_or(0)).unwrap_or(0);
        let Some(&channels) = maps.dims.get(1).filter(|_| maps.dims[0] == 1) else {
            return Err(node.invalid(format!("its input has the shape {:?}", maps.dims)));
        };
        if groups == 0 || !channels.is_multiple_of(groups) {
            return Err(node.invalid(format!("{channels} channels have {groups} groups")));
        }
        let normed = self.normed(node, &maps, groups)?;
        // One scale for each group before version 21, for each channel since.
        let mut affine = Vec::new();
        for (at, what) in [(1, "its scale"), (2, "its shift")] {
            let values = self.known(node, at, what)?.to_floats();
            finite(node, what, &values)?;
            let each = match values.len() {
                n if n == channels => 1,
                n if n == groups => channels / groups,
                n => return Err(node.invalid(format!("{what} has {n} values"))),
            };
            let values = values.iter().flat_map(|&x| std::iter::repeat_n(x, each));
            affine.push(values.collect::<Vec<f32>>());
        }
        let shape = match maps.dims[..] {
            [_, channels, height, width] => [channels, height, width],
            _ => [channels, 1, maps.dims[2..].iter().product()],
        };
        let x = self.as_shape(node, &normed, shape)?;
        let [scale, shift] = <[Vec<f32>; 2]>::try_from(affine).unwrap_or_default();
        let result = self.affine(x, scale, shift);
        Ok(Maps::new(node.circuit(result)?, maps.dims))
    }

    pub fn layer_norm(&mut self, node: &Node) -> Result<Maps, ImportError> {
        if node.has_output(1) {
            return Err(node.unsupported(
                "its mean or variance is used",
                "layer norms with one output are supported",
            ));
        }
        let maps = self.maps(node, 0)?;
        let rank = maps.dims.len();
        let given = node.int("axis").unwrap_or(-1);
        let axis = super::shapes::axis(given, rank)
            .ok_or_else(|| node.invalid(format!("`axis` is {given}")))?;
        let over_channels = axis + 1 == rank && (maps.last || rank == 2);
        if over_channels {
            let channels = maps.dims[axis];
            let padded = self.padded(&maps);
            let x = node.circuit(padded)?;
            let x = match self.circuit.shape(x)[0] == channels {
                true => x,
                false => self.as_shape(node, &maps, [channels, 1, 1])?,
            };
            let scale = self.vector(node, 1, "its scale", channels)?;
            let shift = match node.input(2) {
                Some(_) => self.vector(node, 2, "its shift", channels)?,
                None => vec![0.0; channels],
            };
            let affine = self.norm_blocks(node, [scale, shift])?;
            let norm = self.circuit.pixel_norm(x, affine, epsilon(node)?);
            return Ok(Maps {
                value: node.circuit(norm)?,
                padding: None,
                ..maps
            });
        }
        let maps = match maps.last {
            true => {
                let moved = self.in_memory_order(&maps);
                node.circuit(moved)?
            }
            false => maps,
        };
        let mut result = self.normed(node, &maps, maps.dims[..axis].iter().product())?;
        // As maps again, before each number gets its own scale.
        if let [1, channels, height, width] = maps.dims[..] {
            result.value = self.as_shape(node, &result, [channels, height, width])?;
        }
        result.dims = maps.dims;
        for (at, is_product) in [(1, true), (2, false)] {
            if node.input(at).is_some() {
                let constant = self.known(node, at, "its scale or shift")?;
                result = self.with_constant(node, &result, &constant, is_product)?;
            }
        }
        Ok(result)
    }

    /// The numbers in so many equal runs, each with a mean of 0 and a variance of 1.
    fn normed(&mut self, node: &Node, maps: &Maps, runs: usize) -> Result<Maps, ImportError> {
        let numbers: usize = maps.dims.iter().product();
        let x = self.as_shape(node, maps, [runs, 1, numbers / runs.max(1)])?;
        let affine = self.norm_blocks(node, [vec![1.0; runs], vec![0.0; runs]])?;
        let norm = self.circuit.instance_norm(x, affine, epsilon(node)?);
        Ok(Maps::new(node.circuit(norm)?, maps.dims.clone()))
    }

    /// Scales and shifts.
    fn norm_blocks(
        &mut self,
        node: &Node,
        [scale, shift]: [Vec<f32>; 2],
    ) -> Result<[Block; 2], ImportError> {
        let mut block = |base: &str, values: Vec<f32>| {
            let label = self.name(base);
            let block = self.whole(Tensor::norm(label, values));
            node.circuit(block)
        };
        Ok([block("scale", scale)?, block("shift", shift)?])
    }

    /// `x / (bias + alpha / size * sum of the squares of neighbouring channels) ^ beta`.
    pub fn local_response_norm(&mut self, node: &Node) -> Result<Maps, ImportError> {
        let maps = self.maps(node, 0)?;
        let x = self.as_image(node, &maps)?;
        let channels = self.circuit.shape(x)[0];
        let size = usize::try_from(node.int("size").unwrap_or(0)).unwrap_or(0);
        let float = |name: &str, default: f32| node.float(name).unwrap_or(default);
        let (alpha, beta, bias) = (
            float("alpha", 1e-4),
            float("beta", 0.75),
            float("bias", 1.0),
        );
        let valid = [alpha, beta, bias]
            .iter()
            .all(|x| x.is_finite() && *x > 0.0);
        if size == 0 || !valid || channels > MOST_CHANNELS {
            return Err(node.invalid("a constant is not positive, or it has too many channels"));
        }
        let (before, after) = ((size - 1) / 2, size / 2);
        let real: Vec<bool> = (0..channels * channels)
            .map(|entry| {
                let (target, source) = (entry / channels, entry % channels);
                source + before >= target && source <= target.saturating_add(after)
            })
            .collect();
        let weights = real.iter().map(|&real| match real {
            true => alpha / size as f32,
            false => 0.0,
        });
        let label = self.name(&node.name);
        let shape = [channels, channels, 1, 1];
        let neighbours = Tensor::edges(label, shape, weights.collect(), real);
        let label = self.name("bias");
        let sum = || {
            let weight = self.whole(neighbours)?;
            let bias = self.whole(Tensor::bias(label, vec![bias; channels]))?;
            let squares = self.circuit.product(x, x)?;
            self.circuit
                .conv(squares, weight, Some(bias), Window::default())
        };
        let sum = sum();
        let sum = node.circuit(sum)?;
        let factor = self.raised(node, sum, -beta)?;
        let result = self.circuit.product(x, factor);
        Ok(Maps::new(node.circuit(result)?, maps.dims))
    }

    /// `x` to this power, by its logarithm.
    pub(super) fn raised(
        &mut self,
        node: &Node,
        x: ValueId,
        exponent: f32,
    ) -> Result<ValueId, ImportError> {
        let logarithm = self.function(node, x, Function::Ln)?;
        let scaled = self.scaled(node, logarithm, exponent, 0.0)?;
        self.function(node, scaled, Function::Exp)
    }
}

//! Means, sums and extremes along axes.

use dnw_circuit::{Activation, Function, Pool, ValueId, Window};

use super::importer::Importer;
use super::shapes::axis;
use super::values::{Maps, weight};
use crate::ImportError;
use crate::node::Node;

/// Groups of channels that are added without a convolution.
const MOST_TERMS: usize = 64;

impl Importer {
    /// The axes that a node reduces, ascending; all if it names none.
    pub(super) fn axes(&self, node: &Node, rank: usize) -> Result<Vec<usize>, ImportError> {
        let given = match (node.ints("axes"), node.input(1)) {
            (Some(axes), _) => axes.to_vec(),
            (None, Some(_)) => {
                let axes = self.known(node, 1, "its list of axes")?;
                axes.as_ints().unwrap_or_default().to_vec()
            }
            (None, None) => Vec::new(),
        };
        let mut axes = Vec::new();
        for &own in &given {
            let own = axis(own, rank)
                .ok_or_else(|| node.invalid(format!("axis {own} does not exist")))?;
            axes.push(own);
        }
        if given.is_empty() && node.int("noop_with_empty_axes").unwrap_or(0) == 0 {
            axes = (0..rank).collect();
        }
        axes.sort_unstable();
        axes.dedup();
        Ok(axes)
    }

    pub fn reduce(&mut self, node: &Node) -> Result<Maps, ImportError> {
        let maps = self.maps(node, 0)?;
        let rank = maps.dims.len();
        let axes = self.axes(node, rank)?;
        let plain = self.plain(&maps);
        let mut x = node.circuit(plain)?;
        let operator = node.operator.as_str();
        x = match operator {
            "ReduceL2" | "ReduceSumSquare" => {
                let square = self.circuit.product(x, x);
                node.circuit(square)?
            }
            "ReduceL1" => self.function(node, x, Function::Abs)?,
            "ReduceMin" => self.scaled(node, x, -1.0, 0.0)?,
            _ => x,
        };
        let is_max = matches!(operator, "ReduceMax" | "ReduceMin");
        let mut dims = maps.dims.clone();
        // One run of neighbouring axes after the other, from the last on. Axes of one are not reduced.
        let mut end = rank;
        while end > 0 {
            let reduced = |axis: usize| axes.contains(&axis) || dims[axis] == 1;
            let mut start = end;
            while start > 0 && reduced(start - 1) {
                start -= 1;
            }
            let sizes = [&dims[..start], &dims[start..end], &dims[end..]];
            let [outer, run, inner] = sizes.map(|sizes| sizes.iter().product::<usize>());
            if run > 1 {
                x = self.reduced(node, x, [outer, run, inner], is_max)?;
            }
            dims[start..end].fill(1);
            end = start.saturating_sub(1);
        }
        let count = axes.iter().map(|&axis| maps.dims[axis]).product::<usize>() as f32;
        x = match operator {
            "ReduceSum" | "ReduceL1" | "ReduceSumSquare" => self.scaled(node, x, count, 0.0)?,
            "ReduceL2" => {
                let sum = self.scaled(node, x, count, 0.0)?;
                self.function(node, sum, Function::Sqrt)?
            }
            "ReduceMin" => self.scaled(node, x, -1.0, 0.0)?,
            _ => x,
        };
        let keeps = node.int("keepdims").unwrap_or(1) != 0;
        let dims = (0..rank).filter(|axis| keeps || !axes.contains(axis));
        let dims = dims.map(|axis| match axes.contains(&axis) {
            true => 1,
            false => maps.dims[axis],
        });
        Ok(Maps::new(x, dims.collect()))
    }

    /// The mean or maximum over the second of three dimensions, for numbers in row-major order.
    pub(super) fn reduced(
        &mut self,
        node: &Node,
        x: ValueId,
        [outer, run, inner]: [usize; 3],
        is_max: bool,
    ) -> Result<ValueId, ImportError> {
        let [channels, height, width] = self.circuit.shape(x);
        let pool = if is_max { Pool::Max } else { Pool::Average };
        let mut pooled = |x: ValueId, kernel: [usize; 2], size: [usize; 2]| {
            let pooled = self.circuit.pool(x, pool, kernel, [1; 2], [0; 2], size);
            node.circuit(pooled)
        };
        if outer == channels && run == height * width {
            return pooled(x, [height, width], [1, 1]);
        }
        if outer == channels && run == height {
            return pooled(x, [height, 1], [1, width]);
        }
        if outer == channels * height && run == width {
            return pooled(x, [1, width], [height, 1]);
        }
        if !is_max && outer == 1 && run == channels {
            // A convolution with equal weights.
            let label = self.name(&node.name);
            let weights = vec![1.0 / channels as f32; channels];
            let block = self.whole(weight(label, [1, channels, 1, 1], weights));
            let block = node.circuit(block)?;
            let mean = self.circuit.conv(x, block, None, Window::default());
            return node.circuit(mean);
        }
        let blocks = outer * run;
        if !is_max && run <= MOST_TERMS && channels.is_multiple_of(blocks) {
            let each = channels / blocks;
            let mut terms = Vec::new();
            for term in 0..run {
                let own = (0..outer).flat_map(|o| {
                    let first = (o * run + term) * each;
                    first..first + each
                });
                let selected = self.circuit.select(x, own);
                terms.push((1.0 / run as f64, node.circuit(selected)?));
            }
            let mean = self.circuit.sum(&terms);
            return node.circuit(mean);
        }
        let reshaped = self.circuit.reshape(x, [outer, run, inner]);
        let x = node.circuit(reshaped)?;
        let pooled = self
            .circuit
            .pool(x, pool, [run, 1], [1; 2], [0; 2], [1, inner]);
        let x = node.circuit(pooled)?;
        // Maps again, if they were reduced channel by channel.
        if outer == 1 && inner == height * width {
            let reshaped = self.circuit.reshape(x, [1, height, width]);
            return node.circuit(reshaped);
        }
        Ok(x)
    }

    /// `function(x)`.
    pub(super) fn function(
        &mut self,
        node: &Node,
        x: ValueId,
        function: Function,
    ) -> Result<ValueId, ImportError> {
        let result = self.circuit.activation(x, Activation::plain(function));
        node.circuit(result)
    }

    /// `scale x + shift`.
    pub(super) fn scaled(
        &mut self,
        node: &Node,
        x: ValueId,
        scale: f32,
        shift: f32,
    ) -> Result<ValueId, ImportError> {
        let channels = self.circuit.shape(x)[0];
        let result = self.affine(x, vec![scale; channels], vec![shift; channels]);
        node.circuit(result)
    }
}

//! Transpositions, and channels that become blocks of pixels.

use dnw_circuit::{CircuitError, ValueId};

use super::importer::Importer;
use super::layout::channels_last;
use super::reshapes::permutation;
use super::shapes::{places, strides};
use super::values::Maps;
use crate::ImportError;
use crate::node::Node;

impl Importer {
    pub fn transpose(&mut self, node: &Node) -> Result<Maps, ImportError> {
        let given = self.maps(node, 0)?;
        let rank = given.dims.len();
        let order = permutation(node, rank)?;
        let order: Vec<usize> = order
            .iter()
            .map(|&axis| self.first_axis(&given, axis))
            .collect();
        let maps = given.first();
        let plain = self.plain(&maps);
        let value = node.circuit(plain)?;
        let maps = Maps::new(value, maps.dims);
        let axes = self.channel_axes(value, &maps.dims);
        let is_alone = maps.dims.first() == Some(&1)
            && maps.dims.get(1) == Some(&self.circuit.shape(value)[0]);
        let to_last: Vec<usize> = channels_last(&(0..rank).collect::<Vec<_>>());
        if is_alone && order == to_last {
            return Ok(maps.to_last());
        }
        let dims: Vec<usize> = order.iter().map(|&axis| maps.dims[axis]).collect();
        if let Some(moved) = self.blocks(value, &maps.dims, &order) {
            return Ok(Maps::new(node.circuit(moved)?, dims));
        }
        let own = strides(&maps.dims);
        let numbers: usize = dims.iter().product();
        let pixels = numbers / self.circuit.shape(value)[0];
        let kept = |axes: usize| (axes..order.len()).all(|axis| order[axis] == axis);
        let long = order.iter().copied().filter(|&a| maps.dims[a] > 1);
        match axes.filter(|&axes| kept(axes) && !long.is_sorted()) {
            Some(axes) => {
                let strides: Vec<usize> = order[..axes].iter().map(|&a| own[a] / pixels).collect();
                let selected = self.circuit.select(value, places(&dims[..axes], &strides));
                Ok(Maps::new(node.circuit(selected)?, dims))
            }
            None => self.permuted(node, &maps, &order),
        }
    }

    /// A transposition between two reshapes that turns blocks of pixels into channels, or channels into blocks: PyTorch's `pixel_unshuffle`
    /// and `pixel_shuffle`, as its exporters write them.
    fn blocks(
        &mut self,
        value: ValueId,
        dims: &[usize],
        order: &[usize],
    ) -> Option<Result<ValueId, CircuitError>> {
        let shape = self.circuit.shape(value);
        match (dims, order) {
            (&[1, c, h, side, w, same], [0, 1, 3, 5, 2, 4])
                if side == same && shape == [c, h * side, w * side] =>
            {
                Some(self.circuit.fold(value, side))
            }
            (&[1, c, side, same, h, w], [0, 1, 4, 2, 5, 3])
                if side == same && shape == [c * side * side, h, w] =>
            {
                Some(self.circuit.unfold(value, side))
            }
            _ => None,
        }
    }

    pub fn depth_to_space(&mut self, node: &Node) -> Result<Maps, ImportError> {
        let maps = self.maps(node, 0)?;
        let mut x = self.as_image(node, &maps)?;
        let side = usize::try_from(node.int("blocksize").unwrap_or(0)).unwrap_or(0);
        let area = side.saturating_mul(side).max(1);
        let channels = self.circuit.shape(x)[0];
        if node.text("mode").unwrap_or("DCR") == "DCR" {
            // The channels of one place of the block together; circuits have those of one channel.
            let targets = channels / area;
            let order = (0..targets * area).map(|at| at % area * targets + at / area);
            let ordered = self.circuit.select(x, order);
            x = node.circuit(ordered)?;
        }
        let unfolded = self.circuit.unfold(x, side);
        Ok(self.image_maps(node.circuit(unfolded)?))
    }
}

//! Transpositions, and channels that become blocks of pixels.

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

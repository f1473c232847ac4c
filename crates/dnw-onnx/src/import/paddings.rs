//! Paddings, which the next node takes over if it can.

use dnw_circuit::Taps;

use super::importer::Importer;
use super::shapes::axis;
use super::values::{Maps, Padding};
use crate::ImportError;
use crate::node::Node;

/// The rows or columns that a padded axis repeats; `None` if the mode is not known or reflects what does not exist.
fn around(mode: &str, [before, after]: [usize; 2], size: usize) -> Option<Taps> {
    let last = size - 1;
    if mode == "reflect" && before.max(after) > last {
        return None;
    }
    let place = |at: usize| match mode {
        "edge" => Some(at.saturating_sub(before).min(last)),
        "wrap" => Some((at + before * last) % size),
        "reflect" if at < before => Some(before - at),
        "reflect" if at > before + last => Some(last - (at - before - last)),
        "reflect" => Some(at - before),
        _ => None,
    };
    let places = (0..before + size + after).map(place);
    places.collect::<Option<Vec<_>>>().map(Taps::of)
}

/// The largest padding on a side.
const MOST_PADDING: usize = 1 << 14;

impl Importer {
    pub fn pad(&mut self, node: &Node) -> Result<Maps, ImportError> {
        let maps = self.maps(node, 0)?;
        let mode = node.text("mode").unwrap_or("constant");
        let rank = maps.dims.len();
        let pads = match node.ints("pads") {
            Some(pads) => pads.to_vec(),
            None => {
                let pads = self.known(node, 1, "its padding")?;
                pads.as_ints().unwrap_or_default().to_vec()
            }
        };
        let value = match node.input(2) {
            None => node.float("value").unwrap_or(0.0),
            Some(_) => match self.known(node, 2, "its value")?.to_floats()[..] {
                [value] => value.max(f32::MIN),
                _ => return Err(node.invalid("its value is not one number")),
            },
        };
        let axes: Vec<usize> = match node.input(3) {
            None => (0..rank).collect(),
            Some(_) => {
                let axes = self.known(node, 3, "its list of axes")?;
                let axes = axes.as_ints().unwrap_or_default().to_vec();
                axes.iter().filter_map(|&a| axis(a, rank)).collect()
            }
        };
        if pads.len() != 2 * axes.len() || !value.is_finite() {
            return Err(node.invalid(format!("its padding is {pads:?} of {value}")));
        }
        let mut sides = vec![[0i64; 2]; rank];
        for (at, &axis) in axes.iter().enumerate() {
            sides[axis] = [pads[at], pads[at + axes.len()]];
        }
        // Negative paddings first: they are crops.
        let mut maps = maps;
        for (axis, side) in sides.iter().enumerate() {
            let [before, after] = side.map(|side| side.min(0).unsigned_abs() as usize);
            if before + after > 0 {
                let size = maps.dims[axis];
                let left: Vec<usize> = (before..size.saturating_sub(after)).collect();
                maps = self.take(node, &maps, axis, &left)?;
            }
        }
        let sides: Vec<[usize; 2]> = sides
            .iter()
            .map(|side| side.map(|side| usize::try_from(side).unwrap_or(0)))
            .collect();
        if sides.iter().flatten().any(|&side| side > MOST_PADDING) {
            return Err(node.invalid(format!("its padding is {pads:?}")));
        }
        if sides.iter().all(|side| *side == [0, 0]) {
            return Ok(maps);
        }
        if rank != 4 || sides[0] != [0, 0] {
            return Err(node.unsupported(
                format!("it pads the shape {:?}", maps.dims),
                "paddings of images are supported",
            ));
        }
        let mut x = self.as_image(node, &maps)?;
        let [_, height, width] = self.circuit.shape(x);
        if mode != "constant" {
            let taps = [(sides[2], height), (sides[3], width)]
                .map(|(side, size)| around(mode, side, size));
            let ([Some(rows), Some(columns)], [0, 0]) = (taps, sides[1]) else {
                return Err(node.unsupported(
                    format!("it pads by {pads:?} with the mode `{mode}`"),
                    "paddings of images with `constant`, `edge`, `wrap` and, by less than their size, `reflect` are supported",
                ));
            };
            let padded = self.circuit.resample(x, rows, columns);
            let padded = node.circuit(padded)?;
            return Ok(self.image_maps(padded));
        }
        if sides[1] != [0, 0] {
            let mut parts = vec![x];
            for (at, channels) in [
                (0, sides[1][0]),
                (parts.len() + sides[1][0].min(1), sides[1][1]),
            ] {
                if channels > 0 {
                    let shape = [channels, height, width];
                    let numbers = crate::constant::count(&shape);
                    let numbers =
                        numbers.ok_or_else(|| node.invalid("its padding is too large"))?;
                    let constant = vec![f64::from(value); numbers];
                    let constant = self.circuit.constant(shape, constant);
                    parts.insert(at.min(parts.len()), node.circuit(constant)?);
                }
            }
            let joined = self.circuit.concat(&parts);
            x = node.circuit(joined)?;
        }
        let mut dims = maps.dims.clone();
        for (size, side) in dims.iter_mut().zip(&sides) {
            *size += side[0] + side[1];
        }
        let sides = [sides[2], sides[3]];
        let padding = (sides != [[0; 2]; 2]).then_some(Padding { sides, value });
        Ok(Maps {
            value: x,
            dims,
            padding,
            last: false,
        })
    }
}

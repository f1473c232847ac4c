//! Reshapes and transpositions.

use super::importer::Importer;
use super::shapes::axis;
use super::values::Maps;
use crate::ImportError;
use crate::node::Node;

/// The most dimensions of a value.
pub const MOST_AXES: usize = 64;

impl Importer {
    pub fn reshape(&mut self, node: &Node) -> Result<Maps, ImportError> {
        let mut maps = self.maps(node, 0)?;
        let dims = self.new_dims(node, &maps.dims)?;
        if maps.last {
            // Only the pixels may get another shape, else the numbers move.
            if dims.first() == Some(&1) && dims.last() == maps.dims.last() && dims.len() > 2 {
                return Ok(Maps { dims, ..maps });
            }
            let moved = self.in_memory_order(&maps);
            maps = node.circuit(moved)?;
        }
        // Not as a vector: a second reshape may go back to feature maps.
        let padded = self.padded(&maps);
        let value = node.circuit(padded)?;
        let numbers = |dims: &[usize]| dims.iter().try_fold(1usize, |a, &b| a.checked_mul(b));
        if numbers(&dims) != numbers(&maps.dims) {
            let what = format!(
                "feature maps of the shape {:?}, for a batch of one, cannot have the shape {dims:?}",
                maps.dims
            );
            return Err(match self.batch {
                1 => node.invalid(what),
                _ => node.unsupported(
                    what,
                    "export the model for one image, or with an open batch",
                ),
            });
        }
        Ok(Maps::new(value, dims))
    }

    /// The dimensions after a reshape.
    pub fn new_dims(&self, node: &Node, dims: &[usize]) -> Result<Vec<usize>, ImportError> {
        let rank = dims.len();
        let ints = |at: usize, name: &str| match node.ints(name) {
            Some(ints) => Ok(Some(ints.to_vec())),
            None if node.input(at).is_none() => Ok(None),
            None => {
                let ints = self.known(node, at, "its shape or list of axes")?;
                Ok(Some(ints.as_ints().unwrap_or_default().to_vec()))
            }
        };
        let bad =
            |axes: &[i64]| node.invalid(format!("the axes {axes:?} do not fit the shape {dims:?}"));
        match node.operator.as_str() {
            "Flatten" => {
                let given = node.int("axis").unwrap_or(1);
                let split = match given == rank as i64 {
                    true => rank,
                    false => axis(given, rank).ok_or_else(|| bad(&[given]))?,
                };
                Ok(vec![
                    dims[..split].iter().product(),
                    dims[split..].iter().product(),
                ])
            }
            "Reshape" => {
                let shape = ints(1, "shape")?.unwrap_or_default();
                let keeps = node.int("allowzero").unwrap_or(0) == 0;
                // Exporters write the batch of their example into the shapes of feature maps.
                let has_batch = self.batch > 1
                    && dims.first() == Some(&1)
                    && shape.first() == i64::try_from(self.batch).ok().as_ref()
                    && self.constant(node, 0).is_none();
                let mut sizes = Vec::with_capacity(shape.len());
                let (mut open, mut product) = (None, 1usize);
                for (at, &size) in shape.iter().enumerate() {
                    let size = match size {
                        -1 if open.is_none() => {
                            open = Some(at);
                            sizes.push(1);
                            continue;
                        }
                        _ if has_batch && at == 0 => 1,
                        0 if keeps => *dims.get(at).ok_or_else(|| bad(&shape))?,
                        _ => usize::try_from(size).map_err(|_| bad(&shape))?,
                    };
                    product = product.checked_mul(size).ok_or_else(|| bad(&shape))?;
                    sizes.push(size);
                }
                if let Some(at) = open {
                    let all: usize = dims.iter().product();
                    sizes[at] = all.checked_div(product).ok_or_else(|| bad(&shape))?;
                }
                Ok(sizes)
            }
            "Squeeze" => {
                let Some(axes) = ints(1, "axes")? else {
                    return Ok(dims.iter().copied().filter(|&size| size != 1).collect());
                };
                let mut left: Vec<Option<usize>> = dims.iter().copied().map(Some).collect();
                for &given in &axes {
                    let axis = axis(given, rank).filter(|&axis| dims[axis] == 1);
                    left[axis.ok_or_else(|| bad(&axes))?] = None;
                }
                Ok(left.into_iter().flatten().collect())
            }
            _ => {
                let axes = ints(1, "axes")?.unwrap_or_default();
                let rank = rank + axes.len();
                let mut own: Vec<usize> = axes.iter().filter_map(|&a| axis(a, rank)).collect();
                own.sort_unstable();
                own.dedup();
                if own.len() != axes.len() || rank > MOST_AXES {
                    return Err(bad(&axes));
                }
                let mut rest = dims.iter();
                let sizes = (0..rank).map(|axis| match own.contains(&axis) {
                    true => 1,
                    false => rest.next().copied().unwrap_or(1),
                });
                Ok(sizes.collect())
            }
        }
    }
}

/// The order of axes of a transposition.
pub fn permutation(node: &Node, rank: usize) -> Result<Vec<usize>, ImportError> {
    let Some(given) = node.ints("perm") else {
        return Ok((0..rank).rev().collect());
    };
    let order: Vec<usize> = given.iter().filter_map(|&a| axis(a, rank)).collect();
    let mut sorted = order.clone();
    sorted.sort_unstable();
    match sorted.iter().copied().eq(0..rank) && given.len() == rank {
        true => Ok(order),
        false => Err(node.invalid(format!("`perm` is {given:?} for {rank} dimensions"))),
    }
}

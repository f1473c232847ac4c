//! Products with matrices: linear layers of vectors and of pixels.

use dnw_circuit::{Taps, Tensor, Window};

use super::importer::Importer;
use super::shapes::MOST_PLACES;
use super::values::{Maps, finite, weight};
use crate::ImportError;
use crate::node::Node;

impl Importer {
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
        let unsupported = || {
            node.unsupported(
                "it is no product of the image's features with a constant matrix",
                "attention is not supported; export a convolutional network",
            )
        };
        match (self.constant(node, 0), self.constant(node, 1)) {
            (None, Some(_)) => {
                let maps = self.maps(node, 0)?;
                let numbers: usize = maps.dims.iter().product();
                match maps.dims.last() {
                    Some(_) if maps.last => self.linear_of_pixels(node, &maps),
                    Some(&sources) if sources < numbers => self.matrix_of_axis(node, &maps, 1),
                    _ => self.linear(node, &maps, false, 1.0, None),
                }
            }
            (Some(_), None) => {
                let maps = self.maps(node, 1)?;
                match maps.dims.len() {
                    4 if !maps.last => self.matrix_of_axis(node, &maps, 0),
                    _ => Err(unsupported()),
                }
            }
            (None, None) => self.sum_of_pixels(node)?.ok_or_else(unsupported),
            _ => Err(unsupported()),
        }
    }

    /// Sums of pixels `[.., channels, pixels]` with a weight for each pixel `[.., pixels, 1]` that depends on the image, as in global context
    /// blocks; `None` for other products.
    fn sum_of_pixels(&mut self, node: &Node) -> Result<Option<Maps>, ImportError> {
        let (x, by) = (self.maps(node, 0)?, self.maps(node, 1)?);
        let (Some(&pixels), Some(1)) = (x.dims.last(), by.dims.last()) else {
            return Ok(None);
        };
        let numbers = |maps: &Maps| maps.dims.iter().product::<usize>();
        if x.last || by.last || numbers(&by) != pixels || x.dims.len() != by.dims.len() {
            return Ok(None);
        }
        let padded = self.padded(&x);
        let value = node.circuit(padded)?;
        let mut shape = self.circuit.shape(value);
        let channels = numbers(&x) / pixels.max(1);
        if channels > MOST_PLACES {
            return Ok(None);
        }
        if shape[0] != channels {
            shape = [channels, 1, pixels];
        }
        let value = self.as_shape(node, &x, shape)?;
        let weights = self.as_shape(node, &by, [1, shape[1], shape[2]])?;
        let mut sum = || {
            let weights = self
                .circuit
                .select(weights, std::iter::repeat_n(0, channels))?;
            let product = self.circuit.product(value, weights)?;
            let mean = self.circuit.global_average(product)?;
            self.affine(mean, vec![pixels as f32; channels], vec![0.0; channels])
        };
        let sum = sum();
        let mut dims = x.dims.clone();
        if let Some(last) = dims.last_mut() {
            *last = 1;
        }
        Ok(Some(Maps::new(node.circuit(sum)?, dims)))
    }

    /// The product of a constant matrix with the rows of each map (side 0), or of each map's columns with the matrix (side 1).
    fn matrix_of_axis(
        &mut self,
        node: &Node,
        maps: &Maps,
        side: usize,
    ) -> Result<Maps, ImportError> {
        let matrix = self.known(node, side, "its matrix")?;
        let x = self.as_image(node, maps)?;
        let [_, height, width] = self.circuit.shape(x);
        let size = [height, width];
        let (sources, targets) = match (side, &matrix.dims[..]) {
            (0, &[rows, columns]) => (columns, rows),
            (_, &[rows, columns]) => (rows, columns),
            _ => (0, 0),
        };
        let entries = targets.saturating_mul(sources).max(size[0]).max(size[1]);
        if sources != size[side] || targets == 0 || entries > 16 * MOST_PLACES {
            return Err(node.invalid(format!(
                "feature maps of the shape {:?} are multiplied with a matrix of the shape {:?}",
                maps.dims, matrix.dims
            )));
        }
        let values = matrix.to_floats();
        finite(node, "its matrix", &values)?;
        let entry = |target: usize, source: usize| match side {
            0 => values[target * sources + source],
            _ => values[source * targets + target],
        };
        let outputs = (0..targets).map(|target| {
            let own = (0..sources).map(|source| (source, f64::from(entry(target, source))));
            own.filter(|&(_, weight)| weight != 0.0).collect()
        });
        let mut axes = size.map(|size| Taps::of(0..size));
        axes[side] = Taps::new(outputs.collect());
        let [rows, columns] = axes;
        let product = self.circuit.resample(x, rows, columns);
        let mut dims = maps.dims.clone();
        let rank = dims.len();
        dims[rank - 2 + side] = targets;
        Ok(Maps::new(node.circuit(product)?, dims))
    }

    /// A linear layer of each pixel's channels, which come last: a convolution by one tap.
    fn linear_of_pixels(&mut self, node: &Node, maps: &Maps) -> Result<Maps, ImportError> {
        let matrix = self.known(node, 1, "its matrix")?;
        let sources = maps.dims.last().copied().unwrap_or(0);
        let &[rows, targets] = &matrix.dims[..] else {
            return Err(node.unsupported(
                format!("its second input has the shape {:?}", matrix.dims),
                "products with matrices are supported",
            ));
        };
        if rows != sources || matrix.len() == 0 || maps.dims.first() != Some(&1) {
            return Err(node.invalid(format!(
                "an input of the shape {:?} is multiplied with a matrix of {rows} rows",
                maps.dims
            )));
        }
        let given = matrix.to_floats();
        finite(node, "its matrix", &given)?;
        let entry = |target: usize, source: usize| given[source * targets + target];
        let values = (0..targets).flat_map(|t| (0..sources).map(move |s| entry(t, s)));
        let values = values.collect();
        let mut first = maps.first();
        let padded = self.padded(&first);
        let x = node.circuit(padded)?;
        let label = node.input(1).unwrap_or("weight").to_owned();
        let label = self.name(&label);
        let block = self.whole(weight(label, [targets, sources, 1, 1], values));
        let block = node.circuit(block)?;
        let sum = self.circuit.conv(x, block, None, Window::default());
        first.dims[1] = targets;
        Ok(Maps::new(node.circuit(sum)?, first.dims).to_last())
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
}

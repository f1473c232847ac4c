//! Pools.

use dnw_circuit::Pool;

use super::convolutions::padding;
use super::importer::Importer;
use super::values::Maps;
use crate::ImportError;
use crate::node::Node;

/// Where zeros stand for nothing: as small as a maximum never is.
const LEAST: f32 = -1e30;

impl Importer {
    pub fn pool(&mut self, node: &Node) -> Result<Maps, ImportError> {
        let is_max = node.operator == "MaxPool";
        if is_max && node.has_output(1) {
            return Err(node.unsupported(
                "the indices of the maxima are used",
                "only networks that classify are supported",
            ));
        }
        let maps = self.maps(node, 0)?;
        let kernel: [usize; 2] = node.sizes("kernel_shape", [0; 2])?;
        let stride: [usize; 2] = node.sizes("strides", [1; 2])?;
        if node.sizes("dilations", [1; 2])? != [1, 1] {
            return Err(
                node.unsupported("it has a dilation", "pools without dilation are supported")
            );
        }
        if kernel.contains(&0) {
            return Err(node.invalid("it has no kernel"));
        }
        let [_, _, height, width] = maps.dims[..] else {
            return Err(node.unsupported(
                format!("its input has the shape {:?}", maps.dims),
                "pools of images are supported",
            ));
        };
        let size = [height, width];
        let mut sides = padding(node, size, kernel, stride)?;
        let own = sides != [[0; 2]; 2];
        let mut with_padding = node.int("count_include_pad").unwrap_or(0) != 0;
        // A padding before the pool is its own, if it would be that: if every window reaches the map.
        let reaches = |sides: [[usize; 2]; 2]| {
            (0..2).all(|i| sides[i].into_iter().all(|side| side < kernel[i]))
        };
        let (x, inner) = match maps.padding {
            Some(before) if !own && before.value <= LEAST && is_max && reaches(before.sides) => {
                sides = before.sides;
                (maps.value, true)
            }
            Some(before) if !own && before.value == 0.0 && !is_max && reaches(before.sides) => {
                sides = before.sides;
                with_padding = true;
                (maps.value, true)
            }
            _ => (self.as_image(node, &maps)?, false),
        };
        let rounds_up = node.int("ceil_mode").unwrap_or(0) != 0;
        let mut output = [0; 2];
        let mut leaves = false;
        for i in 0..2 {
            // The size of an absorbed padding is in `size` already.
            let around = if inner { 0 } else { sides[i][0] + sides[i][1] };
            let padded = size[i] + around;
            let Some(room) = padded.checked_sub(kernel[i]) else {
                return Err(node.invalid(format!("its window is larger than {size:?}")));
            };
            output[i] = room / stride[i] + 1;
            // As PyTorch: no window starts behind the padded map's content.
            let content = padded - sides[i][1];
            if rounds_up && !room.is_multiple_of(stride[i]) && output[i] * stride[i] < content {
                output[i] += 1;
                leaves = true;
            }
        }
        let is_padded = sides != [[0; 2]; 2];
        let pool = match (is_max, is_padded || leaves, with_padding && is_padded) {
            (true, ..) => Pool::Max,
            (_, false, _) => Pool::Average,
            (_, _, false) => Pool::InnerAverage,
            (_, _, true) if !leaves => Pool::Average,
            _ => {
                return Err(node.unsupported(
                    "an average counts its padding and has windows that reach beyond it",
                    "set `count_include_pad=False` or `ceil_mode=False`",
                ));
            }
        };
        let before = sides.map(|[before, _]| before);
        let pooled = self.circuit.pool(x, pool, kernel, stride, before, output);
        let pooled = node.circuit(pooled)?;
        Ok(self.image_maps(pooled))
    }

    pub fn global_pool(&mut self, node: &Node) -> Result<Maps, ImportError> {
        let maps = self.maps(node, 0)?;
        let &[1, channels, ref pixels @ ..] = &maps.dims[..] else {
            return Err(node.invalid(format!("its input has the shape {:?}", maps.dims)));
        };
        let plain = self.plain(&maps);
        let x = node.circuit(plain)?;
        let sizes = [channels, pixels.iter().product(), 1];
        let pooled = self.reduced(node, x, sizes, node.operator == "GlobalMaxPool")?;
        let mut dims = maps.dims.clone();
        dims[2..].fill(1);
        Ok(Maps::new(pooled, dims))
    }
}

//! Enlarged and shrunk images, and transposed convolutions.

use dnw_circuit::{Taps, Window};

use super::convolutions::padding;
use super::importer::Importer;
use super::values::{Maps, finite, weight};
use crate::ImportError;
use crate::constant::count;
use crate::node::Node;

/// The largest height or width.
const MOST_PIXELS: usize = 1 << 14;

/// Weights of a transposed convolution, zeros included.
const MOST_WEIGHTS: usize = 1 << 20;

impl Importer {
    pub fn resize(&mut self, node: &Node) -> Result<Maps, ImportError> {
        let maps = self.maps(node, 0)?;
        let x = self.as_image(node, &maps)?;
        let rank = maps.dims.len();
        if node.int("antialias").unwrap_or(0) != 0 || node.ints("axes").is_some() {
            return Err(node.unsupported(
                "it has `antialias` or `axes`",
                "resizing without them is supported",
            ));
        }
        // `Upsample` and version 10 have the scales as the second input.
        let is_old = node.operator == "Upsample" || self.opset < 11;
        let [scales_at, sizes_at] = if is_old { [1, 9] } else { [2, 3] };
        let list = |at: usize| match node.input(at) {
            Some(_) => self.known(node, at, "its scales or sizes").map(Some),
            None => Ok(None),
        };
        let scales = match node.floats("scales") {
            Some(scales) => scales.to_vec(),
            None => list(scales_at)?.map_or_else(Vec::new, |list| list.to_floats()),
        };
        let sizes = list(sizes_at)?;
        let sizes = sizes
            .as_ref()
            .and_then(|list| list.as_ints())
            .unwrap_or_default();
        let mut axes = Vec::new();
        for axis in 0..rank {
            let from = maps.dims[axis];
            let (scale, to) = match (sizes.get(axis), scales.get(axis)) {
                (Some(&to), _) => {
                    let to = usize::try_from(to).unwrap_or(0);
                    (to as f32 / from as f32, to)
                }
                (None, Some(&scale)) => (scale, (from as f32 * scale) as usize),
                _ => return Err(node.invalid("it has no scales and no sizes")),
            };
            if !scale.is_finite() || scale <= 0.0 || to == 0 || to > MOST_PIXELS {
                return Err(node.invalid(format!("an axis of {from} becomes {to}")));
            }
            axes.push(Axis { from, to, scale });
        }
        if axes.iter().take(2).any(|axis| axis.from != axis.to) {
            return Err(node.unsupported(
                "it changes the number of channels",
                "height and width can be resized",
            ));
        }
        let rule = Rule::of(node, is_old)?;
        let mut taps = axes[2..].iter().map(|axis| axis.taps(rule));
        // Signals have no height.
        let (rows, columns) = match (taps.next(), taps.next()) {
            (Some(rows), Some(columns)) => (rows, columns),
            (Some(columns), None) => (Taps::of([0]), columns),
            _ => return Ok(maps),
        };
        let resized = self.circuit.resample(x, rows, columns);
        let dims = axes.iter().map(|axis| axis.to).collect();
        Ok(Maps::new(node.circuit(resized)?, dims))
    }

    /// One convolution for each pixel of a block of the stride's size, whose outputs are the channels of depth to space.
    pub fn conv_transpose(&mut self, node: &Node) -> Result<Maps, ImportError> {
        let maps = self.maps(node, 0)?;
        let x = self.as_image(node, &maps)?;
        let constant = self.known(node, 1, "its weight")?;
        let &[sources, targets, kernel_h, kernel_w] = &constant.dims[..] else {
            return Err(node.unsupported(
                format!("its weight has the shape {:?}", constant.dims),
                "transposed convolutions of images, with weights of four dimensions, are supported",
            ));
        };
        let kernel = [kernel_h, kernel_w];
        let stride: [usize; 2] = node.sizes("strides", [1; 2])?;
        let more: [usize; 2] = node.sizes("output_padding", [0; 2])?;
        let given = node.ints("output_shape").is_some()
            || node.text("auto_pad").is_some_and(|pad| pad != "NOTSET");
        if stride[0] != stride[1] || node.sizes("dilations", [1; 2])? != [1, 1] || given {
            return Err(node.unsupported(
                "it has different strides, a dilation, `output_shape` or `auto_pad`",
                "transposed convolutions with one stride and explicit padding are supported",
            ));
        }
        let [channels, height, width] = self.circuit.shape(x);
        let groups = usize::try_from(node.int("group").unwrap_or(1)).unwrap_or(0);
        let side = stride[0];
        if side == 0
            || groups == 0
            || sources != channels
            || !sources.is_multiple_of(groups)
            || constant.len() == 0
        {
            return Err(node.invalid(format!(
                "its input has {channels} channels, and its weight the shape {:?}",
                constant.dims
            )));
        }
        let sides = padding(node, [height, width], kernel, stride)?;
        let mut size = [0; 2];
        for (i, from) in [height, width].into_iter().enumerate() {
            let all = (from - 1) * side + kernel[i] + more[i];
            size[i] = all
                .checked_sub(sides[i][0] + sides[i][1])
                .filter(|&size| size > 0 && all <= MOST_PIXELS)
                .ok_or_else(|| node.invalid("its output is empty or too large"))?;
        }
        // Blocks that the output needs, and the taps of each pixel's convolution.
        let blocks: [usize; 2] = std::array::from_fn(|i| (sides[i][0] + size[i]).div_ceil(side));
        let taps: [usize; 2] = std::array::from_fn(|i| {
            let from = [height, width][i];
            kernel[i]
                .div_ceil(side)
                .max((blocks[i] + 1).saturating_sub(from))
        });
        let values = constant.to_floats();
        finite(node, "its weight", &values)?;
        let (each, area) = (sources / groups, side * side);
        let shape = [groups * targets * area, each, taps[0], taps[1]];
        // A stride that is much larger than the kernel would be mostly zeros.
        let most = (8 * constant.len()).max(MOST_WEIGHTS);
        if count(&shape).is_none_or(|count| count > most) {
            return Err(node.invalid("its weight is too large"));
        }
        let mut weights = Vec::with_capacity(shape.iter().product());
        for target in 0..groups * targets * area {
            let (place, target) = (target % area, target / area);
            let (group, own) = (target / targets, target % targets);
            for source in group * each..(group + 1) * each {
                for tap in 0..taps[0] * taps[1] {
                    let at = [
                        (taps[0] - 1 - tap / taps[1]) * side + place / side,
                        (taps[1] - 1 - tap % taps[1]) * side + place % side,
                    ];
                    let first = (source * targets + own) * kernel[0];
                    weights.push(match at[0] < kernel[0] && at[1] < kernel[1] {
                        true => values[(first + at[0]) * kernel[1] + at[1]],
                        false => 0.0,
                    });
                }
            }
        }
        let label = node.input(1).unwrap_or("weight").to_owned();
        let label = self.name(&label);
        let block = self.whole(weight(label, shape, weights));
        let block = node.circuit(block)?;
        let bias = match self.bias(node, 2, groups * targets)? {
            None => None,
            Some(mut bias) => {
                let rows = bias.rows.iter();
                bias.rows = rows
                    .flat_map(|&row| std::iter::repeat_n(row, area))
                    .collect();
                Some(bias)
            }
        };
        let window = Window {
            padding: taps.map(|taps| taps - 1),
            ..Window::default()
        };
        let sum = self.circuit.grouped_conv(x, block, bias, window, groups);
        let mut sum = node.circuit(sum)?;
        if side > 1 {
            let unfolded = self.circuit.unfold(sum, side);
            sum = node.circuit(unfolded)?;
        }
        let cropped = self.circuit.crop(sum, sides.map(|side| side[0]), size);
        let cropped = node.circuit(cropped)?;
        Ok(self.image_maps(cropped))
    }
}

/// An axis that is resized.
struct Axis {
    from: usize,
    to: usize,
    scale: f32,
}

/// How an output finds its inputs.
#[derive(Clone, Copy)]
struct Rule {
    coordinates: Coordinates,
    mode: Mode,
}

#[derive(Clone, Copy)]
enum Coordinates {
    HalfPixel,
    SymmetricHalfPixel,
    PytorchHalfPixel,
    AlignCorners,
    Asymmetric,
}

#[derive(Clone, Copy)]
enum Mode {
    Nearest(fn(f32) -> f32),
    Linear,
    Cubic { a: f32, inside: bool },
}

impl Rule {
    fn of(node: &Node, is_old: bool) -> Result<Self, ImportError> {
        let unknown = |name: &str, value: &str| {
            node.unsupported(
                format!("`{name}` is `{value}`"),
                "`nearest`, `linear` and `cubic` are supported, with all coordinates but `tf_crop_and_resize`",
            )
        };
        let default = if is_old { "asymmetric" } else { "half_pixel" };
        let given = node
            .text("coordinate_transformation_mode")
            .unwrap_or(default);
        let coordinates = match given {
            "half_pixel" => Coordinates::HalfPixel,
            "half_pixel_symmetric" => Coordinates::SymmetricHalfPixel,
            "pytorch_half_pixel" => Coordinates::PytorchHalfPixel,
            "align_corners" => Coordinates::AlignCorners,
            "asymmetric" => Coordinates::Asymmetric,
            other => return Err(unknown("coordinate_transformation_mode", other)),
        };
        let mode = match node.text("mode").unwrap_or("nearest") {
            "nearest" => {
                let default = if is_old {
                    "floor"
                } else {
                    "round_prefer_floor"
                };
                Mode::Nearest(match node.text("nearest_mode").unwrap_or(default) {
                    "round_prefer_floor" => |x: f32| (x - 0.5).ceil(),
                    "round_prefer_ceil" => |x: f32| (x + 0.5).floor(),
                    "floor" => f32::floor,
                    "ceil" => f32::ceil,
                    other => return Err(unknown("nearest_mode", other)),
                })
            }
            "linear" => Mode::Linear,
            "cubic" => Mode::Cubic {
                a: node.float("cubic_coeff_a").unwrap_or(-0.75),
                inside: node.int("exclude_outside").unwrap_or(0) != 0,
            },
            other => return Err(unknown("mode", other)),
        };
        Ok(Self { coordinates, mode })
    }
}

impl Axis {
    fn taps(&self, rule: Rule) -> Taps {
        let last = self.from - 1;
        // In 32 bits, as other runtimes compute it: which neighbour is the nearest depends on rounding.
        let input = |output: usize| {
            let (x, scale) = (output as f32, self.scale);
            match rule.coordinates {
                Coordinates::PytorchHalfPixel if self.to == 1 => 0.0,
                Coordinates::HalfPixel | Coordinates::PytorchHalfPixel => (x + 0.5) / scale - 0.5,
                Coordinates::SymmetricHalfPixel => {
                    let adjusted = self.to as f32 / (scale * self.from as f32);
                    let offset = self.from as f32 / 2.0 * (1.0 - adjusted);
                    offset + (x + 0.5) / scale - 0.5
                }
                Coordinates::AlignCorners if self.to == 1 => 0.0,
                Coordinates::AlignCorners => x * last as f32 / (self.to - 1) as f32,
                Coordinates::Asymmetric => x / scale,
            }
        };
        let inside = |x: f32| x.clamp(0.0, last as f32) as usize;
        let outputs = (0..self.to).map(|output| {
            let x = input(output);
            match rule.mode {
                Mode::Nearest(round) => vec![(inside(round(x)), 1.0)],
                Mode::Linear => {
                    let x = x.clamp(0.0, last as f32);
                    let first = inside(x.floor());
                    let share = f64::from(x - first as f32);
                    match share > 0.0 {
                        true => vec![(first, 1.0 - share), ((first + 1).min(last), share)],
                        false => vec![(first, 1.0)],
                    }
                }
                Mode::Cubic { a, inside: only } => {
                    let (first, share) = (x.floor(), x - x.floor());
                    let mut taps = Vec::new();
                    for (place, apart) in [
                        (-1.0, 1.0 + share),
                        (0.0, share),
                        (1.0, 1.0 - share),
                        (2.0, 2.0 - share),
                    ] {
                        let outside = first + place < 0.0 || first + place > last as f32;
                        if !(only && outside) {
                            taps.push((inside(first + place), f64::from(cubic(a, apart))));
                        }
                    }
                    let sum: f64 = taps.iter().map(|(_, weight)| weight).sum();
                    let rescaled = taps.iter().map(|&(input, weight)| (input, weight / sum));
                    rescaled.collect()
                }
            }
        });
        Taps::new(outputs.collect())
    }
}

/// The weight of a pixel at this distance.
fn cubic(a: f32, x: f32) -> f32 {
    if x <= 1.0 {
        ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    } else {
        ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a
    }
}

//! Random networks that can be executed: every operation once, after each other, with memory of its own for every result.

use dnw_runtime::plan::*;

use crate::plans::{activation, members};
use crate::random::Random;

struct Memory {
    end: usize,
}

impl Memory {
    fn maps(&mut self, shape: [usize; 3]) -> Maps {
        let maps = Maps::new(self.end, shape);
        self.end += maps.len();
        maps
    }
}

pub fn network(seed: u64) -> Plan {
    let random = &mut Random(seed);
    let mut memory = Memory { end: 0 };
    let side = 4 + 2 * random.below(3);
    let image = memory.maps([1 + random.below(3), side, side]);
    let (pad, sums, mid) = convolution(random, &mut memory, image);
    let window = window([3, 3], 1, 1);
    let wide = memory.maps(mid.shape);
    let depthwise = Depthwise {
        from: mid,
        to: wide,
        window,
        weights: random.weights(mid.shape[0] * 9),
        bias: random.weights(mid.shape[0]),
        relu: true,
    };
    let (pointwise, mixed) = pointwise(random, &mut memory, wide, mid);
    let channels = mixed.shape[0];
    let normed = memory.maps(mixed.shape);
    let norm = NormMaps {
        from: mixed,
        to: normed,
        epsilon: random.one_in(2).then_some(1e-5),
        scale: random.weights(channels),
        shift: random.weights(channels),
        relu: random.one_in(2),
    };
    let constant = memory.maps(mixed.shape);
    let added = memory.maps(mixed.shape);
    let add = AddMaps {
        from: vec![(0.5, normed), (random.weight(1.0), constant)],
        to: added,
        relu: random.one_in(2),
    };
    let flipped = memory.maps(mixed.shape);
    let small = memory.maps([channels, 1, 1]);
    let pool = PoolMaps {
        from: flipped,
        to: small,
        pool: [Pool::Max, Pool::Average, Pool::InnerAverage][random.below(3)],
        window: self::window([mixed.shape[1], mixed.shape[2]], 1, 0),
    };
    let activate = ActivateMaps {
        from: added,
        to: added,
        activation: loop {
            // Not those that are undefined for some numbers.
            let activation = activation(random);
            if !matches!(activation.function, Function::Sqrt | Function::Reciprocal) {
                break activation;
            }
        },
    };
    let scaled = memory.maps(mixed.shape);
    let product = MultiplyMaps {
        from: flipped,
        by: [small, added][random.below(2)],
        to: scaled,
    };
    let shares = memory.maps(mixed.shape);
    let softmax = SoftmaxMaps {
        from: scaled,
        to: shares,
    };
    let even = memory.maps(mixed.shape);
    let pixel_norm = PixelNorm {
        from: shares,
        to: even,
        epsilon: 1e-3,
        scale: random.weights(channels),
        shift: random.weights(channels),
    };
    let [_, height, width] = mixed.shape;
    let large = memory.maps([channels, height + 1, 2 * width]);
    let resample = ResampleMaps {
        from: even,
        to: large,
        rows: taps(random, height + 1, height),
        columns: taps(random, 2 * width, width),
    };
    let side = if channels.is_multiple_of(4) { 2 } else { 1 };
    let [_, height, width] = large.shape;
    let unfolded = memory.maps([channels / side / side, side * height, side * width]);
    let unfold = UnfoldMaps {
        from: large,
        to: unfolded,
        side,
    };
    let output = memory.maps([2 + random.below(5), 1, 1]);
    let ops = [
        Op::Pad(pad),
        Op::Sums(sums),
        Op::Depthwise(depthwise),
        Op::Sums(pointwise),
        Op::Norm(norm),
        Op::Add(add),
        Op::Activation(activate),
        Op::Copy(upside_down(added, flipped)),
        Op::Pool(pool),
        Op::Product(product),
        Op::Softmax(softmax),
        Op::PixelNorm(pixel_norm),
        Op::Resample(resample),
        Op::Unfold(unfold),
        Op::Linear(linear(random, small, output)),
    ];
    let steps = ops.into_iter().enumerate().map(|(i, op)| Step {
        layer: format!("layer{i}"),
        reason: "it is the only one".to_owned(),
        op,
    });
    Plan {
        input: Input {
            name: "network".to_owned(),
            shape: image.shape,
            mean: random.weights(image.shape[0]),
            deviation: vec![0.25; image.shape[0]],
            resize: 2 * side,
            classes: (0..output.shape[0]).map(|i| format!("class {i}")).collect(),
        },
        image,
        output,
        // Vectors of the last maps may be read beyond them.
        arena: memory.end + VECTOR,
        constants: vec![Constant {
            maps: constant,
            values: random.weights(channels * constant.pixels()),
        }],
        steps: steps.collect(),
    }
}

fn taps(random: &mut Random, outputs: usize, size: usize) -> Taps {
    let [starts, inputs] = members(random, outputs, size, 2);
    Taps {
        weights: random.weights(inputs.len()),
        starts,
        inputs,
    }
}

fn window(kernel: [usize; 2], stride: usize, padding: usize) -> Window {
    Window {
        kernel,
        stride: [stride; 2],
        padding: [padding; 2],
        dilation: [1; 2],
    }
}

fn convolution(random: &mut Random, memory: &mut Memory, from: Maps) -> (Pad, Sums, Maps) {
    let [channels, height, width] = from.shape;
    let layout = Padded::new(window([3, 3], 1 + random.below(2), 1), [height, width]).unwrap();
    let to = memory.end;
    let per_channel = layout.rows_per_channel() * layout.row;
    memory.end += channels * per_channel;
    let taps = |channel: usize| (0..9).map(move |t| (channel, t / 3, t % 3));
    let rows = (0..channels)
        .flat_map(taps)
        .map(|(channel, y, x)| (to + channel * per_channel + layout.tap(y, x)) as u32);
    let rows = rows.collect();
    let [height, width] = layout.output;
    let mid = memory.maps([1 + random.below(9), height, width]);
    let sums = sums(random, rows, layout.line, mid, None);
    (Pad { from, to, layout }, sums, mid)
}

fn pointwise(random: &mut Random, memory: &mut Memory, from: Maps, residual: Maps) -> (Sums, Maps) {
    let [channels, height, width] = from.shape;
    let rows = (0..channels).map(|channel| (from.at + channel * from.stride) as u32);
    let same = random.one_in(2);
    let targets = if same { channels } else { 1 + random.below(9) };
    let to = memory.maps([targets, height, width]);
    let residual = same.then_some(residual);
    (sums(random, rows.collect(), width, to, residual), to)
}

fn sums(
    random: &mut Random,
    rows: Vec<u32>,
    line: usize,
    to: Maps,
    residual: Option<Maps>,
) -> Sums {
    let block = [1, BLOCK][random.below(2)];
    // Blocks may have fewer targets, anywhere.
    let full = to.shape[0].div_ceil(block);
    let blocks = full + if block == BLOCK { random.below(3) } else { 0 };
    let mut channels: Vec<u32> = (0..to.shape[0] as u32).collect();
    while channels.len() < blocks * block {
        channels.insert(random.below(channels.len() + 1), u32::MAX);
    }
    let [starts, terms] = members(random, blocks, rows.len(), 3);
    Sums {
        block,
        weights: random.weights(terms.len() * block),
        rows,
        starts,
        terms,
        bias: random.weights(blocks * block),
        map: [to.shape[1], to.shape[2]],
        line,
        channels,
        to,
        residual: residual.map_or_else(Vec::new, |maps| {
            let starts = (0..to.shape[0]).map(|channel| maps.at + channel * maps.stride);
            starts.map(|start| start as u32).collect()
        }),
        relu: random.one_in(2),
        then: None,
    }
}

fn upside_down(from: Maps, to: Maps) -> CopyPixels {
    let [channels, height, width] = from.shape;
    let line = |maps: Maps, channel: usize, y: usize| maps.at + channel * maps.stride + y * width;
    let pieces = (0..channels).flat_map(|channel| {
        (0..height).map(move |y| Piece {
            from: line(from, channel, y) as u32,
            stride: 1,
            to: line(to, channel, height - 1 - y) as u32,
            len: width as u32,
        })
    });
    CopyPixels {
        to,
        pieces: pieces.collect(),
    }
}

fn linear(random: &mut Random, from: Maps, to: Maps) -> Linear {
    let (sources, targets) = (from.shape[0], to.shape[0]);
    let (edges, weights) = if random.one_in(2) {
        let [starts, sources] = members(random, targets, sources, 2);
        let weights = random.weights(sources.len());
        (Some(Edges { starts, sources }), weights)
    } else {
        (None, random.weights(targets * sources))
    };
    Linear {
        from,
        to,
        edges,
        weights,
        bias: random.weights(targets),
        relu: false,
    }
}

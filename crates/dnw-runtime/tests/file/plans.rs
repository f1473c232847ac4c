//! Random plans: every part of a plan with every kind of content that a file has to hold. They need not make sense as networks.

use dnw_runtime::plan::*;

use crate::random::Random;

const LAYERS: [&str; 4] = ["stem", "block.conv", "größer", ""];
const REASONS: [&str; 3] = ["one edge in 20 is real", "dense", "the map has one pixel"];

pub fn plan(seed: u64) -> Plan {
    let random = &mut Random(seed);
    let steps = random.below(7);
    Plan {
        input: input(random),
        image: maps(random),
        output: maps(random),
        arena: random.below(1 << 20),
        constants: (0..random.below(3)).map(|_| constant(random)).collect(),
        steps: (0..steps).map(|_| step(random)).collect(),
    }
}

fn input(random: &mut Random) -> Input {
    let channels = 1 + random.below(3);
    let classes = random.below(12);
    Input {
        name: random.text(&["mnist", "mobilenet", ""]),
        shape: [channels, random.below(300), random.below(300)],
        mean: random.weights(channels),
        deviation: random.weights(channels),
        resize: random.below(300),
        classes: (0..classes)
            .map(|_| random.text(&["cat", "Hündin", ""]))
            .collect(),
    }
}

fn maps(random: &mut Random) -> Maps {
    let shape = [
        1 + random.below(40),
        1 + random.below(9),
        1 + random.below(9),
    ];
    Maps::new(16 * random.below(1000), shape)
}

fn constant(random: &mut Random) -> Constant {
    let maps = maps(random);
    Constant {
        maps,
        values: random.weights(maps.shape[0] * maps.pixels()),
    }
}

fn step(random: &mut Random) -> Step {
    Step {
        layer: random.text(&LAYERS),
        reason: random.text(&REASONS),
        op: op(random),
    }
}

fn op(random: &mut Random) -> Op {
    match random.below(14) {
        0 => Op::Pad(Pad {
            from: maps(random),
            to: random.below(10_000),
            layout: layout(random),
        }),
        1 => Op::Sums(sums(random)),
        2 => Op::Depthwise(depthwise(random)),
        3 => Op::Linear(linear(random)),
        4 => Op::Pool(PoolMaps {
            from: maps(random),
            to: maps(random),
            pool: [Pool::Max, Pool::Average, Pool::InnerAverage][random.below(3)],
            window: window(random),
        }),
        5 => {
            let channels = random.below(20);
            Op::Norm(NormMaps {
                from: maps(random),
                to: maps(random),
                epsilon: random.one_in(2).then_some(1e-5),
                scale: random.weights(channels),
                shift: random.weights(channels),
                relu: random.one_in(2),
            })
        }
        6 => Op::Add(AddMaps {
            from: (0..random.below(4))
                .map(|_| (random.weight(1.0), maps(random)))
                .collect(),
            to: maps(random),
            relu: random.one_in(2),
        }),
        7 => Op::Activation(ActivateMaps {
            from: maps(random),
            to: maps(random),
            activation: activation(random),
        }),
        8 => Op::Product(MultiplyMaps {
            from: maps(random),
            by: maps(random),
            to: maps(random),
        }),
        9 => Op::Softmax(SoftmaxMaps {
            from: maps(random),
            to: maps(random),
        }),
        10 => {
            let channels = random.below(20);
            Op::PixelNorm(PixelNorm {
                from: maps(random),
                to: maps(random),
                epsilon: 1e-5,
                scale: random.weights(channels),
                shift: random.weights(channels),
            })
        }
        11 => Op::Resample(ResampleMaps {
            from: maps(random),
            to: maps(random),
            rows: taps(random),
            columns: taps(random),
        }),
        12 => Op::Unfold(UnfoldMaps {
            from: maps(random),
            to: maps(random),
            side: random.below(4),
        }),
        _ => Op::Copy(CopyPixels {
            to: maps(random),
            pieces: pieces(random),
        }),
    }
}

pub fn activation(random: &mut Random) -> Activation {
    let function = match random.below(11) {
        0 => Function::Clip {
            low: -random.weight(1.0).abs(),
            high: 6.0,
        },
        1 => Function::LeakyRelu {
            slope: random.weight(1.0),
        },
        2 => Function::HardSigmoid {
            slope: random.weight(1.0),
            shift: 0.5,
        },
        3 => Function::Normal,
        4 => Function::Softplus,
        5 => Function::Exp,
        6 => Function::Ln,
        7 => Function::Sqrt,
        8 => Function::Reciprocal,
        9 => Function::Abs,
        _ => Function::Sigmoid,
    };
    Activation {
        function,
        gated: random.one_in(2),
    }
}

fn taps(random: &mut Random) -> Taps {
    let outputs = random.below(12);
    let [starts, inputs] = any_members(random, outputs, 9, 4);
    Taps {
        weights: random.weights(inputs.len()),
        starts,
        inputs,
    }
}

fn window(random: &mut Random) -> Window {
    let mut two = |low: usize, high: usize| [0; 2].map(|_| low + random.below(high - low));
    Window {
        kernel: two(1, 6),
        stride: two(1, 3),
        padding: two(0, 3),
        dilation: two(1, 3),
    }
}

fn layout(random: &mut Random) -> Padded {
    loop {
        let map = [1 + random.below(12), 1 + random.below(12)];
        if let Some(layout) = Padded::new(window(random), map) {
            return layout;
        }
    }
}

fn pieces(random: &mut Random) -> Vec<Piece> {
    let count = random.below(30);
    let (from, to) = (
        random.progression(count, 5000),
        random.progression(count, 5000),
    );
    let stride = 1 + random.below(2) as u32;
    let pieces = from.iter().zip(&to).map(|(&from, &to)| Piece {
        from,
        stride,
        to,
        len: 1 + random.below(3) as u32,
    });
    pieces.collect()
}

/// The members of `groups` groups: starts, and ascending numbers less than `end` in each group.
pub fn members(random: &mut Random, groups: usize, end: usize, one_in: usize) -> [Vec<u32>; 2] {
    let (mut starts, mut members) = (vec![0], Vec::new());
    for _ in 0..groups {
        members.extend((0..end as u32).filter(|_| random.one_in(one_in)));
        starts.push(members.len() as u32);
    }
    [starts, members]
}

/// As [`members`], but now and then what no valid plan has, which must be written and read all the same.
fn any_members(random: &mut Random, groups: usize, end: usize, one_in: usize) -> [Vec<u32>; 2] {
    let [mut starts, mut members] = members(random, groups, end, one_in);
    if random.one_in(8) && !members.is_empty() {
        let at = random.below(members.len());
        members[at] = random.next() as u32;
    }
    if random.one_in(16) {
        let at = random.below(starts.len());
        starts[at] = random.next() as u32;
    }
    [starts, members]
}

fn sums(random: &mut Random) -> Sums {
    let block = [1, BLOCK][random.below(2)];
    let blocks = random.below(8);
    let sources = 1 + random.below(60);
    let one_in = 1 + random.below(20);
    let [starts, terms] = any_members(random, blocks, sources, one_in);
    let mut channels = random.progression(blocks * block, 64);
    if let Some(last) = channels.last_mut() {
        *last = u32::MAX;
    }
    Sums {
        block,
        rows: random.progression(sources, 1 << 20),
        weights: random.weights(terms.len() * block),
        starts,
        terms,
        bias: random.weights(blocks * block),
        map: [random.below(9), random.below(9)],
        line: random.below(20),
        channels,
        to: maps(random),
        residual: if random.one_in(2) {
            random.progression(blocks * block, 1 << 20)
        } else {
            vec![]
        },
        relu: random.one_in(2),
        then: random.one_in(2).then(|| kernels(random)),
    }
}

fn kernels(random: &mut Random) -> Kernels {
    let targets = random.below(20);
    let window = window(random);
    Kernels {
        window,
        weights: random.weights(targets * window.kernel[0] * window.kernel[1]),
        bias: random.weights(targets),
        relu: random.one_in(2),
    }
}

fn depthwise(random: &mut Random) -> Depthwise {
    let channels = random.below(20);
    let window = window(random);
    Depthwise {
        from: maps(random),
        to: maps(random),
        window,
        weights: random.weights(channels * window.kernel[0] * window.kernel[1]),
        bias: random.weights(channels),
        relu: random.one_in(2),
    }
}

fn linear(random: &mut Random) -> Linear {
    let (targets, sources) = (random.below(12), random.below(40));
    let one_in = 1 + random.below(10);
    let (edges, weights) = if random.one_in(2) {
        let [starts, sources] = any_members(random, targets, sources, one_in);
        let weights = random.weights(sources.len());
        (Some(Edges { starts, sources }), weights)
    } else {
        (None, random.weights(targets * sources))
    };
    Linear {
        from: maps(random),
        to: maps(random),
        edges,
        weights,
        bias: random.weights(targets),
        relu: random.one_in(2),
    }
}

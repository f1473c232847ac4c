//! How large files are.

use dnw_runtime::file::{PER_BYTE, Precision, read, write};
use dnw_runtime::plan::*;

use crate::live_memory::most_during;
use crate::random::Random;
use crate::round_trip::only;
use crate::sums;

/// A layer of which one edge in `one_in` is real: `sources` maps with `taps` taps each, whose targets were put into another order.
fn sparse(random: &mut Random, [sources, targets]: [usize; 2], taps: usize, one_in: usize) -> Op {
    let rows = (0..sources as u32).flat_map(|source| {
        (0..taps as u32).map(move |tap| 4096 + source * 1024 + tap / 3 * 32 + tap % 3)
    });
    let (mut starts, mut terms) = (vec![0], Vec::new());
    for _ in 0..targets {
        terms.extend((0..(sources * taps) as u32).filter(|_| random.one_in(one_in)));
        starts.push(terms.len() as u32);
    }
    let mut channels: Vec<u32> = (0..targets as u32).collect();
    for i in (1..targets).rev() {
        channels.swap(i, random.below(i + 1));
    }
    Op::Sums(Sums {
        block: 1,
        rows: rows.collect(),
        weights: random.weights(terms.len()),
        starts,
        terms,
        bias: random.weights(targets),
        map: [28, 28],
        line: 32,
        channels,
        to: Maps::new(1 << 20, [targets, 28, 28]),
        residual: vec![],
        relu: true,
        then: None,
    })
}

fn dense(random: &mut Random, [sources, targets]: [usize; 2]) -> Op {
    Op::Linear(Linear {
        from: Maps::new(0, [sources, 1, 1]),
        to: Maps::new(4096, [targets, 1, 1]),
        edges: None,
        weights: random.weights(sources * targets),
        bias: random.weights(targets),
        relu: false,
    })
}

fn depthwise(random: &mut Random, channels: usize) -> Op {
    let maps = Maps::new(0, [channels, 28, 28]);
    Op::Depthwise(Depthwise {
        from: maps,
        to: maps,
        window: Window {
            kernel: [3, 3],
            stride: [1, 1],
            padding: [1, 1],
            dilation: [1, 1],
        },
        weights: random.weights(channels * 9),
        bias: random.weights(channels),
        relu: true,
    })
}

fn network(ops: Vec<Op>) -> Plan {
    let mut plan = only(ops[0].clone());
    plan.steps = ops
        .into_iter()
        .enumerate()
        .map(|(i, op)| Step {
            layer: format!("stage{}.block{}.convolution", i / 4, i % 4),
            reason: format!("one edge in {} is real", 18 + i % 5),
            op,
        })
        .collect();
    plan
}

/// Bytes of the numbers of all weights and biases: what a file cannot do without.
fn numbers(plan: &Plan) -> usize {
    let of = |op: &Op| match op {
        Op::Sums(sums) => sums.weights.len() + sums.bias.len(),
        Op::Depthwise(depthwise) => depthwise.weights.len() + depthwise.bias.len(),
        Op::Linear(linear) => linear.weights.len() + linear.bias.len(),
        _ => 0,
    };
    plan.steps.iter().map(|step| 4 * of(&step.op)).sum()
}

#[test]
fn a_network_of_one_edge_in_twenty_takes_at_most_a_quarter_more_than_its_weights() {
    let random = &mut Random(5);
    let plan = network(vec![
        sparse(random, [64, 64], 9, 20),
        sparse(random, [128, 128], 9, 20),
        sparse(random, [256, 512], 1, 20),
        sparse(random, [512, 512], 1, 20),
        sparse(random, [512, 256], 1, 50),
    ]);
    let file = write(&plan, Precision::F32);
    assert_eq!(read(&file).as_ref(), Ok(&plan));
    let ratio = file.len() as f64 / numbers(&plan) as f64;
    assert!((1.0..=1.25).contains(&ratio), "{ratio}");
}

#[test]
fn a_mobilenet_keeps_the_bound_and_has_a_quarter_of_it_in_eight_bits() {
    let random = &mut Random(6);
    let widths = [
        [32, 64],
        [64, 128],
        [128, 128],
        [128, 256],
        [256, 256],
        [256, 512],
        [512, 512],
        [512, 512],
        [512, 512],
        [512, 512],
        [512, 512],
        [512, 1024],
        [1024, 1024],
    ];
    let mut ops: Vec<Op> = widths
        .into_iter()
        .flat_map(|width| [depthwise(random, width[0]), sparse(random, width, 1, 15)])
        .collect();
    ops.push(dense(random, [1024, 1000]));
    let plan = network(ops);
    let bound = 1.25 * numbers(&plan) as f64;
    let sizes = [Precision::F32, Precision::F16, Precision::Int8]
        .map(|precision| write(&plan, precision).len() as f64);
    assert!(sizes[0] <= bound, "{sizes:?}, at most {bound}");
    assert!(sizes[1] <= bound / 2.0, "{sizes:?}, at most {bound}");
    assert!(sizes[2] <= bound / 4.0, "{sizes:?}, at most {bound}");
}

#[test]
fn the_rows_of_a_convolution_take_a_few_bytes() {
    let rows = |sources: u32| -> usize {
        let taps = |source| (0..9).map(move |tap| 512 + source * 1024 + tap / 3 * 32 + tap % 3);
        let plan = only(Op::Sums(Sums {
            rows: (0..sources).flat_map(taps).collect(),
            ..sums::empty_sums()
        }));
        write(&plan, Precision::F32).len()
    };
    assert!(rows(512) <= rows(0) + 32, "{} bytes", rows(512) - rows(0));
}

#[test]
fn reading_allocates_twelve_bytes_for_each_byte_at_most() {
    let random = &mut Random(7);
    // All edges of blocks of one target are real: one byte for each weight, and one bit for its source.
    let plan = network(vec![sparse(random, [512, 512], 1, 1)]);
    let file = write(&plan, Precision::Int8);
    let (read, memory) = most_during(|| read(&file));
    assert!(read.is_ok());
    let ratio = memory as f64 / file.len() as f64;
    assert!(ratio < PER_BYTE as f64, "{ratio}");
    assert!(ratio > 5.0, "this is not the worst case: {ratio}");
}

//! What rounding the weights does to them.

use dnw_runtime::file::{Precision, read, write};
use dnw_runtime::plan::*;
use proptest::prelude::*;

use crate::random::Random;
use crate::round_trip::only;
use crate::{plans, sums};

/// A dense layer; its weights after a round trip.
fn stored(weights: &[f32], targets: usize, precision: Precision) -> Vec<f32> {
    let plan = only(Op::Linear(Linear {
        from: Maps::default(),
        to: Maps::default(),
        edges: None,
        weights: weights.to_vec(),
        bias: vec![0.123_456_79; targets],
        relu: false,
    }));
    let read = read(&write(&plan, precision)).unwrap();
    let Op::Linear(linear) = &read.steps[0].op else {
        panic!("the operation changed")
    };
    assert_eq!(linear.bias, vec![0.123_456_79; targets]);
    linear.weights.clone()
}

proptest! {
    #[test]
    fn sixteen_bits_keep_eleven_digits(weights in proptest::collection::vec(-65504.0_f32..65504.0, 1..50), shift in 0..30) {
        let weights: Vec<f32> = weights.iter().map(|w| w / 2.0_f32.powi(shift)).collect();
        for (before, after) in weights.iter().zip(stored(&weights, 1, Precision::F16)) {
            let bound = (before.abs() / 2048.0).max(2.0_f32.powi(-25));
            prop_assert!((before - after).abs() <= bound, "{} became {}", before, after);
        }
    }

    #[test]
    fn eight_bits_err_by_half_a_target_s_scale(seed: u64, targets in 1_usize..6, sources in 8_usize..60) {
        let mut random = Random(seed);
        let weights: Vec<f32> = (0..targets)
            .flat_map(|target| {
                let size = 10.0_f32.powi(3 * target as i32 - 6);
                random.weights(sources).into_iter().map(move |w| w * size)
            })
            .collect();
        let after = stored(&weights, targets, Precision::Int8);
        for (before, after) in weights.chunks(sources).zip(after.chunks(sources)) {
            let largest = before.iter().fold(0.0_f32, |most, w| most.max(w.abs()));
            // The scale, the quotient and the product are rounded, each by up to 127 / 2^24 of a step.
            let bound = largest / 127.0 * (0.5 + 3.0 * 127.0 / (1 << 24) as f32);
            for (before, after) in before.iter().zip(after) {
                prop_assert!((before - after).abs() <= bound, "{} became {}", before, after);
            }
        }
    }
}

#[test]
fn halves_of_a_scale_are_rounded_to_even() {
    let weights = [127.0, 0.5, 1.5, 2.5, -0.5, -1.5, 0.4, -126.6];
    let rounded = [127.0, 0.0, 2.0, 2.0, 0.0, -2.0, 0.0, -127.0];
    assert_eq!(stored(&weights, 1, Precision::Int8), rounded);
}

#[test]
fn a_layer_with_a_weight_beyond_sixteen_bits_keeps_32() {
    let mut weights = [0.1, 0.2, 65519.0];
    assert_eq!(stored(&weights, 1, Precision::F16)[2], 65504.0);
    assert_ne!(stored(&weights, 1, Precision::F16)[0], 0.1);
    weights[2] = 65520.0;
    assert_eq!(stored(&weights, 1, Precision::F16), weights);
}

#[test]
fn weights_too_small_for_a_scale_become_zeros() {
    let mut weights = vec![1e-44; 8];
    weights.extend([1.0; 8]);
    let stored = stored(&weights, 2, Precision::Int8);
    assert_eq!(stored[..8], [0.0; 8]);
    assert_eq!(stored[8..], [1.0; 8]);
}

#[test]
fn targets_of_a_block_have_scales_of_their_own() {
    let sizes = [1.0, 1e-3, 1e3, 1e-6];
    let weights: Vec<f32> = (1..=20)
        .flat_map(|i| sizes.map(|size| size * i as f32))
        .collect();
    let plan = only(Op::Sums(Sums {
        block: BLOCK,
        rows: (0..20).collect(),
        starts: vec![0, 20],
        terms: (0..20).collect(),
        weights: weights.clone(),
        bias: vec![0.5; BLOCK],
        line: 4,
        channels: vec![0, 1, 2, 3],
        ..sums::empty_sums()
    }));
    let read = read(&write(&plan, Precision::Int8)).unwrap();
    let Op::Sums(sums) = &read.steps[0].op else {
        panic!("the operation changed")
    };
    for (i, (before, after)) in weights.iter().zip(&sums.weights).enumerate() {
        let bound = sizes[i % 4] * 20.0 / 127.0 / 2.0 * 1.000_01;
        assert!((before - after).abs() <= bound, "{before} became {after}");
    }
    assert_ne!(sums.weights, weights);
}

#[test]
fn everything_but_weights_of_edges_stays_as_it_is() {
    for seed in 0..500 {
        let plan = plans::plan(seed);
        for precision in [Precision::F16, Precision::Int8] {
            let mut read = read(&write(&plan, precision)).unwrap();
            for (step, before) in read.steps.iter_mut().zip(&plan.steps) {
                match (&mut step.op, &before.op) {
                    (Op::Sums(a), Op::Sums(b)) => {
                        a.weights.clone_from(&b.weights);
                        if let (Some(a), Some(b)) = (&mut a.then, &b.then) {
                            a.weights.clone_from(&b.weights);
                        }
                    }
                    (Op::Depthwise(a), Op::Depthwise(b)) => a.weights.clone_from(&b.weights),
                    (Op::Linear(a), Op::Linear(b)) => a.weights.clone_from(&b.weights),
                    _ => {}
                }
            }
            assert_eq!(read, plan);
        }
    }
}

//! Property tests on random circuits.

use dnw_circuit::{
    Circuit, Count, Liveness, Op, Statistics, Tally, ValueId, count, interpret, interpret_counting,
    interpret_with, prune,
};
use proptest::prelude::*;

use crate::random::recipes;

/// The output of every step.
fn trace(circuit: &Circuit, image: &[f32]) -> Vec<Vec<f64>> {
    let mut maps = Vec::new();
    interpret_with(circuit, image, |_, value| maps.push(value.to_vec())).unwrap();
    maps
}

/// The result if `by` is added to all pixels of one channel of one value.
fn disturbed(circuit: &Circuit, image: &[f32], place: (ValueId, usize), by: f64) -> Vec<f64> {
    let mut result = Vec::new();
    interpret_with(circuit, image, |value, maps| {
        if value == place.0 {
            let [_, height, width] = circuit.step(value).shape;
            let map = &mut maps[place.1 * height * width..][..height * width];
            map.iter_mut().for_each(|number| *number += by);
        }
        if value == circuit.output() {
            result = maps.to_vec();
        }
    })
    .unwrap();
    result
}

fn channel(maps: &[f64], channels: usize, channel: usize) -> &[f64] {
    let pixels = maps.len() / channels;
    &maps[channel * pixels..][..pixels]
}

fn close(a: &[f64], b: &[f64]) -> bool {
    let near = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-7 * (1.0 + a.abs());
    a.len() == b.len() && a.iter().zip(b).all(near)
}

fn channels(circuit: &Circuit) -> impl Iterator<Item = (ValueId, usize)> {
    let all = circuit.values();
    all.flat_map(|value| (0..circuit.step(value).shape[0]).map(move |channel| (value, channel)))
}

fn sum_of_rows(count: &Count, view: impl Fn(&dnw_circuit::Views) -> Tally) -> Tally {
    count.rows.iter().fold(Tally::default(), |sum, row| {
        let tally = view(&row.views);
        Tally {
            edges: sum.edges + tally.edges,
            weights: sum.weights + tally.weights,
            norms: sum.norms + tally.norms,
            biases: sum.biases + tally.biases,
            multiply_adds: sum.multiply_adds + tally.multiply_adds,
        }
    })
}

/// The multiply-adds of real edges that no step reads, with the pixels of the first step that reads their tensor.
fn unread(circuit: &Circuit) -> u64 {
    let mut cost = 0;
    for (place, tensor) in circuit.tensors().iter().enumerate() {
        let [_, columns, kernel_h, kernel_w] = tensor.shape();
        let mut first = None;
        let mut read = std::collections::HashSet::new();
        for step in circuit.steps() {
            let (Op::Conv { weight, .. } | Op::Depthwise { weight, .. }) = &step.op else {
                continue;
            };
            if weight.tensor.index() == place {
                first = first.or(Some(step.shape[1] * step.shape[2]));
                let column = |row| weight.columns.iter().map(move |column| (row, *column));
                read.extend(weight.rows.iter().flat_map(|row| column(*row)));
            }
        }
        for entry in (0..tensor.values().len()).filter(|&entry| tensor.is_real(entry)) {
            let place = entry / (kernel_h * kernel_w);
            let known = read.contains(&(place / columns, place % columns));
            cost += if known { 0 } else { first.unwrap_or(0) as u64 };
        }
    }
    cost
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_pruned_circuit_computes_the_same(recipe in recipes(), seed: u64) {
        let circuit = recipe.circuit();
        let image = recipe.image(seed);
        let (all, live) = (interpret(&circuit, &image), interpret(&prune(&circuit), &image));
        let (all, live) = (all.unwrap(), live.unwrap());
        prop_assert!(close(&all, &live), "{all:?} became {live:?}");
    }

    #[test]
    fn the_alive_count_equals_the_multiplications_of_the_pruned_circuit(recipe in recipes()) {
        let circuit = recipe.circuit();
        let pruned = prune(&circuit);
        let alive = count(&circuit).total.alive;
        let (_, executed) = interpret_counting(&pruned, &recipe.image(0)).unwrap();
        prop_assert_eq!(alive.multiply_adds, executed);
        let edges = pruned.tensors().iter().filter(|t| t.kind() == dnw_circuit::Kind::Edges);
        let real = edges.map(|t| (0..t.values().len()).filter(|&entry| t.is_real(entry)).count());
        prop_assert_eq!(alive.edges, real.sum::<usize>() as u64);
    }

    #[test]
    fn a_pruned_circuit_has_no_dead_channels(recipe in recipes()) {
        let circuit = recipe.circuit();
        let pruned = prune(&circuit);
        let live = Liveness::along_paths(&pruned);
        for value in pruned.values() {
            let step = pruned.step(value);
            // The image is never pruned; a softmax needs all its channels; flattened and folded channels share one source; the others concatenate live channels and
            // constants.
            let made_here = !matches!(
                step.op,
                Op::Input
                    | Op::Flatten
                    | Op::Fold(_)
                    | Op::Constant(_)
                    | Op::Concat
                    | Op::Softmax
                    | Op::Reshape
                    | Op::Norm {
                        statistics: Statistics::Pixel,
                        ..
                    }
                    | Op::Unfold(_)
                    | Op::Select(_)
            );
            if made_here {
                prop_assert_eq!(live.alive(value).count(), step.shape[0], "{:?}", step);
            }
        }
        let (before, after) = (count(&circuit).total, count(&pruned).total);
        prop_assert_eq!(before.alive, after.alive);
        prop_assert_eq!(before.alive, after.nominal);
        prop_assert_eq!(before.alive, count(&prune(&pruned)).total.alive);
    }

    #[test]
    fn the_dense_count_equals_the_multiplications_with_every_edge_real(recipe in recipes()) {
        let (_, executed) = interpret_counting(&recipe.complete(), &recipe.image(0)).unwrap();
        prop_assert_eq!(count(&recipe.circuit()).total.dense.multiply_adds, executed);
    }

    #[test]
    fn with_every_weight_wired_the_nominal_count_is_the_multiplications_plus_unread_edges(recipe in recipes()) {
        let circuit = recipe.wired_only();
        let (_, executed) = interpret_counting(&circuit, &recipe.image(0)).unwrap();
        prop_assert_eq!(count(&circuit).total.nominal.multiply_adds, executed + unread(&circuit));
    }

    #[test]
    fn rows_add_up_and_no_view_exceeds_a_larger_one(recipe in recipes()) {
        let circuit = recipe.circuit();
        let count = count(&circuit);
        prop_assert_eq!(sum_of_rows(&count, |views| views.dense), count.total.dense);
        prop_assert_eq!(sum_of_rows(&count, |views| views.nominal), count.total.nominal);
        prop_assert_eq!(sum_of_rows(&count, |views| views.alive), count.total.alive);
        let pairs = [(count.total.alive, count.total.nominal), (count.total.nominal, count.total.dense)];
        for (less, more) in pairs {
            prop_assert!(less.edges <= more.edges && less.weights <= more.weights);
            prop_assert!(less.norms <= more.norms && less.biases <= more.biases);
        }
        let [alive, nominal, dense] = [count.total.alive, count.total.nominal, count.total.dense].map(|t| t.multiply_adds);
        prop_assert!(alive <= nominal && nominal <= dense + unread(&circuit));
    }

    #[test]
    fn channels_without_an_input_are_the_same_for_every_image(recipe in recipes()) {
        let circuit = recipe.circuit();
        let live = Liveness::along_paths(&circuit);
        let (one, other) = (trace(&circuit, &recipe.image(1)), trace(&circuit, &recipe.image(2)));
        for (value, place) in channels(&circuit).filter(|&(value, place)| !live.varies(value)[place]) {
            let of = |maps: &[Vec<f64>]| channel(&maps[value.index()], circuit.step(value).shape[0], place).to_vec();
            prop_assert_eq!(of(&one), of(&other));
        }
    }

    #[test]
    fn the_result_does_not_depend_on_channels_without_an_output(recipe in recipes()) {
        let circuit = recipe.circuit();
        let live = Liveness::along_paths(&circuit);
        let image = recipe.image(1);
        let result = interpret(&circuit, &image).unwrap();
        for place in channels(&circuit).filter(|&(value, place)| !live.used(value)[place]) {
            prop_assert_eq!(&disturbed(&circuit, &image, place, 1e3), &result);
        }
    }

    #[test]
    fn in_a_monotone_circuit_channels_with_an_input_grow_with_the_image(recipe in recipes()) {
        let circuit = recipe.growing();
        let live = Liveness::along_paths(&circuit);
        let image = recipe.image(1);
        let brighter: Vec<f32> = image.iter().map(|pixel| pixel + 1.0).collect();
        let (one, other) = (trace(&circuit, &image), trace(&circuit, &brighter));
        for (value, place) in channels(&circuit) {
            let total = |maps: &[Vec<f64>]| channel(&maps[value.index()], circuit.step(value).shape[0], place).iter().sum::<f64>();
            prop_assert_eq!(total(&other) > total(&one), live.varies(value)[place], "{:?} {}", value, place);
        }
    }

    #[test]
    fn in_a_monotone_circuit_the_result_grows_with_channels_with_an_output(recipe in recipes()) {
        let circuit = recipe.growing();
        let live = Liveness::along_paths(&circuit);
        let image = recipe.image(1);
        let sum = |result: Vec<f64>| result.iter().sum::<f64>();
        let result = sum(interpret(&circuit, &image).unwrap());
        for place in channels(&circuit) {
            let grown = sum(disturbed(&circuit, &image, place, 1.0)) > result;
            prop_assert_eq!(grown, live.used(place.0)[place.1], "{:?}", place);
        }
    }
}

//! Every pass, alone and with all others, on random circuits.

use dnw_circuit::{Circuit, CircuitBuilder, CircuitError, Tensor, Window, interpret};
use dnw_compiler::{Passes, compile};
use dnw_runtime::plan::{Input, Op};
use dnw_runtime::{Model, Session};
use proptest::prelude::*;

use crate::random::recipes;

/// The passes by default, all, none, and each alone.
fn choices() -> Vec<Passes> {
    let none = Passes::none();
    let mut all = none;
    all.by_name().into_iter().for_each(|(_, pass)| *pass = true);
    let mut choices = vec![Passes::default(), all, none];
    for i in 0..Passes::none().by_name().len() {
        let mut one = none;
        *one.by_name()[i].1 = true;
        choices.push(one);
    }
    choices
}

pub fn run(circuit: &Circuit, passes: Passes, threads: usize, images: &[f32]) -> Vec<f32> {
    let model = Model::new(compile(circuit, Input::default(), passes)).expect("a valid plan");
    let mut output = vec![0.0; images.len() / model.image_len() * model.output_len()];
    Session::new(&model, threads)
        .share_steps_from(0)
        .run(images, &mut output)
        .expect("images of the right size");
    output
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn results_are_the_interpreters(recipe in recipes(), seed in any::<u64>(), batch in 1u64..5) {
        let circuit = recipe.circuit();
        let images: Vec<Vec<f32>> = (0..batch).map(|i| recipe.image(seed ^ i)).collect();
        let expected: Vec<f64> = images.iter().flat_map(|image| interpret(&circuit, image).unwrap()).collect();
        let largest = expected.iter().fold(1.0, |a: f64, b| a.max(b.abs()));
        for passes in choices() {
            let found = run(&circuit, passes, 1, &images.concat());
            prop_assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(&expected) {
                let apart = (f64::from(*found) - expected).abs();
                prop_assert!(apart <= 1e-4 * largest, "{} instead of {} with {:?}", found, expected, passes);
            }
        }
    }

    #[test]
    fn threads_do_not_change_the_bits(recipe in recipes(), seed in any::<u64>()) {
        let circuit = recipe.circuit();
        let image = recipe.image(seed);
        let bits = |threads| -> Vec<u32> {
            run(&circuit, Passes::default(), threads, &image).iter().map(|x| x.to_bits()).collect()
        };
        let one = bits(1);
        for threads in [2, 3] {
            prop_assert_eq!(&bits(threads), &one);
        }
    }
}

/// Targets with a tenth of their edges, which no kernel sums several at a time.
#[test]
fn the_order_of_targets_does_not_change_the_bits() {
    let (targets, sources) = (96, 40);
    let real: Vec<bool> = (0..targets * sources)
        .map(|edge| edge * 7919 % 97 % 10 == 0)
        .collect();
    let weights = (0..real.len()).map(|edge| (edge as f32).sin()).collect();
    let network = || -> Result<Circuit, CircuitError> {
        let mut circuit = CircuitBuilder::new([sources, 5, 5])?;
        let edges = Tensor::edges("weight", [targets, sources, 1, 1], weights, real);
        let edges = circuit.tensor(edges)?;
        let weights = circuit.whole(edges);
        let maps = circuit.conv(circuit.input(), weights, None, Window::default())?;
        circuit.finish(maps)
    };
    let circuit = network().expect("a valid network");
    let image: Vec<f32> = (0..25 * sources).map(|i| (i as f32).cos()).collect();
    let mut passes = Passes::default();
    passes.order = false;
    let [ordered, natural] = [Passes::default(), passes].map(|passes| {
        let order: Vec<Vec<u32>> = compile(&circuit, Input::default(), passes)
            .steps
            .into_iter()
            .filter_map(|step| match step.op {
                Op::Sums(sums) => Some(sums.channels),
                _ => None,
            })
            .collect();
        (order, run(&circuit, passes, 1, &image))
    });
    assert_ne!(ordered.0, natural.0, "something was ordered");
    let bits = |output: Vec<f32>| output.into_iter().map(f32::to_bits).collect::<Vec<u32>>();
    assert_eq!(bits(ordered.1), bits(natural.1));
}

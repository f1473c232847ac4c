//! Layers with many edges in each unit compute what the interpreter computes.

use dnw_circuit::interpret;
use dnw_compiler::Passes;
use proptest::prelude::*;

use crate::passes::run;
use crate::units::{UNITS, Unit, Wide};

fn layers() -> impl Strategy<Value = Wide> {
    let unit = prop::sample::select(UNITS.to_vec());
    let sizes = (1usize..12, 1usize..40, 1usize..20, 1usize..20);
    let kernel = prop::sample::select(vec![1usize, 3]);
    (
        unit,
        sizes,
        kernel,
        1usize..3,
        0.02..0.6f64,
        any::<bool>(),
        any::<u64>(),
    )
        .prop_map(
            |(unit, (fours, targets, height, width), kernel, stride, density, residual, seed)| {
                Wide {
                    unit,
                    sources: 16 * fours,
                    targets: if residual { 16 * fours } else { targets },
                    kernel,
                    stride,
                    map: [height, width],
                    density,
                    residual,
                    seed,
                }
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(150) })]

    #[test]
    fn every_unit_computes_what_the_interpreter_computes(layer in layers()) {
        check(layer)?;
    }

    #[test]
    fn long_lines_are_what_the_interpreter_computes(layer in long_lines()) {
        check(layer)?;
    }
}

/// Layers of 3 x 3 whose output has lines of 96 numbers or more: multiples of sixteen are written line by line.
fn long_lines() -> impl Strategy<Value = Wide> {
    let width = prop::sample::select(vec![96usize, 100, 112, 192]);
    let unit = prop::sample::select(UNITS.to_vec());
    let sizes = (1usize..4, 1usize..14, 1usize..4);
    let rest = (0.02..1.0f64, any::<bool>(), any::<u64>());
    (unit, sizes, width, 1usize..3, rest).prop_map(
        |(unit, (fours, targets, height), width, stride, (density, residual, seed))| Wide {
            unit,
            sources: 4 * fours,
            targets: if residual { 4 * fours } else { targets },
            kernel: 3,
            stride,
            map: [height, stride * width],
            density,
            residual,
            seed,
        },
    )
}

fn check(layer: Wide) -> Result<(), TestCaseError> {
    let circuit = layer.circuit().unwrap();
    let image = layer.image();
    let expected = interpret(&circuit, &image).unwrap();
    let largest = expected.iter().fold(1.0, |a: f64, b| a.max(b.abs()));
    let found = run(&circuit, Passes::default(), 1, &image);
    prop_assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(&expected) {
        prop_assert!(
            (f64::from(*found) - expected).abs() <= 1e-4 * largest,
            "{} instead of {}",
            found,
            expected
        );
    }
    for threads in [2, 3] {
        prop_assert_eq!(&run(&circuit, Passes::default(), threads, &image), &found);
    }
    Ok(())
}

/// So that the test above cannot miss them: which layers are summed in which way.
#[test]
fn the_density_of_a_layer_decides_how_its_targets_are_summed() {
    let layer = Wide {
        unit: Unit::FanIn,
        sources: 512,
        targets: 32,
        kernel: 1,
        stride: 1,
        map: [7, 7],
        density: 0.12,
        residual: false,
        seed: 1,
    };
    let operation = |layer: Wide| {
        let plan = dnw_compiler::compile(
            &layer.circuit().unwrap(),
            Default::default(),
            Passes::default(),
        );
        let model = dnw_runtime::Model::new(plan).unwrap();
        model.steps().last().unwrap().1
    };
    let few = Wide {
        density: 0.02,
        ..layer
    };
    assert_eq!(operation(few), "sparse sums");
    // On any processor, because the order of additions depends on it.
    let shared = "sparse sums of four targets";
    let many = Wide {
        density: 0.3,
        ..layer
    };
    assert_eq!(operation(many), shared);
    let overlapping = Wide {
        sources: 64,
        kernel: 3,
        density: 0.17,
        ..layer
    };
    assert_eq!(operation(overlapping), shared);
    let together = match std::env::var("DNW_SIMD").as_deref() {
        Ok("avx2" | "baseline") => "sparse sums",
        _ if cfg!(target_arch = "x86_64") && is_avx512() => "sparse sums of eight targets",
        _ => "sparse sums",
    };
    assert_eq!(operation(layer), together);
}

#[cfg(target_arch = "x86_64")]
fn is_avx512() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vl")
}

#[cfg(not(target_arch = "x86_64"))]
fn is_avx512() -> bool {
    false
}

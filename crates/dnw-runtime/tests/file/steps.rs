//! Steps of plans that would leave the memory of their maps or compute nonsense, one by one.

use dnw_runtime::plan::*;
use dnw_runtime::{Model, Session};

const SHAPE: [usize; 3] = [2, 1, 3];

/// A plan of one step: an image at 0, a map for each channel at 64, the result at 128.
fn plan(op: Op) -> Plan {
    Plan {
        input: Input {
            shape: SHAPE,
            ..Input::default()
        },
        image: Maps::new(0, SHAPE),
        output: Maps::new(128, SHAPE),
        arena: 192,
        constants: vec![Constant {
            maps: Maps::new(64, [2, 1, 1]),
            values: vec![2.0, -1.0],
        }],
        steps: vec![Step {
            layer: "here".to_owned(),
            reason: String::new(),
            op,
        }],
    }
}

fn error(op: Op) -> String {
    Model::new(plan(op))
        .expect_err("it is not valid")
        .to_string()
}

fn run(op: Op) -> Vec<f32> {
    let model = Model::new(plan(op)).expect("it is valid");
    let mut output = vec![0.0; 6];
    let image = [1.0, 2.0, 3.0, -1.0, -2.0, -8.0];
    Session::new(&model, 1).run(&image, &mut output).unwrap();
    output
}

fn activation(from: Maps, to: Maps, function: Function) -> Op {
    Op::Activation(ActivateMaps {
        from,
        to,
        activation: Activation {
            function,
            gated: false,
        },
    })
}

#[test]
fn activations_write_over_their_input_exactly_or_not_at_all() {
    let (image, output) = (Maps::new(0, SHAPE), Maps::new(128, SHAPE));
    let relu6 = Function::Clip {
        low: 0.0,
        high: 2.5,
    };
    assert_eq!(
        run(activation(image, output, relu6)),
        [1.0, 2.0, 2.5, 0.0, 0.0, 0.0]
    );
    assert!(Model::new(plan(activation(image, image, relu6))).is_ok());
    let overlapping = activation(image, Maps::new(16, SHAPE), relu6);
    assert!(error(overlapping).contains("overwrites"));
    assert!(error(activation(image, Maps::new(176, SHAPE), relu6)).contains("leaves"));
    assert!(error(activation(image, Maps::new(128, [2, 3, 1]), relu6)).contains("shape"));
    for function in [
        Function::Clip {
            low: 1.0,
            high: 0.0,
        },
        Function::LeakyRelu { slope: f32::NAN },
        Function::HardSigmoid {
            slope: 1.0,
            shift: f32::INFINITY,
        },
    ] {
        assert!(error(activation(image, output, function)).contains("constants"));
    }
}

#[test]
fn products_have_a_factor_for_each_pixel_or_channel() {
    let (image, output) = (Maps::new(0, SHAPE), Maps::new(128, SHAPE));
    let product = |from, by, to| Op::Product(MultiplyMaps { from, by, to });
    let factors = Maps::new(64, [2, 1, 1]);
    assert_eq!(
        run(product(image, factors, output)),
        [2.0, 4.0, 6.0, 1.0, 2.0, 8.0]
    );
    assert_eq!(
        run(product(image, image, output)),
        [1.0, 4.0, 9.0, 1.0, 4.0, 64.0]
    );
    assert!(error(product(image, Maps::new(64, [1, 1, 1]), output)).contains("shapes"));
    assert!(error(product(image, Maps::new(64, [2, 1, 2]), output)).contains("shapes"));
    assert!(error(product(image, factors, Maps::new(128, [2, 1, 1]))).contains("shapes"));
    // A factor that is overwritten before it is read.
    assert!(error(product(image, image, image)).contains("overwrites"));
    assert!(error(product(image, Maps::new(191, [2, 1, 1]), output)).contains("leaves"));
}

#[test]
fn a_softmax_has_memory_of_its_own() {
    let (image, output) = (Maps::new(0, SHAPE), Maps::new(128, SHAPE));
    let softmax = |from, to| Op::Softmax(SoftmaxMaps { from, to });
    let shares = run(softmax(image, output));
    for pixel in 0..3 {
        assert!((shares[pixel] + shares[3 + pixel] - 1.0).abs() < 1e-6);
    }
    // 1 / (1 + e^-2).
    assert!((shares[0] - 0.880_797).abs() < 1e-6);
    assert!(error(softmax(image, image)).contains("overwrites"));
    assert!(error(softmax(image, Maps::new(128, [1, 2, 3]))).contains("shape"));
}

#[test]
fn every_window_of_a_pool_has_a_pixel() {
    let pool = |kernel, stride, padding, width| {
        Op::Pool(PoolMaps {
            from: Maps::new(0, SHAPE),
            to: Maps::new(128, [2, 1, width]),
            pool: Pool::Max,
            window: Window {
                kernel: [1, kernel],
                stride: [1, stride],
                padding: [0, padding],
                dilation: [1; 2],
            },
        })
    };
    // [., 1], [2, 3], and a third that begins behind the end.
    for valid in [pool(2, 2, 1, 2), pool(2, 2, 0, 2), pool(3, 1, 2, 5)] {
        let mut plan = plan(valid);
        plan.output = Maps::new(128, [2, 1, 1]);
        assert!(Model::new(plan).is_ok());
    }
    assert!(error(pool(2, 2, 1, 3)).contains("no pixel"));
    assert!(error(pool(2, 2, 2, 2)).contains("no pixel"));
    assert!(error(pool(1, usize::MAX, 0, 3)).contains("window"));
    assert!(error(pool(0, 1, 0, 1)).contains("window"));
}

#[test]
fn resampling_reads_rows_and_columns_of_its_maps() {
    let taps = |starts: &[u32], inputs: &[u32]| Taps {
        starts: starts.to_vec(),
        inputs: inputs.to_vec(),
        weights: vec![0.5; inputs.len()],
    };
    let resample = |rows: Taps, columns: Taps| {
        Op::Resample(ResampleMaps {
            from: Maps::new(0, SHAPE),
            to: Maps::new(128, SHAPE),
            rows,
            columns,
        })
    };
    // The sum of columns 2 and 0, column 1 and nothing; each halved twice.
    let row = || taps(&[0, 1], &[0]);
    let sums = run(resample(row(), taps(&[0, 2, 3, 3], &[2, 0, 1])));
    assert_eq!(sums, [1.0, 0.5, 0.0, -2.25, -0.5, 0.0]);
    let columns = || taps(&[0, 1, 2, 3], &[0, 1, 2]);
    assert!(error(resample(row(), taps(&[0, 1, 2, 3], &[0, 3, 1]))).contains("outside"));
    assert!(error(resample(taps(&[0, 1], &[1]), columns())).contains("outside"));
    assert!(error(resample(taps(&[0, 1, 2], &[0, 0]), columns())).contains("counted"));
    assert!(error(resample(row(), taps(&[0, 2, 1, 3], &[0, 1, 2]))).contains("counted"));
    let few = Taps {
        weights: vec![1.0],
        ..columns()
    };
    assert!(error(resample(row(), few)).contains("weights"));
}

#[test]
fn channels_become_blocks_of_pixels_that_fit_them() {
    let unfold = |from: [usize; 3], to: [usize; 3], side| {
        let mut plan = plan(Op::Unfold(UnfoldMaps {
            from: Maps::new(0, from),
            to: Maps::new(128, to),
            side,
        }));
        plan.output = Maps::new(128, [1, 1, 1]);
        Model::new(plan)
            .map(|_| ())
            .map_err(|error| error.to_string())
    };
    assert_eq!(unfold([4, 1, 3], [1, 2, 6], 2), Ok(()));
    for (from, to, side) in [
        ([3, 1, 3], [1, 2, 6], 2),
        ([4, 1, 3], [1, 6, 2], 2),
        ([4, 1, 3], [1, 2, 6], 0),
        ([4, 1, 3], [1, 2, 6], usize::MAX),
    ] {
        assert!(unfold(from, to, side).unwrap_err().contains("blocks"));
    }
}

#[test]
fn pixels_are_normed_over_their_channels() {
    let norm = |channels: usize, epsilon| {
        Op::PixelNorm(PixelNorm {
            from: Maps::new(0, SHAPE),
            to: Maps::new(128, SHAPE),
            epsilon,
            scale: vec![1.0; channels],
            shift: vec![0.5; channels],
        })
    };
    // Means 0, 0, -2.5; deviations 1, 2, 5.5.
    assert_eq!(run(norm(2, 0.0)), [1.5, 1.5, 1.5, -0.5, -0.5, -0.5]);
    assert!(error(norm(3, 0.0)).contains("channels"));
    assert!(error(norm(2, f32::NAN)).contains("finite"));
}

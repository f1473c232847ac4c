//! Numbers of 16 bits.

use super::{Odd, Oddity, RESNET, on_one, on_several, train};
use dnw_train::recipe::Recipe;
use dnw_train::training::{Execution, Precision, Training, TrainingError};

const LOW: [Precision; 3] = [Precision::F16, Precision::Bf16, Precision::Mixed];

fn on_one_in(precision: Precision) -> Execution {
    on_one().with_precision(precision).unwrap()
}

#[test]
fn the_digits_train_to_about_the_same_accuracy_in_every_precision() {
    let short = ["epochs=6", "wiring.density=0.25", "optimizer.warm-up=0.5"];
    let updates = 6 * 81;
    let plain = train(&short, updates, &on_one()).found;
    for precision in LOW {
        let low = train(&short, updates, &on_one_in(precision)).found;
        eprintln!("f32 {}, {precision} {}", plain.accuracy, low.accuracy);
        assert!(
            (low.accuracy - plain.accuracy).abs() < 0.04,
            "{precision}: {} beside {}",
            low.accuracy,
            plain.accuracy
        );
    }
}

#[test]
fn the_first_loss_is_that_of_32_bits_to_the_digits_that_16_have() {
    for changes in [&[][..], &RESNET] {
        let plain = train(changes, 1, &on_one()).updates[0].loss;
        for precision in LOW {
            let low = train(changes, 1, &on_one_in(precision)).updates[0].loss;
            assert!(
                (low - plain).abs() < 0.03 * plain,
                "{precision}: {low}, {plain}"
            );
            assert_ne!(low, plain, "{precision} computes in other numbers");
        }
    }
}

#[test]
fn running_averages_arrive_in_32_bits() {
    // One update, in which they come from the weights that all begin with. After more, an edge that rounding chose is another network.
    let plain = train(&RESNET, 1, &on_one());
    for execution in LOW.map(on_one_in).into_iter().chain([on_several(2)]) {
        let low = train(&RESNET, 1, &execution);
        let mut averages = 0;
        for (path, mine) in low
            .floats
            .iter()
            .filter(|(path, _)| path.contains("running_"))
        {
            let start = if path.ends_with("mean") { 0.0 } else { 1.0 };
            assert!(mine.iter().any(|&value| value != start), "{path} has moved");
            let theirs = &plain.floats[path];
            for (a, b) in mine.iter().zip(theirs) {
                assert!((a - b).abs() < 0.05 * (1.0 + b.abs()), "{path}: {a}, {b}");
            }
            averages += 1;
        }
        assert_eq!(averages, 2 * 20, "of a residual network of 18 layers");
    }
}

#[test]
fn weights_keep_their_32_bits() {
    for precision in LOW {
        let low = train(&[], 2, &on_one_in(precision));
        let weights = low.floats["graph.weight"].iter();
        let is_short = |&&weight: &&f32| weight.to_bits().trailing_zeros() >= 13;
        let short = weights.clone().filter(is_short).count();
        assert!(short < weights.count() / 100, "{precision}: {short}");
    }
}

/// An update whose gradients overflow 16 bits is computed again with half the scale, until they do not.
#[test]
fn the_loss_scale_backs_off_where_gradients_overflow_and_no_update_is_left_out() {
    let recipe = Recipe::named("digits", &[]).unwrap();
    let data = recipe.open_data(None).unwrap();
    let scale_after = |factor: f32| {
        let execution = on_one_in(Precision::F16);
        let device = execution.device();
        let _drawing = super::alone();
        device.seed(0);
        let model = Odd::new(Oddity::Loud(factor), &recipe, device);
        let mut training = Training::begin(model, &recipe, &data, &execution).unwrap();
        assert_eq!(training.loss_scale(), Some(65536.0));
        let mut batches = training.batches().unwrap();
        for update in 1..=3 {
            let batch = batches.next().unwrap().unwrap();
            assert_eq!(training.step(&batch).unwrap().update, update);
            assert_eq!(training.updates_made(), update);
        }
        let weights = training.model.tensors().remove(0).weights;
        assert!(weights.iter().all(|weight| weight.is_finite()));
        training.loss_scale().unwrap()
    };
    let plain = scale_after(1.0);
    assert!(plain >= 256.0, "{plain}");
    // A gradient of about a sixteenth, times 16,384, overflows at 65,504 unless the scale is about 64.
    let loud = scale_after(128.0);
    assert!((8.0..=128.0).contains(&loud), "{loud}");
    // Whatever overflows by itself cannot be helped.
    let execution = on_one_in(Precision::F16);
    let model = Odd::new(Oddity::Loud(4000.0), &recipe, execution.device());
    let mut training = Training::begin(model, &recipe, &data, &execution).unwrap();
    let batch = training.batches().unwrap().next().unwrap().unwrap();
    let before = training.model.tensors().remove(0).weights;
    let error = training.step(&batch).unwrap_err();
    assert!(
        matches!(
            error,
            TrainingError::Overflow {
                what: "a gradient",
                update: 1,
                epoch: 1
            }
        ),
        "{error}"
    );
    assert_eq!(training.model.tensors().remove(0).weights, before);
}

#[cfg(feature = "ndarray")]
#[test]
fn a_device_that_lacks_a_precision_is_refused_by_name() {
    use dnw_device::{Backend, DeviceName, open};
    let ndarray = open(&DeviceName::of(Backend::NdArray)).unwrap();
    let execution = Execution::over(&[super::flex(), ndarray]).unwrap();
    for precision in LOW {
        let refused = execution.clone().with_precision(precision).unwrap_err();
        assert_eq!(
            refused.to_string(),
            format!("the device `ndarray` cannot train in {precision}: it computes in f32")
        );
    }
}

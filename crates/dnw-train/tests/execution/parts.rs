//! Batches in parts, one after the other or on several devices at once.

use super::{LENET, RESNET, in_parts, on_one, on_several, train};
use dnw_train::training::Execution;

/// How far a float may lie from that of whole batches after a few updates, relative to the largest of its tensor. Adding the same
/// numbers of 24 bits in another order leaves about 1e-7 at each update, which momentum and the network itself then spread.
const TOLERANCE: f32 = 2e-5;
const UPDATES: usize = 6;

/// The rules whose wiring could part ways: one that ranks what it has, one that draws at random, one that looks at gradients.
const RULES: [&[&str]; 3] = [
    &["wiring.rule=dnw"],
    &["wiring.rule=set", "wiring.settings.every=2"],
    &["wiring.rule=rigl", "wiring.settings.every=2"],
];

/// Rates from the start on that move weights far, by gradients that nothing clips.
const FAST: [&str; 2] = ["optimizer.warm-up=0", "optimizer.clip-norm=1000.0"];

fn assert_alike(changes: &[&str], execution: &Execution) {
    let changes = &[changes, &FAST].concat();
    let whole = train(changes, UPDATES, &on_one());
    let parts = train(changes, UPDATES, execution);
    let away = parts.away_from(&whole);
    let moved = whole.away_from(&train(changes, 1, &on_one()));
    eprintln!("{changes:?}: {away:e} of {moved}");
    assert!(moved > 100.0 * TOLERANCE, "{changes:?}: {moved}");
    assert!(away < TOLERANCE, "{changes:?}: {away}");
    assert_eq!(parts.wirings, whole.wirings, "{changes:?}");
    for (a, b) in parts.losses().into_iter().zip(whole.losses()) {
        assert!((a - b).abs() < TOLERANCE * b.abs(), "{changes:?}: {a}, {b}");
    }
    let right = |trained: &super::Trained| -> Vec<_> {
        trained.updates.iter().map(|update| update.right).collect()
    };
    assert_eq!(right(&parts), right(&whole));
}

#[test]
fn parts_that_are_whole_batches_give_the_same_bits() {
    let plain = train(&[], UPDATES, &on_one());
    for images in [16, 1000] {
        let parts = train(&[], UPDATES, &in_parts(images));
        assert_eq!(parts.floats, plain.floats);
        assert_eq!(parts.wirings, plain.wirings);
        assert_eq!(parts.losses(), plain.losses());
    }
}

#[test]
fn unequal_parts_of_a_batch_make_the_update_of_the_whole() {
    for rule in RULES {
        assert_alike(rule, &in_parts(5));
        assert_alike(&[rule, &LENET].concat(), &in_parts(5));
    }
}

#[test]
fn devices_that_share_a_batch_make_the_update_of_one() {
    for rule in RULES {
        assert_alike(rule, &on_several(2));
        assert_alike(&[rule, &LENET].concat(), &on_several(3));
    }
    assert_alike(RULES[0], &on_several(2).with_micro_batch(3.try_into().ok()));
}

#[test]
fn the_same_devices_give_the_same_bits_every_time() {
    for changes in [RULES[1], &RESNET] {
        let first = train(changes, UPDATES, &on_several(3));
        let again = train(changes, UPDATES, &on_several(3));
        assert_eq!(again.floats, first.floats);
        assert_eq!(again.wirings, first.wirings);
        assert_eq!(again.losses(), first.losses());
    }
}

/// Batch norms see each device's share by itself. Where all shares are the same images, that is what they see on one device; so
/// the running averages, which are means over the devices, are those of one device too.
#[test]
fn running_averages_are_means_over_devices() {
    let one = train(&[&RESNET[..], &["batch=8"]].concat(), 1, &on_one());
    let means = one
        .floats
        .iter()
        .filter(|(path, _)| path.ends_with("running_mean"));
    assert!(means.clone().count() > 10);
    assert!(
        means.flat_map(|(_, mean)| mean).any(|&mean| mean != 0.0),
        "they moved"
    );
    let two = train(&[&RESNET[..], &["batch=8"]].concat(), 1, &on_several(2));
    // The first norm sees the images through weights that both trainings share, and the mean of two halves' means is the whole's.
    let (a, b) = (
        &one.floats["bn1.running_mean"],
        &two.floats["bn1.running_mean"],
    );
    for (a, b) in a.iter().zip(b) {
        assert!((a - b).abs() < 1e-6 + 1e-4 * a.abs(), "{a}, {b}");
    }
    assert_ne!(one.floats["bn1.running_var"], two.floats["bn1.running_var"]);
}

/// CPU backends round differently, so that copies which updated themselves would part ways; one model's updates cannot.
#[cfg(feature = "ndarray")]
#[test]
fn devices_of_different_backends_share_a_batch() {
    use dnw_device::{Backend, DeviceName, open};
    let ndarray = open(&DeviceName::of(Backend::NdArray)).unwrap();
    let both = Execution::over(&[super::flex(), ndarray]).unwrap();
    for rule in RULES {
        assert_alike(rule, &both);
    }
}

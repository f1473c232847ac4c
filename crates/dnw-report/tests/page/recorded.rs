//! What the page shows is what was recorded: its wiring exactly, its weights within their precision.

use dnw_report::synthetic::{self, Size};
use dnw_report::weights::{Precision, encode};
use dnw_report::{Blob, explorer_page};

use crate::{browser, explorer, silent};

#[test]
fn the_wiring_in_the_page_is_the_recorded_one_at_every_moment() {
    let Some(mut browser) = browser::start() else {
        return;
    };
    let mut page = browser.open(&explorer(&Size::medium()), "", 1280, 900);
    // The budget shrinks, so that the number of real edges differs between updates; seeks go both ways.
    let recording = synthetic::recording(&Size::medium());
    let (changes, _) = dnw_report::history::decode(&recording.layers[0].history.0, 100 * 100);
    let start: u32 = recording.layers[0]
        .initial
        .0
        .iter()
        .map(|byte| byte.count_ones())
        .sum();
    for update in [0, 1500, 3, 2999, 700, 701, 0, 3000] {
        let grown: i64 = changes
            .iter()
            .take_while(|change| change.update <= update)
            .map(|change| change.added.len() as i64 - change.removed.len() as i64)
            .sum();
        page.eval(&format!("dnw.seek({update})"));
        assert_eq!(
            page.number("dnw.state().real"),
            (i64::from(start) + grown) as f64,
            "after update {update}"
        );
    }
    silent(&mut page);
}

#[test]
fn weights_of_either_precision_are_read_in_the_page() {
    let Some(mut browser) = browser::start() else {
        return;
    };
    let wide = synthetic::recording(&Size::small());
    let layer = &wide.layers[0];
    let legal = layer.legal.clone().map_or_else(
        || (0..layer.possible).collect::<Vec<usize>>(),
        |bits| {
            let entries = 0..8 * bits.0.len();
            let is_legal = |entry: &usize| bits.0[entry / 8] >> (entry % 8) & 1 == 1;
            entries.filter(is_legal).collect()
        },
    );
    assert_eq!(layer.weights.0.len(), layer.frames.len() * legal.len() * 2);
    // The last frame, as the recording has it.
    let (words, _) = layer.weights.0.as_chunks::<2>();
    let frames: Vec<Vec<f32>> = words
        .chunks(legal.len())
        .zip(&layer.scale)
        .map(|(frame, scale)| {
            let numbers = frame
                .iter()
                .map(|&word| f32::from(i16::from_le_bytes(word)));
            numbers.map(|number| number / 32767.0 * scale).collect()
        })
        .collect();
    let mut narrow = wide.clone();
    narrow.layers[0].weights = Blob::default();
    for (place, frame) in frames.iter().enumerate() {
        let weights = &mut narrow.layers[0].weights;
        narrow.layers[0].scale[place] = encode(weights, frame, Precision::Eight);
    }
    let scale = f64::from(layer.scale[layer.frames.len() - 1]);
    let last = &frames[layer.frames.len() - 1];
    for (recording, error) in [(&wide, 1e-4), (&narrow, 0.01)] {
        let html = explorer_page(recording).expect("a recording is consistent");
        let mut page = browser.open(&html, "", 1280, 900);
        page.eval(&format!("dnw.seek({})", recording.updates));
        for (place, &entry) in legal.iter().enumerate().step_by(7) {
            let found = page.number(&format!("dnw.weight(0, {entry})"));
            let expected = f64::from(last[place]);
            assert!(
                (found - expected).abs() <= error * scale,
                "{found} {expected}"
            );
        }
        silent(&mut page);
    }
}

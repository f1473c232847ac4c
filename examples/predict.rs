//! Prints the most likely class of a picture, a binary PGM or PPM of the model's size:
//! `cargo run --release -p dnw-runtime --example predict -- MODEL PICTURE`

use std::{env, error::Error, fs};

use dnw_runtime::{Model, Session};

fn main() -> Result<(), Box<dyn Error>> {
    let [model, picture] =
        [1, 2].map(|i| env::args_os().nth(i).ok_or("usage: predict MODEL PICTURE"));
    let (model, picture) = (Model::load(model?)?, fs::read(picture?)?);
    let [channels, height, width] = model.input().shape;
    let kind = if channels == 1 { 5 } else { 6 };
    let header = format!("P{kind}\n{width} {height}\n255\n");
    let bytes = picture.strip_prefix(header.as_bytes());
    let bytes = bytes.filter(|bytes| bytes.len() == model.image_len());
    let bytes = bytes
        .ok_or_else(|| format!("the picture's header is not {header:?}, or it has another size"))?;

    // A picture has a pixel's channels together, an input has a channel's pixels together.
    let pixels = height * width;
    let input = (0..model.image_len()).map(|i| {
        let [mean, deviation] = model.normalisation(i / pixels);
        let byte = bytes[i % pixels * channels + i / pixels];
        (f32::from(byte) / 255.0 - mean) / deviation
    });
    let mut logits = vec![0.0; model.output_len()];
    Session::new(&model, 1).run(&input.collect::<Vec<_>>(), &mut logits)?;

    let top = (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b]));
    let top = top.unwrap_or_default();
    let name = model.input().classes.get(top).cloned();
    println!(
        "{} ({})",
        name.unwrap_or(format!("class {top}")),
        logits[top]
    );
    Ok(())
}

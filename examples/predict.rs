//! `cargo run --release -p dnw-runtime --example predict -- MODEL PICTURE`: the class of a binary PGM or PPM of the model's size.

use dnw_runtime::{Model, Session};
use std::{env, error::Error, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = env::args_os().skip(1);
    let mut file = || args.next().ok_or("usage: predict MODEL PICTURE");
    let (model, picture) = (Model::load(file()?)?, fs::read(file()?)?);
    let [channels, height, width] = model.input().shape;
    let kind = if channels == 1 { 5 } else { 6 };
    let header = format!("P{kind}\n{width} {height}\n255\n");
    let bytes = picture.strip_prefix(header.as_bytes());
    let bytes = bytes.filter(|bytes| bytes.len() == model.image_len());
    let bytes = bytes.ok_or(format!("the picture's header or size is not {header:?}"))?;
    // A picture has a pixel's channels together, an input has a channel's pixels together.
    let input = (0..bytes.len()).map(|i| {
        let (channel, pixel) = (i / (height * width), i % (height * width));
        let [mean, deviation] = model.normalisation(channel);
        (f32::from(bytes[pixel * channels + channel]) / 255.0 - mean) / deviation
    });
    let mut logits = vec![0.0; model.output_len()];
    Session::new(&model, 1).run(&input.collect::<Vec<_>>(), &mut logits)?;
    let top = (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b]));
    let top = top.ok_or("the model has no classes")?;
    println!("{} ({})", model.input().class(top), logits[top]);
    Ok(())
}

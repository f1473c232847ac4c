//! Images per second of a loader alone, without a network behind it.
//!
//! ```sh
//! cargo run --release -p dnw-data --example throughput -- cifar10
//! cargo run --release -p dnw-data --example throughput -- synthetic --threads 2
//! ```
//!
//! The name is that of a data set, read from `DNW_DATA` (else `data`), or `synthetic`: a temporary folder
//! of 500 x 375 JPEGs in the layout of ImageNet. CIFAR-10 is shown shifted and mirrored, ImageNet and the
//! synthetic folder as random resized crops of 224 pixels, and all as in evaluation.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use dnw_data::{self as data, Batches, DataError, Loader, Part, Rng, TrainTransform, Transforms};
use rayon::prelude::*;

/// Each line of the table is measured for about this long.
const MEASURED: Duration = Duration::from_secs(10);
const BATCH: usize = 256;
/// Images in the synthetic folder, and files that differ among them.
const SYNTHETIC: usize = 8192;
const DIFFERENT: usize = 64;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_else(|| "cifar10".to_owned());
    let threads = match (arguments.next().as_deref(), arguments.next()) {
        (Some("--threads"), Some(threads)) => threads.parse()?,
        (None, _) => 2,
        _ => return Err("usage: throughput [NAME [--threads N]]".into()),
    };
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global()?;

    let folder = tempfile::tempdir()?;
    if name == "synthetic" {
        write_synthetic(folder.path())?;
    }
    let begun = Instant::now();
    let mut set = match name.as_str() {
        "synthetic" => data::open("imagenet", Some(folder.path()))?,
        name => data::open(name, None)?,
    };
    if name == "cifar10" {
        let train = TrainTransform::ShiftCrop {
            shift: 4,
            mirror: true,
        };
        let test = set.transforms().test;
        set = set.with_transforms(Transforms { train, test })?;
    }
    let seconds = begun.elapsed().as_secs_f64();
    let images = set.train.len() + set.test.len();
    println!(
        "{name}: {images} images, opened in {seconds:.1} s; {threads} threads, batch {BATCH}\n"
    );
    println!("| what | images/s |\n| --- | ---: |");

    if set.train.size().is_none() {
        let decoding = decoding_rate(&*set.train)?;
        println!("| decoding alone | {decoding:.0} |");
    }
    let loader = Loader::train(&set, BATCH)?.with_threads(threads);
    let training = rate(|epoch| loader.epoch(0, epoch, 0))?;
    println!("| training, {:?} | {training:.0} |", set.transforms().train);
    let loader = Loader::test(&set, BATCH)?.with_threads(threads);
    let evaluation = rate(|_| loader.in_order())?;
    println!(
        "| evaluation, {:?} | {evaluation:.0} |",
        set.transforms().test
    );
    Ok(())
}

/// Images per second over as many epochs as fit into the time.
fn rate(epoch: impl Fn(u64) -> Result<Batches, DataError>) -> Result<f64, DataError> {
    let begun = Instant::now();
    let mut images = 0;
    for number in 0.. {
        for batch in epoch(number)? {
            images += batch?.len();
            if begun.elapsed() > MEASURED {
                return Ok(images as f64 / begun.elapsed().as_secs_f64());
            }
        }
    }
    unreachable!("epochs do not run out")
}

/// Images per second that the same threads decode and throw away.
fn decoding_rate(part: &dyn Part) -> Result<f64, Box<dyn Error>> {
    let begun = Instant::now();
    let mut images = 0;
    while begun.elapsed() < MEASURED {
        let decode = |index| part.picture(index).map(|picture| picture.shape[0]);
        let decoded = (0..part.len()).into_par_iter().map(decode);
        images += decoded.collect::<Result<Vec<_>, _>>()?.len();
    }
    Ok(images as f64 / begun.elapsed().as_secs_f64())
}

/// Photograph-like images: waves of several lengths with a little noise.
fn write_synthetic(root: &Path) -> Result<(), Box<dyn Error>> {
    let (height, width) = (375, 500);
    for index in 0..DIFFERENT {
        let mut rng = Rng::for_order(index as u64, 0);
        let waves: Vec<_> = (0..9)
            .map(|_| (0.1 * rng.unit(), 0.1 * rng.unit()))
            .collect();
        let mut pixels = Vec::with_capacity(3 * height * width);
        for y in 0..height {
            for x in 0..width {
                for colour in waves.chunks(3) {
                    let wave = |&(a, b): &(f64, f64)| (a * x as f64 + b * y as f64).sin();
                    let sum: f64 = colour.iter().map(wave).sum();
                    pixels.push((128.0 + 35.0 * sum + 16.0 * rng.unit()) as u8);
                }
            }
        }
        let file = root.join(format!("{index}.jpg"));
        let mut encoder = jpeg_encoder::Encoder::new_file(&file, 90)?;
        // As most cameras do.
        encoder.set_sampling_factor(jpeg_encoder::SamplingFactor::F_2_2);
        encoder.encode(
            &pixels,
            width as u16,
            height as u16,
            jpeg_encoder::ColorType::Rgb,
        )?;
        // Links make an epoch of many batches out of few files.
        for link in 0..SYNTHETIC / DIFFERENT {
            let part = if link % 2 == 0 { "train" } else { "val" };
            let class = root.join(part).join(["a", "b"][index % 2]);
            fs::create_dir_all(&class)?;
            fs::hard_link(&file, class.join(format!("{index}-{link}.jpg")))?;
        }
    }
    Ok(())
}

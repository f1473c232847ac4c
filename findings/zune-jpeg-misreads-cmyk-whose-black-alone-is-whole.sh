#!/usr/bin/env bash
# A CMYK JPEG may store cyan, magenta and yellow at half the width and only black at the full width: the crate jpeg-encoder writes such files, and
# libjpeg (here in Pillow) reads them. zune-jpeg, which the crate `image` decodes JPEG with, is expected to read them alike, or to refuse them. It
# returns other colours, without an error: most channels are off by tens of 255 levels. It takes the first channel for the one with most pixels.
# With all four channels whole, and with luminance and black whole (YCCK, as Photoshop writes), both agree to three levels.
# A user of dnw meets this with pictures of the web; dnw refuses such files and says what to do.
#
# Installs zune-jpeg, jpeg-encoder and Pillow into a temporary folder.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet Pillow==13.0.0 numpy==2.4.6

mkdir -p "$folder/decode/src"
cat >"$folder/decode/Cargo.toml" <<'TOML'
[package]
name = "decode"
version = "0.0.0"
edition = "2024"

[dependencies]
jpeg-encoder = "=0.7.1"
zune-jpeg = "=0.5.15"
TOML
cat >"$folder/decode/src/main.rs" <<'RUST'
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

fn main() {
    let (width, height) = (64_usize, 48_usize);
    let ink = |i: usize| {
        let (x, y) = (i % width * 255 / width, i / width * 255 / height);
        [x as u8, y as u8, ((x + y) / 2) as u8, (x * y / 255) as u8]
    };
    let inks: Vec<u8> = (0..width * height).flat_map(ink).collect();
    for (name, color, sampling) in [
        ("all-whole", ColorType::Cmyk, SamplingFactor::F_1_1),
        ("luminance-and-black-whole", ColorType::CmykAsYcck, SamplingFactor::F_2_1),
        ("black-alone-whole", ColorType::Cmyk, SamplingFactor::F_2_1),
    ] {
        let mut file = Vec::new();
        let mut encoder = Encoder::new(&mut file, 95);
        encoder.set_sampling_factor(sampling);
        encoder.encode(&inks, width as u16, height as u16, color).unwrap();
        let options = DecoderOptions::default().jpeg_set_out_colorspace(ColorSpace::RGB);
        let decoded = JpegDecoder::new_with_options(ZCursor::new(&file), options).decode().unwrap();
        std::fs::write(format!("{name}.jpg"), &file).unwrap();
        std::fs::write(format!("{name}.rgb"), decoded).unwrap();
    }
}
RUST
cd "$folder"
CARGO_TARGET_DIR="$folder/target" cargo run --quiet --manifest-path decode/Cargo.toml
echo "zune-jpeg 0.5.15, jpeg-encoder 0.7.1, Pillow 13.0.0"
echo "guess: the mean difference of a level from libjpeg's is below 1 for all"
"$folder/venv/bin/python" - <<'PYTHON'
import numpy
from PIL import Image

seen = {}
for name in ["all-whole", "luminance-and-black-whole", "black-alone-whole"]:
    peer = numpy.asarray(Image.open(f"{name}.jpg").convert("RGB")).astype(int)
    ours = numpy.fromfile(f"{name}.rgb", numpy.uint8).reshape(peer.shape).astype(int)
    seen[name] = abs(peer - ours).mean()
print("seen: ", ", ".join(f"{name} {value:.2f}" for name, value in seen.items()))
right, wrong = [seen["all-whole"], seen["luminance-and-black-whole"]], seen["black-alone-whole"]
if max(right) >= 1 or wrong < 20:
    raise SystemExit("the behaviour has changed")
PYTHON

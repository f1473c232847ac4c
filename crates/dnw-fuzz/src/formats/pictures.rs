//! Pictures, through our bounds.

use dnw_data::{Preparation, picture};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

use crate::format::{Format, Outcome};

/// A JPEG of one byte may state 512 pixels; three channels are decoded, then arranged by channel. Rows are decoded in groups of up to 32, so a
/// picture of a single row of 65,535 pixels and four channels takes up to 38 MB (`tests/thin.rs`).
pub const JPEG: Format = Format::new("jpeg", jpegs, read, |bytes| (48 << 20) + 512 * 8 * bytes);

/// Deflate packs 1040 bytes into one.
pub const PNG: Format = Format {
    repair: set_checksums,
    ..Format::new("png", pngs, read, |bytes| (16 << 20) + 1040 * 8 * bytes)
};

fn read(bytes: &[u8]) -> Outcome {
    let Ok(picture) = picture::decode(bytes) else {
        return Outcome::Refused;
    };
    for (channels, resize) in [(1, 0), (3, 9)] {
        let preparation = Preparation::new([channels, 8, 8], &[], &[], resize).expect("valid");
        let mut input = vec![0.0; channels * 64];
        preparation
            .prepare(&picture, &mut input)
            .expect("one or three channels");
    }
    Outcome::Read
}

fn jpegs() -> Vec<Vec<u8>> {
    let mut files = Vec::new();
    for (width, height, sampling, progressive, restart) in [
        (9, 7, SamplingFactor::F_1_1, false, 0),
        (17, 20, SamplingFactor::F_2_2, false, 2),
        (16, 16, SamplingFactor::F_2_2, true, 0),
        (33, 5, SamplingFactor::F_2_1, true, 0),
    ] {
        let pixels: Vec<u8> = (0..3 * width * height)
            .map(|i| (7 * i % 251) as u8)
            .collect();
        for color in [ColorType::Rgb, ColorType::Luma, ColorType::CmykAsYcck] {
            let channels = match color {
                ColorType::Luma => 1,
                ColorType::CmykAsYcck => 4,
                _ => 3,
            };
            let pixels: Vec<u8> = pixels
                .iter()
                .cycle()
                .copied()
                .take(channels * width * height)
                .collect();
            let mut file = Vec::new();
            let mut encoder = Encoder::new(&mut file, 60);
            encoder.set_sampling_factor(sampling);
            encoder.set_progressive(progressive);
            if restart > 0 {
                encoder.set_restart_interval(restart);
            }
            encoder
                .encode(&pixels, width as u16, height as u16, color)
                .expect("memory");
            files.push(file);
        }
    }
    files
}

fn pngs() -> Vec<Vec<u8>> {
    use png::{BitDepth, ColorType};
    let forms = [
        (ColorType::Grayscale, BitDepth::One),
        (ColorType::Grayscale, BitDepth::Eight),
        (ColorType::GrayscaleAlpha, BitDepth::Eight),
        (ColorType::Indexed, BitDepth::Four),
        (ColorType::Rgb, BitDepth::Eight),
        (ColorType::Rgba, BitDepth::Sixteen),
    ];
    let file = |(color, depth): (ColorType, BitDepth)| {
        let mut file = Vec::new();
        let (width, height) = (11_u32, 6_u32);
        let mut encoder = png::Encoder::new(&mut file, width, height);
        encoder.set_color(color);
        encoder.set_depth(depth);
        if color == ColorType::Indexed {
            encoder.set_palette((0..48).collect::<Vec<u8>>());
            encoder.set_trns((0..16).collect::<Vec<u8>>());
        }
        let bits = color.samples() * depth as usize * width as usize;
        let pixels: Vec<u8> = (0..bits.div_ceil(8) * height as usize)
            .map(|i| (5 * i) as u8)
            .collect();
        let mut writer = encoder.write_header().expect("a valid header");
        writer.write_image_data(&pixels).expect("memory");
        writer.finish().expect("memory");
        file
    };
    forms.into_iter().map(file).collect()
}

/// Writes the checksum of each chunk. The one within the compressed pixels is not verified by the decoder.
fn set_checksums(file: &mut [u8]) {
    let mut at = 8;
    while let Some(length) = file.get(at..at + 4) {
        let length = u32::from_be_bytes([length[0], length[1], length[2], length[3]]) as usize;
        let Some(chunk) = file.get(at + 4..(at + 8).saturating_add(length)) else {
            break;
        };
        let sum = rawzip::crc32(chunk).to_be_bytes();
        at += 8 + length;
        let Some(place) = file.get_mut(at..at + 4) else {
            break;
        };
        place.copy_from_slice(&sum);
        at += 4;
    }
}

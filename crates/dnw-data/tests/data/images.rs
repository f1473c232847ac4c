//! Files of images: what they are decoded to, and every way in which they can be wrong.

use dnw_data::ImageError;
use dnw_data::picture::decode;
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use proptest::prelude::*;

use crate::largest_allocation;

const MIB: usize = 1 << 20;

/// A smooth picture, so that JPEG changes it little: `[height, width, 3]`.
fn smooth(height: usize, width: usize) -> Vec<u8> {
    let mut pixels = Vec::new();
    for y in 0..height {
        for x in 0..width {
            pixels.extend([
                (40 + 150 * x / width) as u8,
                (200 - 120 * y / height) as u8,
                90,
            ]);
        }
    }
    pixels
}

/// A JPEG of bytes that come `colour` by pixel.
fn jpeg(
    pixels: &[u8],
    height: usize,
    width: usize,
    colour: ColorType,
    progressive: bool,
) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, 95);
    encoder.set_progressive(progressive);
    encoder.set_sampling_factor(SamplingFactor::F_1_1);
    encoder
        .encode(pixels, width as u16, height as u16, colour)
        .unwrap();
    file
}

fn smooth_jpeg(height: usize, width: usize) -> Vec<u8> {
    jpeg(&smooth(height, width), height, width, ColorType::Rgb, false)
}

fn png_file(
    pixels: &[u8],
    [height, width]: [u32; 2],
    colour: png::ColorType,
    depth: png::BitDepth,
) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(colour);
    encoder.set_depth(depth);
    if colour == png::ColorType::Indexed {
        encoder.set_palette(vec![10, 20, 30, 200, 100, 50]);
    }
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(pixels).unwrap();
    writer.finish().unwrap();
    file
}

/// The largest difference between a decoded file and the picture it was made of, `[height, width, 3]`.
fn difference(file: &[u8], wanted: &[u8], height: usize, width: usize) -> u8 {
    let picture = decode(file).unwrap();
    assert_eq!(picture.shape, [3, height, width]);
    let plane = height * width;
    (0..3 * plane)
        .map(|at| picture.pixels[at].abs_diff(wanted[at % plane * 3 + at / plane]))
        .max()
        .unwrap()
}

#[test]
fn jpegs_of_every_kind_become_red_green_and_blue() {
    let (height, width) = (23, 37);
    let pixels = smooth(height, width);
    for progressive in [false, true] {
        let file = jpeg(&pixels, height, width, ColorType::Rgb, progressive);
        assert!(difference(&file, &pixels, height, width) < 8);
    }
    let grey: Vec<u8> = pixels.chunks(3).map(|pixel| pixel[0]).collect();
    let thrice: Vec<u8> = grey.iter().flat_map(|&value| [value; 3]).collect();
    let file = jpeg(&grey, height, width, ColorType::Luma, false);
    assert!(difference(&file, &thrice, height, width) < 8);

    // The encoder takes ink, from 0 to 255, and writes its complement, as is the custom.
    let inks: Vec<u8> = pixels
        .chunks(3)
        .flat_map(|it| [255 - it[0], 255 - it[1], 255 - it[2], 0])
        .collect();
    for colour in [ColorType::Cmyk, ColorType::CmykAsYcck] {
        let file = jpeg(&inks, height, width, colour, false);
        assert!(difference(&file, &pixels, height, width) < 8);
    }
}

#[test]
fn pngs_of_every_kind_become_red_green_and_blue_exactly() {
    use png::{BitDepth, ColorType};
    let pixels = smooth(5, 4);
    let size = [5, 4];
    let rgb = png_file(&pixels, size, ColorType::Rgb, BitDepth::Eight);
    assert_eq!(difference(&rgb, &pixels, 5, 4), 0);

    let rgba: Vec<u8> = pixels
        .chunks(3)
        .flat_map(|it| [it[0], it[1], it[2], 9])
        .collect();
    let rgba = png_file(&rgba, size, ColorType::Rgba, BitDepth::Eight);
    assert_eq!(difference(&rgba, &pixels, 5, 4), 0);

    let sixteen: Vec<u8> = pixels.iter().flat_map(|&value| [value, 3]).collect();
    let sixteen = png_file(&sixteen, size, ColorType::Rgb, BitDepth::Sixteen);
    assert_eq!(difference(&sixteen, &pixels, 5, 4), 0);

    // The high byte, as of colours. Pillow 13.0.0 clips 16-bit grey to 255 instead (`findings/pillow-clips-16-bit-grey-to-white.sh`).
    let grey = [0, 100, 256, 1000, 20_000, u16::MAX].map(u16::to_be_bytes);
    let file = png_file(
        &grey.concat(),
        [1, 6],
        ColorType::Grayscale,
        BitDepth::Sixteen,
    );
    let high: Vec<u8> = [0, 0, 1, 3, 78, 255]
        .into_iter()
        .flat_map(|value| [value; 3])
        .collect();
    assert_eq!(difference(&file, &high, 1, 6), 0);

    let grey: Vec<u8> = (0..20).map(|value| value * 12).collect();
    let thrice: Vec<u8> = grey.iter().flat_map(|&value| [value; 3]).collect();
    let file = png_file(&grey, size, ColorType::Grayscale, BitDepth::Eight);
    assert_eq!(difference(&file, &thrice, 5, 4), 0);
    let with_alpha: Vec<u8> = grey.iter().flat_map(|&value| [value, 200]).collect();
    let file = png_file(
        &with_alpha,
        size,
        ColorType::GrayscaleAlpha,
        BitDepth::Eight,
    );
    assert_eq!(difference(&file, &thrice, 5, 4), 0);

    // One bit a pixel, into a palette of two colours.
    let file = png_file(&[0b0101_0000], [1, 4], ColorType::Indexed, BitDepth::One);
    let wanted = [10, 20, 30, 200, 100, 50, 10, 20, 30, 200, 100, 50];
    assert_eq!(difference(&file, &wanted, 1, 4), 0);
}

#[test]
fn what_is_no_image_is_refused_by_its_first_bytes() {
    assert!(matches!(decode(&[]), Err(ImageError::Empty)));
    let text = decode(b"<html>not found").unwrap_err().to_string();
    assert!(text.contains("neither a JPEG nor a PNG"), "{text}");
    assert!(text.ends_with("3c 68 74 6d 6c 3e 6e 6f"), "{text}");
    assert!(matches!(decode(b"GIF89a"), Err(ImageError::Kind { .. })));
    assert!(decode(&[0xff, 0xd8, 0xff]).is_err());
    assert!(decode(b"\x89PNG\r\n\x1a\n").is_err());
}

#[test]
fn an_image_that_was_cut_short_is_refused_wherever_it_ends() {
    for progressive in [false, true] {
        let file = jpeg(&smooth(40, 40), 40, 40, ColorType::Rgb, progressive);
        assert!(decode(&file).is_ok());
        for end in 3..file.len() - 1 {
            assert!(decode(&file[..end]).is_err(), "{end} of {}", file.len());
        }
        // What follows the end does no harm.
        assert!(decode(&[&file[..], &[0; 9]].concat()).is_ok());
    }
    let file = png_file(
        &smooth(9, 9),
        [9, 9],
        png::ColorType::Rgb,
        png::BitDepth::Eight,
    );
    for end in 8..file.len() - 12 {
        assert!(decode(&file[..end]).is_err(), "{end} of {}", file.len());
    }
}

/// The same JPEG, with another size in its header.
fn with_size(mut file: Vec<u8>, height: u16, width: u16) -> Vec<u8> {
    let frame = file.windows(2).position(|it| it == [0xff, 0xc0]).unwrap();
    file[frame + 5..][..2].copy_from_slice(&height.to_be_bytes());
    file[frame + 7..][..2].copy_from_slice(&width.to_be_bytes());
    file
}

/// A PNG that is a header for `[height, width]` and nothing much behind it.
fn promising_png(size: [u32; 2]) -> Vec<u8> {
    let honest = png_file(
        &[7],
        [1, 1],
        png::ColorType::Grayscale,
        png::BitDepth::Eight,
    );
    let mut lying = Vec::new();
    let encoder = png::Encoder::new(&mut lying, size[1], size[0]);
    // The header is written at once, the pixels never.
    drop(encoder.write_header().unwrap());
    let header = 8 + 25;
    [&lying[..header], &honest[header..]].concat()
}

#[test]
fn a_size_that_the_file_cannot_hold_takes_no_memory() {
    let jpeg = smooth_jpeg(16, 16);
    let files = [
        with_size(jpeg.clone(), 65_535, 65_535),
        with_size(jpeg.clone(), 8000, 8000),
        promising_png([1 << 30, 1 << 30]),
        promising_png([8000, 8000]),
    ];
    for (index, file) in files.iter().enumerate() {
        let (result, largest) = largest_allocation::during(|| decode(file));
        let error = result.unwrap_err();
        match index % 2 {
            0 => assert!(matches!(error, ImageError::Oversized { .. }), "{error}"),
            _ => assert!(matches!(error, ImageError::Promise { .. }), "{error}"),
        }
        assert!(largest < MIB / 4, "{largest} bytes were asked for");
    }
}

/// Bytes to overwrite.
fn overwrites() -> impl Strategy<Value = Vec<(prop::sample::Index, u8)>> {
    prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(3000) })]

    #[test]
    fn no_damage_makes_the_decoders_panic_or_take_much_memory(
        overwrites in overwrites(),
        kind in 0..4usize,
        keep in any::<prop::sample::Index>(),
        cut in prop::bool::weighted(0.3),
    ) {
        let pixels = smooth(21, 34);
        let mut file = match kind {
            0 => jpeg(&pixels, 21, 34, ColorType::Rgb, false),
            1 => jpeg(&pixels, 21, 34, ColorType::Rgb, true),
            2 => jpeg(&pixels[..21 * 34], 21, 34, ColorType::Luma, false),
            _ => png_file(&pixels, [21, 34], png::ColorType::Rgb, png::BitDepth::Eight),
        };
        for (place, byte) in &overwrites {
            let place = place.index(file.len());
            file[place] = *byte;
        }
        if cut {
            file.truncate(keep.index(file.len()));
        }
        let (result, largest) = largest_allocation::during(|| decode(&file));
        // A byte stands for at most 512 pixels of a JPEG, each of which has two bytes per channel on the way.
        prop_assert!(largest <= 512 * 3 * 4 * file.len() + MIB, "{} of {}", largest, file.len());
        if let Ok(picture) = result {
            prop_assert_eq!(picture.pixels.len(), picture.shape.iter().product::<usize>());
        }
    }
}

/// zune-jpeg 0.5.15 decodes such a file to other colours than libjpeg, and panics at similar ones.
#[test]
fn a_jpeg_whose_first_channel_has_fewer_pixels_than_another_is_refused() {
    let (height, width) = (48, 64);
    let inks = vec![100; 4 * height * width];
    let file = |sampling, colour| {
        let mut file = Vec::new();
        let mut encoder = Encoder::new(&mut file, 95);
        encoder.set_sampling_factor(sampling);
        encoder
            .encode(&inks, width as u16, height as u16, colour)
            .unwrap();
        file
    };
    for sampling in [SamplingFactor::F_2_1, SamplingFactor::F_2_2] {
        // Only black is whole.
        let error = decode(&file(sampling, ColorType::Cmyk)).unwrap_err();
        assert!(matches!(error, ImageError::Sampling), "{error}");
        // Luminance and black are.
        decode(&file(sampling, ColorType::CmykAsYcck)).unwrap();
    }
}

/// png 0.18.1 panics at some of them. Pixels that need no palette are decoded whatever is in it, so that this file is harmless.
#[test]
fn a_png_whose_palette_ends_within_a_colour_is_refused() {
    let file = png_file(
        &smooth(5, 4),
        [5, 4],
        png::ColorType::Rgb,
        png::BitDepth::Eight,
    );
    let mut chunk = b"PLTE".to_vec();
    chunk.extend([7; 49]);
    let mut hash = flate2::Crc::new();
    hash.update(&chunk);
    // After the signature and the header.
    let place = 8 + 25;
    let palette = [&49_u32.to_be_bytes(), &chunk[..], &hash.sum().to_be_bytes()].concat();
    let changed = [&file[..place], &palette, &file[place..]].concat();
    let error = decode(&changed).unwrap_err();
    assert!(matches!(error, ImageError::Palette(49)), "{error}");
    decode(&file).unwrap();
}

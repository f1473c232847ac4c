//! Decoding of images from untrusted files.
//!
//! The format is detected by the first bytes, not by the name: ImageNet has a PNG that is named JPEG. All
//! colour formats (grey, palette, YCbCr, CMYK) are converted to red, green and blue; transparency is dropped.
//! Sizes are limited, and compared with the maximum for the file's length, before pixels are allocated. A
//! damaged JPEG is decoded as far as possible, as in other readers, but one without an end marker was
//! truncated and is an error.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Cursor, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

/// The maximum number of pixels of an image.
pub const MAX_PIXELS: u64 = 1 << 26;
/// The maximum size of an image file in bytes.
pub const MAX_FILE: u64 = 1 << 28;

/// A JPEG needs at least one bit for each block of 8 x 8 pixels, so this is the maximum number of pixels per byte.
const JPEG_PIXELS_PER_BYTE: u64 = 8 * 64;
/// The maximum expansion of deflate, rounded up, with a margin for files of a few bytes.
const DEFLATE_RATIO: u64 = 1040;

const JPEG_START: &[u8] = &[0xff, 0xd8, 0xff];
const PNG_START: &[u8] = b"\x89PNG\r\n\x1a\n";

/// A decoded image.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture<'a> {
    /// Channels, height, width.
    pub shape: [usize; 3],
    /// `[channels, height, width]`, row-major, 0 is black.
    pub pixels: Cow<'a, [u8]>,
}

impl std::fmt::Debug for Picture<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Picture")
            .field("shape", &self.shape)
            .finish_non_exhaustive()
    }
}

/// An image that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("`{}`: {problem}", path.display())]
pub struct BadImage {
    /// The file.
    pub path: PathBuf,
    /// The problem.
    pub problem: ImageError,
}

/// The error of an invalid image.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// The file does not exist or cannot be read.
    #[error("{0}")]
    Io(io::Error),
    /// An empty file.
    #[error("the file is empty")]
    Empty,
    /// A file that is neither a JPEG nor a PNG.
    #[error(
        "it is neither a JPEG nor a PNG: it begins with {}",
        first_bytes(found)
    )]
    Kind {
        /// The first bytes, at most eight.
        found: Vec<u8>,
    },
    /// A file larger than [`MAX_FILE`].
    #[error("the file has {bytes} bytes, more than the {} MiB that are read at most", MAX_FILE >> 20)]
    FileSize {
        /// Its size.
        bytes: u64,
    },
    /// An image of more than [`MAX_PIXELS`].
    #[error("it promises {width}x{height} pixels, more than the {} million that are decoded at most", MAX_PIXELS >> 20)]
    Oversized {
        /// Pixels in a row.
        width: u64,
        /// Rows.
        height: u64,
    },
    /// An image of more pixels than its file can hold.
    #[error("it promises {width}x{height} pixels, which a file of {bytes} bytes cannot hold")]
    Promise {
        /// Pixels in a row.
        width: u64,
        /// Rows.
        height: u64,
        /// Bytes of the file.
        bytes: usize,
    },
    /// A JPEG that does not end.
    #[error("the JPEG was cut short: it has no end")]
    Cut,
    /// A JPEG that cannot be decoded.
    #[error("the JPEG is damaged: {0}")]
    Jpeg(String),
    /// A JPEG whose first channel has fewer pixels than another. The decoder, zune-jpeg 0.5.15, gets wrong colours out of some of them and stops
    /// at others.
    #[error(
        "its first channel has fewer pixels than another, which the decoder gets wrong: save it again as an RGB image"
    )]
    Sampling,
    /// A PNG that cannot be decoded.
    #[error("the PNG is damaged: {0}")]
    Png(png::DecodingError),
    /// A PNG whose palette ends within a colour.
    #[error("the PNG is damaged: its palette has {0} bytes, which are no whole colours")]
    Palette(u32),
    /// A file at which the decoder gave up with a panic.
    #[error("the {0} is damaged in a way that its decoder does not expect")]
    Unexpected(&'static str),
    /// An image that is neither grey nor coloured.
    #[error("it has {found} channels, a picture has 1 or 3")]
    Channels {
        /// Channels of the image.
        found: usize,
    },
    /// An image of another size than the set's.
    #[error("it has {}x{} pixels where {}x{} are needed", found[1], found[0], wanted[1], wanted[0])]
    Size {
        /// Height and width of the image.
        found: [usize; 2],
        /// Height and width that all images must have.
        wanted: [usize; 2],
    },
}

fn first_bytes(bytes: &[u8]) -> String {
    let hexadecimal: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    hexadecimal.join(" ")
}

/// Reads and decodes the image in a file.
///
/// # Errors
/// [`ImageError`] if the file is invalid.
pub fn read(path: &Path) -> Result<Picture<'static>, ImageError> {
    decode(&read_bytes(path)?)
}

fn read_bytes(path: &Path) -> Result<Vec<u8>, ImageError> {
    // Before it is opened, because opening a pipe waits for a writer.
    let metadata = std::fs::metadata(path).map_err(ImageError::Io)?;
    if !metadata.is_file() {
        return Err(ImageError::Io(io::Error::other("it is not a regular file")));
    }
    let bytes = metadata.len();
    if bytes > MAX_FILE {
        return Err(ImageError::FileSize { bytes });
    }
    let file = File::open(path).map_err(ImageError::Io)?;
    let mut content = Vec::with_capacity(bytes as usize);
    // A file may grow while it is read.
    file.take(MAX_FILE)
        .read_to_end(&mut content)
        .map_err(ImageError::Io)?;
    Ok(content)
}

/// Decodes a JPEG or a PNG into three channels: red, green, blue.
///
/// # Errors
/// [`ImageError`] if the file is invalid.
pub fn decode(bytes: &[u8]) -> Result<Picture<'static>, ImageError> {
    if bytes.is_empty() {
        Err(ImageError::Empty)
    } else if bytes.starts_with(JPEG_START) {
        without_panic("JPEG", || decode_jpeg(bytes))
    } else if bytes.starts_with(PNG_START) {
        without_panic("PNG", || decode_png(bytes))
    } else {
        Err(ImageError::Kind {
            found: bytes[..bytes.len().min(8)].to_vec(),
        })
    }
}

/// Decodes, and makes an error of a panic: fuzzing has found files at which the decoders panic, and one picture must not end a training. What is known
/// of them is refused before.
fn without_panic(
    kind: &'static str,
    decode: impl FnOnce() -> Result<Picture<'static>, ImageError>,
) -> Result<Picture<'static>, ImageError> {
    // A decoder that panicked is dropped, so nothing sees its broken state.
    catch_unwind(AssertUnwindSafe(decode)).unwrap_or(Err(ImageError::Unexpected(kind)))
}

fn decode_jpeg(bytes: &[u8]) -> Result<Picture<'static>, ImageError> {
    let damaged = |error: zune_jpeg::errors::DecodeErrors| ImageError::Jpeg(error.to_string());
    let side = usize::from(u16::MAX);
    let options = DecoderOptions::default()
        .set_strict_mode(false)
        .set_max_width(side)
        .set_max_height(side)
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(damaged)?;
    let (width, height) = decoder.dimensions().unwrap_or_default();
    let size = [height as u64, width as u64];
    let most = (bytes.len() as u64).saturating_mul(JPEG_PIXELS_PER_BYTE);
    check_size(size, size[0].saturating_mul(size[1]), most, bytes.len())?;
    if !has_end(bytes) {
        return Err(ImageError::Cut);
    }
    if !first_channel_is_whole(bytes) {
        return Err(ImageError::Sampling);
    }
    let mut interleaved = vec![0; 3 * width * height];
    decoder.decode_into(&mut interleaved).map_err(damaged)?;
    Ok(planar::<3>(&interleaved, [height, width], |pixel| pixel))
}

/// Whether the end marker is after the last start of a scan. Within a scan neither can occur, because markers
/// are escaped there.
fn has_end(bytes: &[u8]) -> bool {
    let marker = bytes.windows(2).rev().find_map(|pair| match pair {
        [0xff, 0xd9] => Some(true),
        [0xff, 0xda] => Some(false),
        _ => None,
    });
    marker == Some(true)
}

/// Whether no channel is sampled more densely than the first, in all frame headers before the first scan (ITU-T T.81, B.2.2). Luminance comes first
/// and is whole in nearly every file; CMYK with subsampled colours is not.
fn first_channel_is_whole(bytes: &[u8]) -> bool {
    let mut at = 2;
    while let Some(&[0xff, marker, high, low]) = bytes.get(at..at + 4) {
        let is_frame = matches!(marker, 0xc0..=0xcf) && ![0xc4, 0xc8, 0xcc].contains(&marker);
        if is_frame {
            // Precision, height, width, number of channels; for each a name, the sampling and a table.
            let channels = usize::from(bytes.get(at + 9).copied().unwrap_or(0));
            let samplings = bytes.iter().skip(at + 11).step_by(3).take(channels);
            let mut samplings = samplings.map(|sampling| [sampling >> 4, sampling & 15]);
            let first = samplings.next().unwrap_or_default();
            if samplings.any(|[across, down]| across > first[0] || down > first[1]) {
                return false;
            }
        }
        match marker {
            // A scan begins.
            0xda => break,
            // Bytes that fill up.
            0xff => at += 1,
            _ => at += 2 + usize::from(u16::from_be_bytes([high, low])),
        }
    }
    true
}

fn decode_png(bytes: &[u8]) -> Result<Picture<'static>, ImageError> {
    if let Some(length) = broken_palette(bytes) {
        return Err(ImageError::Palette(length));
    }
    let limits = png::Limits {
        bytes: 8 * MAX_PIXELS as usize,
    };
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), limits);
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let info = decoder.read_header_info().map_err(ImageError::Png)?;
    let [height, width] = [u64::from(info.height), u64::from(info.width)];
    let bits = info.bits_per_pixel() as u64;
    let row = width.saturating_mul(bits).div_ceil(8);
    let most = (bytes.len() as u64).saturating_mul(DEFLATE_RATIO);
    let raw = height.saturating_mul(row);
    check_size([height, width], raw, most, bytes.len())?;
    let mut reader = decoder.read_info().map_err(ImageError::Png)?;
    let (height, width) = (height as usize, width as usize);
    let (colour, _) = reader.output_color_type();
    let mut interleaved = vec![0; colour.samples() * height * width];
    reader
        .next_frame(&mut interleaved)
        .map_err(ImageError::Png)?;
    // Checksums of what follows the pixels.
    reader.finish().map_err(ImageError::Png)?;
    let size = [height, width];
    Ok(match colour {
        png::ColorType::Grayscale | png::ColorType::Indexed => {
            planar::<1>(&interleaved, size, |[grey]| [grey; 3])
        }
        png::ColorType::GrayscaleAlpha => planar::<2>(&interleaved, size, |[grey, _]| [grey; 3]),
        png::ColorType::Rgb => planar::<3>(&interleaved, size, |pixel| pixel),
        png::ColorType::Rgba => planar::<4>(&interleaved, size, |[r, g, b, _]| [r, g, b]),
    })
}

/// The length of the first palette that is not a multiple of three (PNG, 11.2.2), before the pixels. The decoder, png 0.18.1, panics at some of them.
fn broken_palette(bytes: &[u8]) -> Option<u32> {
    let mut at = PNG_START.len();
    while let Some((head, _)) = bytes.get(at..)?.split_first_chunk::<8>() {
        let [a, b, c, d, kind @ ..] = *head;
        let length = u32::from_be_bytes([a, b, c, d]);
        match &kind {
            b"IDAT" => break,
            b"PLTE" if !length.is_multiple_of(3) => return Some(length),
            // Length, kind and checksum.
            _ => at = at.saturating_add(12).saturating_add(length as usize),
        }
    }
    None
}

/// Refuses an image that is too large for memory, or for its file: `needed` over `most`.
fn check_size(
    [height, width]: [u64; 2],
    needed: u64,
    most: u64,
    bytes: usize,
) -> Result<(), ImageError> {
    if height.saturating_mul(width) > MAX_PIXELS {
        Err(ImageError::Oversized { width, height })
    } else if needed > most {
        Err(ImageError::Promise {
            width,
            height,
            bytes,
        })
    } else {
        Ok(())
    }
}

/// From pixels of `N` values, one after another, to three planes.
fn planar<const N: usize>(
    interleaved: &[u8],
    [height, width]: [usize; 2],
    colours: impl Fn([u8; N]) -> [u8; 3],
) -> Picture<'static> {
    let plane = height * width;
    let mut pixels = vec![0; 3 * plane];
    let (red, rest) = pixels.split_at_mut(plane);
    let (green, blue) = rest.split_at_mut(plane);
    let (values, _) = interleaved.as_chunks::<N>();
    for (place, &value) in values.iter().enumerate().take(plane) {
        [red[place], green[place], blue[place]] = colours(value);
    }
    Picture {
        shape: [3, height, width],
        pixels: pixels.into(),
    }
}

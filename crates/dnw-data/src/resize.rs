//! A rectangle of an image, at another size.
//!
//! The filter is the triangle of the published recipes ("bilinear with antialias"): a target pixel is
//! the weighted mean of the source pixels around its centre, with weights that fall linearly to zero at
//! a distance of one source pixel, or, where the image shrinks, of as many source pixels as a target
//! pixel covers. It is applied along one side, rounded to bytes, then along the other.

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};

use crate::Picture;

/// The whole pixels that a picture is cut to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    /// The first row.
    pub top: usize,
    /// The first column.
    pub left: usize,
    /// Rows; at least one.
    pub height: usize,
    /// Columns; at least one.
    pub width: usize,
}

/// A rectangle in pixels, with fractional borders.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rectangle {
    /// Where its rows begin and how many they are.
    pub rows: (f64, f64),
    /// Where its columns begin and how many they are.
    pub columns: (f64, f64),
}

/// The pixels of `window`, which is inside the image.
pub(crate) fn cut(picture: &Picture<'_>, window: Window) -> Picture<'static> {
    let [channels, height, width] = picture.shape;
    let mut pixels = Vec::with_capacity(channels * window.height * window.width);
    for plane in picture.pixels.chunks_exact(height * width) {
        let rows = plane.chunks_exact(width).skip(window.top);
        for row in rows.take(window.height) {
            pixels.extend(&row[window.left..][..window.width]);
        }
    }
    Picture {
        shape: [channels, window.height, window.width],
        pixels: pixels.into(),
    }
}

/// Resizes the rectangle `source` to `size` (height, width) and writes it to `target`, `[channels, height, width]`.
///
/// Pixels beyond the borders of `source` take part in the means at its edges, as if the whole picture had
/// been resized and then cut. Where they must not, [`cut`] first.
pub(crate) fn resize(
    picture: &Picture<'_>,
    source: Rectangle,
    [target_height, target_width]: [usize; 2],
    target: &mut [u8],
) {
    let [_, height, width] = picture.shape;
    // Rounding may put the far border behind the last pixel.
    let inside = |(start, length): (f64, f64), side: usize| {
        let start = start.clamp(0.0, side as f64);
        (start, length.min(side as f64 - start))
    };
    let (top, rows) = inside(source.rows, height);
    let (left, columns) = inside(source.columns, width);
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(FilterType::Bilinear))
        .crop(left, top, columns, rows);
    let mut resizer = Resizer::new();
    let planes = picture.pixels.chunks_exact(height * width);
    let targets = target.chunks_exact_mut(target_height * target_width);
    for (plane, target) in planes.zip(targets) {
        // A decoded image has sides that 32 bits hold.
        let plane = TypedImageRef::<U8>::from_buffer(width as u32, height as u32, plane)
            .expect("a plane holds height x width bytes");
        let (width, height) = (target_width as u32, target_height as u32);
        let mut target = TypedImage::<U8>::from_buffer(width, height, target)
            .expect("a target plane holds height x width bytes");
        resizer
            .resize_typed(&plane, &mut target, &options)
            .expect("the rectangle is inside the picture");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The filter by its definition, in floating point, rounded once at the end.
    fn by_definition(picture: &Picture<'_>, source: Rectangle, size: [usize; 2]) -> Vec<f64> {
        let weights = |side: usize, (start, length): (f64, f64), target: usize| -> Vec<Vec<f64>> {
            let scale = length / target as f64;
            let reach = scale.max(1.0);
            (0..target)
                .map(|t| {
                    let centre = start + (t as f64 + 0.5) * scale;
                    let weight = |s| 1.0 - ((f64::from(s) + 0.5 - centre) / reach).abs();
                    let weights: Vec<f64> = (0..side as u32).map(|s| weight(s).max(0.0)).collect();
                    let sum: f64 = weights.iter().sum();
                    weights.into_iter().map(|weight| weight / sum).collect()
                })
                .collect()
        };
        let [channels, height, width] = picture.shape;
        let rows = weights(height, source.rows, size[0]);
        let columns = weights(width, source.columns, size[1]);
        let mut result = Vec::new();
        for channel in 0..channels {
            for row in &rows {
                for column in &columns {
                    let mut value = 0.0;
                    for (y, wy) in row.iter().enumerate() {
                        for (x, wx) in column.iter().enumerate() {
                            let at = (channel * height + y) * width + x;
                            value += wy * wx * f64::from(picture.pixels[at]);
                        }
                    }
                    result.push(value);
                }
            }
        }
        result
    }

    fn noise(shape: [usize; 3], seed: u64) -> Picture<'static> {
        let mut rng = crate::Rng::for_order(seed, 0);
        let count = shape.iter().product();
        let pixels: Vec<u8> = (0..count).map(|_| rng.below(256) as u8).collect();
        Picture {
            shape,
            pixels: pixels.into(),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

        #[test]
        fn resizing_is_the_triangle_filter(
            height in 1..40usize,
            width in 1..40usize,
            target in (1..30usize, 1..30usize),
            share in (0.0..0.9f64, 0.05..1.0f64, 0.0..0.9f64, 0.05..1.0f64),
            seed in any::<u64>(),
        ) {
            let picture = noise([3, height, width], seed);
            let part = |side: usize, start: f64, length: f64| {
                let start = start * side as f64;
                (start, length * (side as f64 - start))
            };
            let source = Rectangle {
                rows: part(height, share.0, share.1),
                columns: part(width, share.2, share.3),
            };
            let size = [target.0, target.1];
            let mut resized = vec![0; 3 * target.0 * target.1];
            resize(&picture, source, size, &mut resized);
            for (found, wanted) in resized.iter().zip(by_definition(&picture, source, size)) {
                // Half a step for each of two roundings, and the weights have 16 bits.
                prop_assert!((f64::from(*found) - wanted).abs() < 1.25, "{} for {}", found, wanted);
            }
        }

        #[test]
        fn a_window_holds_the_pixels_at_its_place(
            (height, top, rows) in (1..20usize).prop_flat_map(|side| (Just(side), 0..side, 1..=side)),
            (width, left, columns) in (1..20usize).prop_flat_map(|side| (Just(side), 0..side, 1..=side)),
        ) {
            let picture = noise([2, height, width], 3);
            let window = Window { top, left, height: rows.min(height - top), width: columns.min(width - left) };
            let part = cut(&picture, window);
            prop_assert_eq!(part.shape, [2, window.height, window.width]);
            for (place, &value) in part.pixels.iter().enumerate() {
                let (c, y, x) = (place / (window.height * window.width), place / window.width % window.height, place % window.width);
                prop_assert_eq!(value, picture.pixels[(c * height + top + y) * width + left + x]);
            }
        }
    }
}

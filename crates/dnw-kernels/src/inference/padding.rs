//! Copies of maps with zeros around and between their lines.

use crate::simd::{BASELINE, LANES, vectorised};
use crate::vector::{HasVector, Set, Vector, first_lanes};

use super::copy_every;

/// Lines of a map, or some of their numbers.
#[derive(Clone, Copy, Debug)]
pub struct MapLines<'a> {
    /// From the first number of the first line on.
    pub numbers: &'a [f32],
    /// How many lines there are.
    pub lines: usize,
    /// Numbers from the start of a line to the start of the next.
    pub distance: usize,
    /// Numbers of a line.
    pub width: usize,
    /// 1, or more to copy only every so many numbers of a line, from the first on.
    pub stride: usize,
}

/// Copies lines to `row`, from `first` on with distances of `line` numbers. All other numbers of `row` become zero. A line that does not fit is cut.
///
/// With vectors, a line is written with the zeros behind it, and beyond: the next line overwrites what is beyond. Maps have short lines, for which
/// a call of `memcpy` each takes longer than the copy.
///
/// # Panics
/// If a line reads behind the end of the numbers, or is copied to less than its own length with another behind it, or the stride is zero.
pub fn pad_lines(from: MapLines<'_>, row: &mut [f32], first: usize, line: usize) {
    let MapLines {
        numbers,
        lines,
        distance,
        width,
        stride,
    } = from;
    assert!(stride > 0, "a stride of zero");
    if lines == 0 || width == 0 {
        return row.fill(0.0);
    }
    assert!((lines - 1) * distance + width <= numbers.len());
    assert!(lines == 1 || width.div_ceil(stride) <= line);
    pad(from, row, first, line);
}

vectorised! {
    fn pad(from: MapLines<'_>, row: &mut [f32], first: usize, line: usize) = pad_body;
}

#[inline(always)]
fn pad_body<const SET: u8>(from: MapLines<'_>, row: &mut [f32], first: usize, line: usize)
where
    Set<SET>: HasVector,
{
    if SET == BASELINE || from.stride > 2 {
        row.fill(0.0);
        for i in 0..from.lines {
            let numbers = &from.numbers[i * from.distance..][..from.width];
            let at = (first + i * line).min(row.len());
            copy_every(from.stride, numbers, &mut row[at..]);
        }
        return;
    }
    let before = first.min(row.len());
    row[..before].fill(0.0);
    let mut written = before;
    for i in 0..from.lines {
        let at = first + i * line;
        let Some(to) = row.get_mut(at..) else {
            break;
        };
        // SAFETY: the line lies in the numbers, as was checked.
        let numbers = unsafe { from.numbers.as_ptr().add(i * from.distance) };
        // The last line is as long as the others, with its zeros.
        let length = line.max(from.width.div_ceil(from.stride)).min(to.len());
        // SAFETY: a line has so many numbers.
        unsafe {
            if from.stride == 1 {
                copy_line::<SET, 1>(numbers, from.width, to, length);
            } else {
                copy_line::<SET, 2>(numbers, from.width, to, length);
            }
        }
        written = at + length;
    }
    row[written..].fill(0.0);
}

/// Writes at least `length` numbers to `to`: every `S`th of `width`, then zeros.
///
/// # Safety
/// `width` numbers are readable, and `to` has `length`.
#[inline(always)]
unsafe fn copy_line<const SET: u8, const S: usize>(
    numbers: *const f32,
    width: usize,
    to: &mut [f32],
    length: usize,
) where
    Set<SET>: HasVector,
{
    type Of<const SET: u8> = <Set<SET> as HasVector>::Vector;
    for at in (0..length).step_by(LANES) {
        // SAFETY: as the caller promises.
        let x = unsafe {
            let first = load::<Of<SET>>(numbers, width, S * at);
            if S == 1 {
                first
            } else {
                let second = load::<Of<SET>>(numbers, width, S * at + LANES);
                Of::<SET>::every_second(first, second, false)
            }
        };
        let room = to.len() - at;
        // SAFETY: so much room is there.
        unsafe {
            let to = to.as_mut_ptr().add(at);
            if room >= LANES {
                x.store(to);
            } else {
                x.store_first(to, room);
            }
        }
    }
}

/// The numbers of a line from `at` on, and zeros behind its end.
///
/// # Safety
/// `width` numbers must be readable.
#[inline(always)]
unsafe fn load<V: Vector>(numbers: *const f32, width: usize, at: usize) -> V {
    let from = numbers.wrapping_add(at);
    // SAFETY: as the caller promises.
    unsafe {
        match width.saturating_sub(at) {
            0 => V::splat(0.0),
            LANES.. => V::load(from),
            count => V::load_some(from, V::mask(first_lanes(count))),
        }
    }
}

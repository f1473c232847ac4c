//! The section `weights`: lists of numbers with a fraction, in the order in which the other sections come to them.
//!
//! A list is its length, a byte for the kind of its numbers, and the numbers. Readers expand all kinds to 32 bits.

use std::borrow::Cow;

use half::f16;

use super::code::{Code, Reader, Writer};
use super::cursor::{Cursor, write_varint};
use super::error::FileError;
use super::precision::Precision;
use crate::memory::prefer_huge_pages;

const F32: u8 = 0;
const F16: u8 = 1;
const INT8: u8 = 2;

/// The largest number in eight bits: -128 is not used, so that both signs have one range.
const LARGEST: f32 = 127.0;

/// Numbers that always have 32 bits.
impl Code for Vec<f32> {
    fn write(&self, to: &mut Writer) {
        write_varint(&mut to.weights, self.len() as u64);
        write_f32(&mut to.weights, self);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, FileError> {
        let count = from.weights.count(from.weights.rest().len())?;
        let values = match from.weights.byte()? {
            F32 => read_f32(&mut from.weights, count)?,
            kind => return Err(unknown(&from.weights, kind)),
        };
        from.finite(&values)?;
        Ok(values)
    }
}

fn unknown(from: &Cursor<'_>, kind: u8) -> FileError {
    from.invalid(format!("numbers of kind {kind} cannot be here"))
}

fn write_f32(bytes: &mut Vec<u8>, values: &[f32]) {
    bytes.push(F32);
    bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
}

fn read_f32(from: &mut Cursor<'_>, count: usize) -> Result<Vec<f32>, FileError> {
    let bytes = from.take(count.saturating_mul(4))?;
    let bytes = bytes.as_chunks::<4>().0;
    let mut values = Vec::with_capacity(bytes.len());
    prefer_huge_pages(values.spare_capacity_mut());
    values.extend(bytes.iter().map(|&value| f32::from_le_bytes(value)));
    Ok(values)
}

/// Which target each weight belongs to.
pub(super) enum Targets<'a> {
    /// Groups of targets, whose weights follow each other.
    Groups {
        /// For each group the number of terms before it; one more than there are groups.
        starts: &'a [u32],
        /// Targets of a group; each term has a weight for each.
        lanes: usize,
    },
    /// This many targets with equally many weights, one target after the other.
    Equal(usize),
}

/// Targets that have a certain number of weights.
struct Groups<'a> {
    starts: Cow<'a, [u32]>,
    lanes: usize,
}

impl Targets<'_> {
    /// The groups, if they have `count` weights.
    fn groups(&self, count: usize) -> Option<Groups<'_>> {
        let groups = match *self {
            Self::Groups { starts, lanes } => Groups {
                starts: Cow::Borrowed(starts),
                lanes,
            },
            Self::Equal(targets) => {
                let each = count.checked_div(targets)?;
                let end = u32::try_from(count).ok()?;
                Groups {
                    starts: (0..=end).step_by(each.max(1)).collect(),
                    lanes: 1,
                }
            }
        };
        let (first, last) = (groups.starts.first()?, groups.starts.last()?);
        let fits = *first == 0
            && groups.lanes > 0
            && groups.starts.is_sorted()
            && (*last as usize).checked_mul(groups.lanes) == Some(count);
        fits.then_some(groups)
    }
}

impl Groups<'_> {
    /// The number of targets.
    fn targets(&self) -> usize {
        (self.starts.len() - 1).saturating_mul(self.lanes)
    }

    /// Where the weights of each group are.
    fn ranges(&self) -> impl Iterator<Item = std::ops::Range<usize>> {
        let at = |start: u32| start as usize * self.lanes;
        self.starts.windows(2).map(move |w| at(w[0])..at(w[1]))
    }
}

/// Appends the weights of edges in the writer's precision, or in 32 bits where that cannot be.
pub(super) fn write(to: &mut Writer, weights: &[f32], targets: &Targets<'_>) {
    let bytes = &mut to.weights;
    write_varint(bytes, weights.len() as u64);
    match to.precision {
        Precision::F16 if weights.iter().all(|&w| f16::from_f32(w).is_finite()) => {
            bytes.push(F16);
            bytes.extend(weights.iter().flat_map(|&w| f16::from_f32(w).to_le_bytes()));
        }
        Precision::Int8 => match targets.groups(weights.len()) {
            Some(groups)
                if groups.targets() < weights.len() / 4 * 3
                    && weights.iter().all(|w| w.is_finite()) =>
            {
                write_int8(bytes, weights, &groups);
            }
            _ => write_f32(bytes, weights),
        },
        _ => write_f32(bytes, weights),
    }
}

/// Appends the scales of all targets, then the numbers.
fn write_int8(bytes: &mut Vec<u8>, weights: &[f32], groups: &Groups<'_>) {
    bytes.push(INT8);
    let mut rounded = vec![0_u8; weights.len()];
    for group in groups.ranges() {
        for lane in 0..groups.lanes {
            let of_lane = group.clone().skip(lane).step_by(groups.lanes);
            let largest = of_lane
                .clone()
                .map(|i| weights[i].abs())
                .fold(0.0, f32::max);
            let scale = largest / LARGEST;
            // Below that, scales have few digits and the weights no effect: all become zeros.
            let scale = if scale.is_normal() { scale } else { 0.0 };
            bytes.extend(scale.to_le_bytes());
            if scale > 0.0 {
                for i in of_lane {
                    let value = (weights[i] / scale).round_ties_even();
                    rounded[i] = value.clamp(-LARGEST, LARGEST) as i8 as u8;
                }
            }
        }
    }
    bytes.extend(rounded);
}

/// Reads the weights of edges.
pub(super) fn read(from: &mut Reader<'_>, targets: &Targets<'_>) -> Result<Vec<f32>, FileError> {
    let count = from.weights.count(from.weights.rest().len())?;
    let weights = match from.weights.byte()? {
        F32 => read_f32(&mut from.weights, count)?,
        F16 => {
            let bytes = from.weights.take(count.saturating_mul(2))?;
            let values = bytes.as_chunks::<2>().0.iter();
            values
                .map(|&value| f16::from_le_bytes(value).to_f32())
                .collect()
        }
        INT8 => read_int8(&mut from.weights, count, targets)?,
        kind => return Err(unknown(&from.weights, kind)),
    };
    from.finite(&weights)?;
    Ok(weights)
}

fn read_int8(
    from: &mut Cursor<'_>,
    count: usize,
    targets: &Targets<'_>,
) -> Result<Vec<f32>, FileError> {
    let Some(groups) = targets.groups(count) else {
        return Err(from.invalid("the weights of all targets are not the layer's weights"));
    };
    let lanes = groups.lanes;
    let scales = from.take(groups.targets().saturating_mul(4))?;
    let rounded = from.take(count)?;
    let mut weights = vec![0.0; count];
    for (range, scales) in groups.ranges().zip(scales.as_chunks::<4>().0.chunks(lanes)) {
        let (weights, rounded) = (&mut weights[range.clone()], &rounded[range]);
        for (lane, &scale) in scales.iter().enumerate() {
            let scale = f32::from_le_bytes(scale);
            let weights = weights.iter_mut().skip(lane).step_by(lanes);
            let rounded = rounded.iter().skip(lane).step_by(lanes);
            for (weight, &rounded) in weights.zip(rounded) {
                *weight = f32::from(rounded as i8) * scale;
            }
        }
    }
    Ok(weights)
}

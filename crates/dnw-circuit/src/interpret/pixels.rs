//! Steps that pool or move pixels.

use super::maps::Maps;
use crate::{Pool, Taps};

fn places([height, width]: [usize; 2]) -> impl Iterator<Item = (usize, usize)> {
    (0..height).flat_map(move |y| (0..width).map(move |x| (y, x)))
}

pub(super) fn pool(
    x: Maps<'_>,
    pool: Pool,
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
    size: [usize; 2],
) -> Vec<f64> {
    let mut pooled = Vec::new();
    for channel in 0..x.shape[0] {
        for (y, x_) in places(size) {
            let corner = |place: usize, side: usize| {
                (place * stride[side]) as isize - padding[side] as isize
            };
            let (top, left) = (corner(y, 0), corner(x_, 1));
            let window = places(kernel)
                .filter_map(|(dy, dx)| x.pixel(channel, top + dy as isize, left + dx as isize));
            pooled.push(match pool {
                Pool::Max => window.fold(f64::NEG_INFINITY, f64::max),
                Pool::Average => window.sum::<f64>() / (kernel[0] * kernel[1]) as f64,
                Pool::InnerAverage => {
                    let (count, sum) = window.fold((0, 0.0), |(n, sum), z| (n + 1, sum + z));
                    sum / f64::from(count)
                }
            });
        }
    }
    pooled
}

pub(super) fn resample(x: Maps<'_>, rows: &Taps, columns: &Taps) -> Vec<f64> {
    let mut resampled = Vec::new();
    for channel in (0..x.shape[0]).map(|channel| x.channel(channel)) {
        for row in rows.outputs() {
            for column in columns.outputs() {
                let mut sum = 0.0;
                for &(y, by) in row {
                    let line = &channel[y * x.shape[2]..];
                    sum += by * column.iter().map(|&(x_, by)| by * line[x_]).sum::<f64>();
                }
                resampled.push(sum);
            }
        }
    }
    resampled
}

pub(super) fn fold(x: Maps<'_>, side: usize) -> Vec<f64> {
    let [channels, height, width] = x.shape;
    let mut folded = Vec::new();
    for channel in 0..channels {
        for (dy, dx) in places([side, side]) {
            for (y, x_) in places([height / side, width / side]) {
                let place = (y * side + dy) * width + x_ * side + dx;
                folded.push(x.channel(channel)[place]);
            }
        }
    }
    folded
}

pub(super) fn unfold(x: Maps<'_>, side: usize) -> Vec<f64> {
    let [channels, height, width] = x.shape;
    let mut unfolded = Vec::new();
    for channel in (0..channels).step_by(side * side) {
        for (y, x_) in places([height * side, width * side]) {
            let source = channel + y % side * side + x_ % side;
            unfolded.push(x.channel(source)[y / side * width + x_ / side]);
        }
    }
    unfolded
}

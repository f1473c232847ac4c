//! Norms, sums, activations and products, number by number.

use dnw_kernels::inference::{NORM_TOGETHER, NormMap, activate, add_scaled, exp, norm_maps};

use crate::memory::Arena;
use crate::part::Part;
use crate::plan::{ActivateMaps, AddMaps, MultiplyMaps, NormMaps, SoftmaxMaps};

pub(super) fn rectified(x: f32) -> f32 {
    if x > 0.0 { x } else { 0.0 }
}

/// # Safety
/// As for [`Prepared::execute`](super::Prepared::execute).
pub(super) unsafe fn norm(norm: &NormMaps, arena: Arena, part: Part) {
    let map = |channel: usize| {
        // SAFETY: as the caller promises.
        let (x, out) = unsafe {
            (
                arena.channel(norm.from, channel),
                arena.channel_mut(norm.to, channel),
            )
        };
        NormMap {
            x,
            scale: norm.scale[channel],
            shift: norm.shift[channel],
            out: &mut out[..x.len()],
        }
    };
    let channels = part.range(norm.to.shape[0]);
    let mut channel = channels.start;
    while channel + NORM_TOGETHER <= channels.end {
        let mut maps: [NormMap<'_>; NORM_TOGETHER] = std::array::from_fn(|i| map(channel + i));
        norm_maps(&mut maps, norm.epsilon, norm.relu);
        channel += NORM_TOGETHER;
    }
    for channel in channel..channels.end {
        norm_maps(&mut [map(channel)], norm.epsilon, norm.relu);
    }
}

/// # Safety
/// As for [`Prepared::execute`](super::Prepared::execute).
pub(super) unsafe fn add(add: &AddMaps, arena: Arena, part: Part) {
    for channel in part.range(add.to.shape[0]) {
        // SAFETY: as the caller promises.
        let out = unsafe { arena.channel_mut(add.to, channel) };
        let out = &mut out[..add.to.pixels()];
        let last = add.from.len() - 1;
        for (i, &(a, from)) in add.from.iter().enumerate() {
            // SAFETY: as the caller promises.
            let x = unsafe { arena.channel(from, channel) };
            if i == 0 {
                out.fill(0.0);
            }
            add_scaled(a, x, add.relu && i == last, out);
        }
    }
}

/// # Safety
/// As for [`Prepared::execute`](super::Prepared::execute).
pub(super) unsafe fn activation(x: &ActivateMaps, arena: Arena, part: Part) {
    let pixels = x.from.pixels();
    for channel in part.range(x.to.shape[0]) {
        if x.to != x.from {
            // SAFETY: as the caller promises.
            let from = unsafe { arena.channel(x.from, channel) };
            // SAFETY: as the caller promises.
            let to = unsafe { arena.channel_mut(x.to, channel) };
            to[..pixels].copy_from_slice(from);
        }
        // SAFETY: as the caller promises.
        let to = unsafe { arena.channel_mut(x.to, channel) };
        activate(x.activation, &mut to[..pixels]);
    }
}

/// # Safety
/// As for [`Prepared::execute`](super::Prepared::execute).
pub(super) unsafe fn product(product: &MultiplyMaps, arena: Arena, part: Part) {
    let pixels = product.from.pixels();
    for channel in part.range(product.to.shape[0]) {
        if product.to != product.from {
            // SAFETY: as the caller promises.
            let from = unsafe { arena.channel(product.from, channel) };
            // SAFETY: as the caller promises.
            let to = unsafe { arena.channel_mut(product.to, channel) };
            to[..pixels].copy_from_slice(from);
        }
        // SAFETY: as the caller promises.
        let (by, to) = unsafe {
            (
                arena.channel(product.by, channel),
                arena.channel_mut(product.to, channel),
            )
        };
        match by {
            &[factor] => to[..pixels].iter_mut().for_each(|x| *x *= factor),
            _ => to.iter_mut().zip(by).for_each(|(x, by)| *x *= by),
        }
    }
}

/// # Safety
/// As for [`Prepared::execute`](super::Prepared::execute).
pub(super) unsafe fn softmax(softmax: &SoftmaxMaps, arena: Arena, part: Part) {
    // Every channel of the output depends on all of the input; one thread computes all.
    if part.index > 0 {
        return;
    }
    let (from, to) = (softmax.from, softmax.to);
    let channels = from.shape[0];
    // SAFETY: as the caller promises; the check has made sure that both are inside the arena and apart.
    let (x, out) = unsafe {
        (
            arena.read(from.at, (channels - 1) * from.stride + from.pixels()),
            arena.write(to.at, (channels - 1) * to.stride + to.pixels()),
        )
    };
    for pixel in 0..from.pixels() {
        let own = || (0..channels).map(|channel| channel * from.stride + pixel);
        let most = own().map(|at| x[at]).fold(f32::NEG_INFINITY, f32::max);
        let mut total = 0.0;
        for at in own() {
            out[at] = exp(x[at] - most);
            total += out[at];
        }
        own().for_each(|at| out[at] /= total);
    }
}

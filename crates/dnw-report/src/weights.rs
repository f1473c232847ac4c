//! How a page holds the weights of a layer over time.
//!
//! Only legal entries are held, in the order of the tensor, frame after frame, each frame with a scale, its largest magnitude. Small layers
//! have 16-bit integers, large ones 8-bit integers that are finer for small weights. The number of bytes says which.

use crate::recording::{Blob, Layer};

/// The largest value of a 16-bit weight.
const LARGEST: f32 = 32767.0;

/// How precisely weights are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// 16 bits: `q / 32767 * scale`.
    Sixteen,
    /// 8 bits: `sign(q) (q / 127)^2 * scale`. The error is at most 0.8 % of the scale, and less for smaller weights.
    Eight,
}

impl Precision {
    /// Bytes of one weight.
    pub fn bytes(self) -> usize {
        match self {
            Self::Sixteen => 2,
            Self::Eight => 1,
        }
    }
}

/// Appends the weights of one frame, those of the legal entries, and returns the frame's scale.
pub fn encode(bytes: &mut Blob, weights: &[f32], precision: Precision) -> f32 {
    let sizes = weights.iter().map(|weight| weight.abs());
    let scale = sizes.filter(|size| size.is_finite()).fold(0.0, f32::max);
    let share = |weight: &f32| {
        if scale > 0.0 { weight / scale } else { 0.0 }
    };
    match precision {
        Precision::Sixteen => {
            let numbers = weights.iter().map(|w| (share(w) * LARGEST).round() as i16);
            bytes.0.extend(numbers.flat_map(i16::to_le_bytes));
        }
        Precision::Eight => {
            let number = |x: f32| (x.abs().sqrt() * 127.0).copysign(x).round() as i8;
            let numbers = weights.iter().map(|w| number(share(w)).to_le_bytes()[0]);
            bytes.0.extend(numbers);
        }
    }
    scale
}

/// The weights of a layer as 16-bit integers, `[frames, entries]`, 0 where an entry is not legal. The layer must have been validated.
pub(crate) fn decode(layer: &Layer) -> Vec<i16> {
    let entries: usize = layer.shape.iter().product();
    let legal = legal_entries(layer);
    let mut weights = vec![0; layer.frames.len() * entries];
    if legal.is_empty() {
        return weights;
    }
    let is_wide = layer.weights.0.len() == layer.frames.len() * legal.len() * 2;
    let frames = layer
        .weights
        .0
        .chunks_exact(legal.len() * (1 + usize::from(is_wide)));
    for (frame, target) in frames.zip(weights.chunks_exact_mut(entries)) {
        for (position, &entry) in legal.iter().enumerate() {
            target[entry] = if is_wide {
                i16::from_le_bytes([frame[2 * position], frame[2 * position + 1]])
            } else {
                let number = f32::from(i8::from_le_bytes([frame[position]])) / 127.0;
                (number * number.abs() * LARGEST).round() as i16
            };
        }
    }
    weights
}

/// The legal entries of a layer, ascending.
pub(crate) fn legal_entries(layer: &Layer) -> Vec<usize> {
    let entries = layer
        .shape
        .iter()
        .fold(1usize, |n, &side| n.saturating_mul(side));
    match &layer.legal {
        None => (0..entries).collect(),
        Some(Blob(bits)) => {
            let legal = |entry: &usize| {
                bits.get(entry / 8)
                    .is_some_and(|byte| byte >> (entry % 8) & 1 == 1)
            };
            (0..entries.min(8 * bits.len())).filter(legal).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(legal: Option<Blob>, weights: Blob, frames: usize) -> Layer {
        Layer {
            name: "fc".into(),
            shape: vec![1, 4],
            target_nodes: Vec::new(),
            source_nodes: Vec::new(),
            legal,
            possible: 4,
            budget: 1,
            initial: Blob::default(),
            history: Blob::default(),
            frames: (0..frames as u64).collect(),
            weights,
            scale: Vec::new(),
            threshold: Vec::new(),
        }
    }

    #[test]
    fn weights_come_back_within_their_precision() {
        let weights = [0.5, -0.25, 0.001, -0.0004];
        for (precision, step) in [(Precision::Sixteen, 2e-5), (Precision::Eight, 0.008)] {
            let mut bytes = Blob::default();
            assert_eq!(encode(&mut bytes, &weights, precision), 0.5);
            assert_eq!(bytes.0.len(), 4 * precision.bytes());
            let decoded = decode(&layer(None, bytes, 1));
            for (number, weight) in decoded.iter().zip(weights) {
                let value = f32::from(*number) / LARGEST * 0.5;
                assert!(
                    (value - weight).abs() <= 0.5 * step,
                    "{precision:?}: {value} {weight}"
                );
            }
        }
    }

    #[test]
    fn small_weights_keep_their_order_in_eight_bits() {
        let weights = [1.0, 0.001, 0.0002, -0.001];
        let mut bytes = Blob::default();
        encode(&mut bytes, &weights, Precision::Eight);
        let decoded = decode(&layer(None, bytes, 1));
        assert!(
            decoded[1] > decoded[2] && decoded[2] > decoded[3],
            "{decoded:?}"
        );
    }

    #[test]
    fn only_legal_entries_are_held() {
        let legal = Blob::from_bits([false, true, false, true]);
        let mut bytes = Blob::default();
        encode(&mut bytes, &[1.0, -1.0], Precision::Sixteen);
        encode(&mut bytes, &[0.0, 0.0], Precision::Sixteen);
        assert_eq!(bytes.0.len(), 2 * 2 * 2);
        let decoded = decode(&layer(Some(legal), bytes, 2));
        assert_eq!(decoded, [0, 32767, 0, -32767, 0, 0, 0, 0]);
    }

    #[test]
    fn weights_that_are_not_finite_do_not_spoil_the_others() {
        let mut bytes = Blob::default();
        let scale = encode(
            &mut bytes,
            &[f32::NAN, 0.5, f32::INFINITY],
            Precision::Sixteen,
        );
        assert_eq!(scale, 0.5);
        assert_eq!(bytes.0[2..4], 32767i16.to_le_bytes());
    }
}

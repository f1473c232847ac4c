//! How an edge is ranked: the first axis of a rule.

use crate::TensorView;

/// Ranks the edges of a tensor: higher is better.
///
/// Implement it for a custom rule; [`crate::rule`] shows how.
pub trait Score: std::fmt::Debug + Send + Sync {
    /// Appends one score per entry of the tensor to `scores`, which is empty. Only the scores of candidates
    /// are read.
    fn score(&self, tensor: &TensorView<'_>, scores: &mut Vec<f32>);

    /// Which gradients the score reads from [`TensorView::gradients`].
    fn gradient_use(&self) -> GradientUse {
        GradientUse::None
    }

    /// The magnitude of a weight that has this score, for rules with a threshold.
    fn magnitude(&self, tensor: &TensorView<'_>, score: f32) -> f32 {
        let _ = tensor;
        score
    }

    /// Whether the score is the magnitude of the weight, so that backends may select without computing
    /// scores.
    fn is_magnitude(&self) -> bool {
        false
    }
}

/// Which gradients a score uses.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum GradientUse {
    /// None.
    #[default]
    None,
    /// The gradient of every entry, real or not, of the last update.
    Gradient,
    /// The running mean of the gradients of every entry: `m <- decay m + (1 - decay) g`.
    Momentum {
        /// The decay of the running mean per update, 0 to 1.
        decay: f32,
    },
}

/// The magnitude of the weight (Wortsman et al. 2019, section 2.2).
#[derive(Clone, Copy, Debug)]
pub struct Magnitude;

impl Score for Magnitude {
    fn score(&self, tensor: &TensorView<'_>, scores: &mut Vec<f32>) {
        scores.extend(tensor.weights.iter().map(|w| w.abs()));
    }

    fn is_magnitude(&self) -> bool {
        true
    }
}

/// The magnitude of the weight divided by the standard deviation of its tensor's weights, so that tensors of
/// different scale compete equally (layer-normalised ST-3).
#[derive(Clone, Copy, Debug)]
pub struct NormalisedMagnitude;

impl NormalisedMagnitude {
    /// The standard deviation of the candidates' weights, or 1 if they are all equal.
    fn deviation(tensor: &TensorView<'_>) -> f32 {
        let weights = || {
            tensor
                .candidates
                .iter()
                .map(|entry| f64::from(tensor.weights[entry]))
        };
        let n = tensor.candidates.count().max(1) as f64;
        let mean = weights().sum::<f64>() / n;
        let variance = weights().map(|w| (w - mean).powi(2)).sum::<f64>() / n;
        if variance > 0.0 {
            variance.sqrt() as f32
        } else {
            1.0
        }
    }
}

impl Score for NormalisedMagnitude {
    fn score(&self, tensor: &TensorView<'_>, scores: &mut Vec<f32>) {
        let deviation = Self::deviation(tensor);
        scores.extend(tensor.weights.iter().map(|w| w.abs() / deviation));
    }

    fn magnitude(&self, tensor: &TensorView<'_>, score: f32) -> f32 {
        score * Self::deviation(tensor)
    }
}

/// The magnitude of the weight minus the tensor's learned threshold; negative below the threshold.
#[derive(Clone, Copy, Debug)]
pub struct AboveThreshold;

impl Score for AboveThreshold {
    fn score(&self, tensor: &TensorView<'_>, scores: &mut Vec<f32>) {
        let threshold = tensor.threshold;
        scores.extend(tensor.weights.iter().map(|w| w.abs() - threshold));
    }
}

/// The magnitude of the gradient of the last update: the edge whose growth would change the loss most (Evci
/// et al. 2020).
#[derive(Clone, Copy, Debug)]
pub struct GradientMagnitude;

impl Score for GradientMagnitude {
    fn score(&self, tensor: &TensorView<'_>, scores: &mut Vec<f32>) {
        by_gradient_magnitude(tensor, scores);
    }

    fn gradient_use(&self) -> GradientUse {
        GradientUse::Gradient
    }
}

/// The magnitude of the running mean of the gradients (Dettmers and Zettlemoyer 2019).
#[derive(Clone, Copy, Debug)]
pub struct MomentumMagnitude {
    /// The decay of the running mean per update, 0 to 1.
    pub decay: f32,
}

impl Score for MomentumMagnitude {
    fn score(&self, tensor: &TensorView<'_>, scores: &mut Vec<f32>) {
        by_gradient_magnitude(tensor, scores);
    }

    fn gradient_use(&self) -> GradientUse {
        GradientUse::Momentum { decay: self.decay }
    }
}

fn by_gradient_magnitude(tensor: &TensorView<'_>, scores: &mut Vec<f32>) {
    match tensor.gradients {
        Some(gradients) => scores.extend(gradients.iter().map(|g| g.abs())),
        None => scores.resize(tensor.weights.len(), 0.0),
    }
}

/// A random score: a function of the seed, the tensor's name, the update and the entry. The same seed selects
/// the same edges on every machine and backend.
#[derive(Clone, Copy, Debug)]
pub struct Random;

impl Score for Random {
    fn score(&self, tensor: &TensorView<'_>, scores: &mut Vec<f32>) {
        scores.extend((0..tensor.weights.len()).map(|entry| (draw(tensor, entry) >> 40) as f32));
    }
}

/// 64 random bits for an entry of a tensor at the update that its clock shows.
pub(crate) fn draw(tensor: &TensorView<'_>, entry: usize) -> u64 {
    // FNV-1a of the name, so that the tensors of a model draw different values.
    let name = tensor
        .name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    let of_update = match tensor.clock.update {
        0 => tensor.seed ^ name,
        update => split_mix(tensor.seed ^ name).wrapping_add(update),
    };
    split_mix(split_mix(of_update).wrapping_add(entry as u64))
}

/// One output of the SplitMix64 generator for state `x` (Steele, Lea, Flood 2014).
pub(crate) fn split_mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

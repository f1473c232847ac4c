//! The loss of a classifier: cross-entropy with label smoothing.

use burn::backend::TensorMetadata;
use burn::backend::tensor::{BoolTensor, FloatTensor};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::tensor::{Shape, Tensor, TensorData};
use tracing::{Span, trace_span};

use super::cpu::{CpuBackend, uninitialised_like};
use super::dispatch::{self, Operation};
use super::kernels::Kernels;

/// The mean over the batch of the cross-entropy between `softmax(logits)` and the labels.
///
/// With label smoothing `a` a label's class has the probability `1 - a + a / classes`, and every other `a / classes` (Szegedy et al. 2016,
/// section 7). On a CPU this is a kernel whose exponentials and order of additions are the same on every machine; the system's library of
/// mathematical functions, which Burn's own loss calls, rounds differently from machine to machine.
///
/// # Shapes
/// - `logits`: `[batch, classes]`
/// - `labels`: `[batch]`, from 0 to `classes - 1`
/// - result: `[1]`
///
/// # Panics
/// If there are not as many labels as rows, or a label is no class.
pub fn cross_entropy(logits: Tensor<2>, labels: &[i32], smoothing: f32) -> Tensor<1> {
    cross_entropy_by(logits, labels, smoothing, Kernels::default())
}

fn cross_entropy_by(
    logits: Tensor<2>,
    labels: &[i32],
    smoothing: f32,
    kernels: Kernels,
) -> Tensor<1> {
    let [rows, classes] = logits.dims();
    assert_eq!(labels.len(), rows, "one label for each row of logits");
    let are_classes = labels
        .iter()
        .all(|&label| usize::try_from(label).is_ok_and(|label| label < classes));
    assert!(
        are_classes,
        "labels are classes, 0 to {}",
        classes.max(1) - 1
    );
    if !kernels.on_cpu(&logits) || rows == 0 {
        let device = logits.device();
        let labels = Tensor::from_data(TensorData::new(labels.to_vec(), [rows]), &device);
        let smoothing = (smoothing > 0.0).then_some(smoothing);
        let loss = CrossEntropyLossConfig::new().with_smoothing(smoothing);
        return loss.init(&device).forward(logits, labels);
    }
    let loss = CrossEntropy {
        labels: labels.to_vec(),
        classes,
        smoothing: f64::from(smoothing),
    };
    let (loss, ()) = dispatch::run(loss, [logits.into_dispatch()], []);
    Tensor::from_dispatch(loss)
}

/// Input: the logits.
#[derive(Clone, Debug)]
struct CrossEntropy {
    labels: Vec<i32>,
    classes: usize,
    smoothing: f64,
}

impl CrossEntropy {
    /// Every row of logits with its label.
    fn rows<'a>(&'a self, logits: &'a [f32]) -> impl Iterator<Item = (&'a [f32], usize)> {
        let labels = self.labels.iter().map(|&label| label as usize);
        logits.chunks_exact(self.classes).zip(labels)
    }

    /// The probability of a class that is not the label, in what is learned.
    fn other(&self) -> f64 {
        self.smoothing / self.classes as f64
    }
}

/// The logarithm of the sum of exponentials.
fn log_sum_exp(logits: &[f32]) -> f64 {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let largest = f64::from(largest);
    let exponentials = logits.iter().map(|&x| libm::exp(f64::from(x) - largest));
    largest + libm::log(exponentials.sum())
}

impl Operation<1, 0> for CrossEntropy {
    type Extra = ();
    /// The logits.
    type Saved<B: CpuBackend> = FloatTensor<B>;

    fn span() -> Span {
        trace_span!("cross-entropy")
    }

    fn forward_cpu<B: CpuBackend>(
        &self,
        [logits]: [FloatTensor<B>; 1],
        []: [BoolTensor<B>; 0],
    ) -> (FloatTensor<B>, (), FloatTensor<B>) {
        let losses = self.rows(B::floats(&logits)).map(|(row, label)| {
            let all: f64 = row.iter().map(|&x| f64::from(x)).sum();
            let expected = (1.0 - self.smoothing) * f64::from(row[label]) + self.other() * all;
            log_sum_exp(row) - expected
        });
        let mean = losses.sum::<f64>() / self.labels.len() as f64;
        let loss = B::tensor(vec![mean as f32], Shape::from([1]));
        (loss, (), logits)
    }

    fn backward_cpu<B: CpuBackend>(
        &self,
        logits: FloatTensor<B>,
        dy: &FloatTensor<B>,
        _: [bool; 1],
    ) -> [Option<FloatTensor<B>>; 1] {
        let scale = f64::from(B::floats(dy)[0]) / self.labels.len() as f64;
        let mut dx = uninitialised_like::<B>(&logits);
        let rows = self.rows(B::floats(&logits));
        for ((row, label), dx) in rows.zip(dx.chunks_exact_mut(self.classes)) {
            let total = log_sum_exp(row);
            for (class, (dx, &x)) in dx.iter_mut().zip(row).enumerate() {
                let target = if class == label {
                    1.0 - self.smoothing
                } else {
                    0.0
                };
                let probability = libm::exp(f64::from(x) - total);
                *dx = (scale * (probability - target - self.other())) as f32;
            }
        }
        [Some(B::tensor(dx, logits.shape()))]
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use burn::tensor::Device;
    use proptest::prelude::*;

    use super::*;
    use crate::ops::testing::{agree, random};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn the_loss_is_that_of_plain_tensors(
            rows in 1usize..20, classes in 2usize..30, smoothing in 0usize..3, seed: u64,
        ) {
            let logits = random([rows, classes], &Device::flex().autodiff());
            let labels: Vec<i32> = (0..rows as u64)
                .map(|row| (seed.wrapping_mul(2 * row + 1) % classes as u64) as i32)
                .collect();
            let smoothing = [0.0, 0.1, 0.5][smoothing];
            let by = |kernels| {
                let labels = labels.clone();
                move |[logits]: [Tensor<2>; 1]| cross_entropy_by(logits * 9.0, &labels, smoothing, kernels)
            };
            agree([logits], by(Kernels::Fastest), by(Kernels::Reference));
        }
    }

    /// Values of `torch.nn.functional.cross_entropy` of PyTorch 2.15, in 64 bits.
    #[test]
    fn the_loss_is_that_of_pytorch() {
        let device = Device::flex();
        let logits = Tensor::from_floats([[1.0, 2.0, -1.0], [0.5, -3.0, 80.0]], &device);
        for (smoothing, expected) in [(0.0, EXPECTED[0]), (0.1, EXPECTED[1])] {
            let loss = cross_entropy(logits.clone(), &[1, 0], smoothing).into_scalar::<f32>();
            assert!(
                (f64::from(loss) - expected).abs() < 1e-5,
                "{loss} {expected}"
            );
        }
    }

    const EXPECTED: [f64; 2] = [39.924506108384094, 38.72450610838409];

    #[test]
    #[should_panic(expected = "labels are classes, 0 to 2")]
    fn a_label_is_a_class() {
        cross_entropy(Tensor::zeros([1, 3], &Device::flex()), &[3], 0.0);
    }
}

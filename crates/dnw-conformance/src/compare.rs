//! Comparison of computed with expected values; failures report the largest difference.

use burn::tensor::TensorData;

use crate::case::{Failure, Outcome};
use crate::tolerance::Tolerance;

impl Tolerance {
    /// The largest difference divided by the tolerated one, and its index: above 1 is too large. The difference to NaN is infinite.
    pub fn largest_error(self, found: &[f64], expected: &[f64]) -> (f64, usize) {
        let largest = expected.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
        let pairs = found.iter().zip(expected);
        let shares = pairs.map(|(&found, &expected)| self.share(found, expected, largest));
        let mut worst = (0.0, 0);
        for (index, share) in shares.enumerate() {
            if share > worst.0 {
                worst = (share, index);
            }
        }
        worst
    }

    /// The difference of two values divided by the tolerated one, in a tensor whose largest magnitude is `largest`.
    fn share(self, found: f64, expected: f64, largest: f64) -> f64 {
        if found == expected {
            return 0.0;
        }
        let tolerance =
            self.absolute + self.relative * expected.abs() + self.relative_to_largest * largest;
        let share = (found - expected).abs() / tolerance;
        if share.is_nan() { f64::INFINITY } else { share }
    }
}

/// Fails if a value of a tensor differs from the expected one by more than the tolerance.
///
/// # Errors
/// One message: what, its shape, how many values are off, the largest error and its coordinates.
pub fn close(what: &str, found: &TensorData, expected: &[f64], tolerance: Tolerance) -> Outcome {
    let shape = &found.shape().to_vec();
    let found: Vec<f64> = found.iter::<f64>().collect();
    if found.len() != expected.len() {
        return Err(Failure::Wrong(format!(
            "{what}: {} values shaped {shape:?}, not {}",
            found.len(),
            expected.len()
        )));
    }
    let (share, worst) = tolerance.largest_error(&found, expected);
    if share <= 1.0 {
        return Ok(());
    }
    let largest = expected.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
    let off = (0..found.len())
        .filter(|&i| tolerance.share(found[i], expected[i], largest) > 1.0)
        .count();
    let (x, y) = (found[worst], expected[worst]);
    Err(Failure::Wrong(format!(
        "{what} {shape:?}: {off} of {} values are off; the largest error is at {:?}: {x:.7e}, not {y:.7e}: {:.2e} apart, {share:.1} times \
         what is tolerance (largest value {largest:.2e})",
        found.len(),
        coordinates(worst, shape),
        (x - y).abs(),
    )))
}

/// [`close`] for another tensor, which must have the same shape.
///
/// # Errors
/// As [`close`].
pub fn close_to(
    what: &str,
    found: &TensorData,
    expected: &TensorData,
    tolerance: Tolerance,
) -> Outcome {
    let [a, b] = [found, expected].map(|data| data.shape().to_vec());
    if a != b {
        return Err(Failure::Wrong(format!("{what}: shaped {a:?}, not {b:?}")));
    }
    let expected: Vec<f64> = expected.iter::<f64>().collect();
    close(what, found, &expected, tolerance)
}

/// The coordinates of an entry.
fn coordinates(mut entry: usize, shape: &[usize]) -> Vec<usize> {
    let mut at = vec![0; shape.len()];
    for (at, &side) in at.iter_mut().zip(shape).rev() {
        (*at, entry) = (entry % side, entry / side);
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tolerance::SUMS;

    fn message(found: Vec<f32>, expected: &[f64]) -> Option<String> {
        let n = found.len();
        let found = TensorData::new(found, [n / 2, 2]);
        match close("y", &found, expected, SUMS) {
            Ok(()) => None,
            Err(Failure::Wrong(message) | Failure::Unsupported(message)) => Some(message),
        }
    }

    #[test]
    fn the_message_has_the_index_of_the_largest_difference() {
        assert_eq!(message(vec![1.0, 2.0], &[1.0, 2.000_001]), None);
        let text = message(vec![1.0, 2.0, 3.0, 4.0], &[1.0, 2.0, 3.5, 4.0]).expect("it is off");
        assert!(
            text.starts_with(
                "y [2, 2]: 1 of 4 values are off; the largest error is at [1, 0]: 3.0"
            ),
            "{text}"
        );
    }

    #[test]
    fn nan_differs_from_every_number() {
        assert!(message(vec![f32::NAN, 2.0], &[1.0, 2.0]).is_some());
        assert!(message(vec![1.0, 2.0], &[f64::NAN, 2.0]).is_some());
        assert!(message(vec![f32::INFINITY, 2.0], &[1.0, 2.0]).is_some());
        assert!(message(vec![1.0, 2.0, 3.0, 4.0], &[1.0, 2.0]).is_some());
    }
}

//! From pictures to the classes that a compiled model predicts.

use dnw_data::{ImageError, Picture, Preparation};
use dnw_runtime::{Model, Session};
use rayon::prelude::*;

/// The logits of `count` pictures, `[classes]` each, computed on all of rayon's threads. The result does not depend on their number.
pub fn logits_of<'a, E: From<ImageError> + Send>(
    model: &Model,
    preparation: &Preparation,
    count: usize,
    picture: impl Fn(usize) -> Result<Picture<'a>, E> + Sync,
) -> Vec<Result<Vec<f32>, E>> {
    let memory = || (Session::new(model, 1), vec![0.0; model.image_len()]);
    (0..count)
        .into_par_iter()
        .map_init(memory, |(session, input), index| {
            preparation.prepare(&picture(index)?, input)?;
            let mut logits = vec![0.0; model.output_len()];
            let run = session.run(input, &mut logits);
            run.expect("input and output have the model's lengths");
            Ok(logits)
        })
        .collect()
}

/// The softmax of logits.
pub fn probabilities(logits: &[f32]) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers = logits
        .iter()
        .map(|&logit| libm::exp(f64::from(logit - largest)));
    let powers: Vec<f64> = powers.collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

/// The most probable classes, the most probable first; of equals the later one, as in evaluations.
pub fn top(probabilities: &[f64], most: usize) -> Vec<usize> {
    let mut classes: Vec<usize> = (0..probabilities.len()).rev().collect();
    classes.sort_by(|&a, &b| probabilities[b].total_cmp(&probabilities[a]));
    classes.truncate(most);
    classes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_add_up_whatever_the_logits_are() {
        let even = probabilities(&[3.0; 4]);
        assert!(even.iter().all(|p| (p - 0.25).abs() < 1e-12));
        let far = probabilities(&[1e30, 0.0, -1e30]);
        assert_eq!(far, [1.0, 0.0, 0.0]);
        // e : 1
        let two = probabilities(&[1.0, 0.0]);
        assert!((two[0] / two[1] - std::f64::consts::E).abs() < 1e-6);
    }

    #[test]
    fn the_most_probable_come_first() {
        assert_eq!(top(&[0.1, 0.5, 0.4], 2), [1, 2]);
        assert_eq!(top(&[0.5, 0.5], 5), [1, 0]);
    }
}

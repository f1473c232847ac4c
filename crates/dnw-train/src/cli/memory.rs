//! Whether a training fits into the machine's memory, before anything is written.

use dnw_device::{Backend, DeviceName, Opened, host_memory};
use dnw_train::counting::cost;
use dnw_train::data::DataSet;
use dnw_train::recipe::Recipe;

use super::device::cpu;
use super::failure::Failure;

/// Checks that the training fits, with this many images at once on each device. Only for CPUs: a GPU's free memory is not known.
///
/// # Errors
/// What it needs and what there is, and the number of images that fits.
pub fn check(
    recipe: &Recipe,
    data: &DataSet,
    at_once: usize,
    opened: &[Opened],
) -> Result<(), Failure> {
    let is_cpu = |device: &Opened| {
        matches!(
            device.name,
            DeviceName::Of(Backend::Flex | Backend::NdArray, _)
        )
    };
    let (true, Some(memory)) = (opened.iter().all(is_cpu), host_memory()) else {
        return Ok(());
    };
    let cost = cost(recipe, data.shape(), data.classes.len(), None, &cpu()?)?;
    let needed = |images| cost.training_bytes(images) * opened.len() as u64;
    fits(at_once, memory, needed)
}

/// Checks that `at_once` images do not need more than `memory` bytes.
fn fits(at_once: usize, memory: u64, needed: impl Fn(usize) -> u64) -> Result<(), Failure> {
    if needed(at_once) <= memory {
        return Ok(());
    }
    // The most images that fit: `needed` grows with them.
    let (mut fit, mut too_many) = (0, at_once);
    while too_many - fit > 1 {
        let middle = fit + (too_many - fit) / 2;
        match needed(middle) <= memory {
            true => fit = middle,
            false => too_many = middle,
        }
    }
    let gigabytes = |bytes: u64| bytes as f64 / 1e9;
    let what = format!(
        "{at_once} images at once need about {:.1} GB of memory, and this machine has {:.1} GB",
        gigabytes(needed(at_once)),
        gigabytes(memory)
    );
    Err(Failure::new(
        what,
        match fit {
            0 => "train a smaller network, or on another machine".to_owned(),
            _ => format!("give `--micro-batch {fit}` or less"),
        },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused_with_the_number_of_images_that_does() {
        let needed = |images: usize| 1_000_000_000 + 10_000_000 * images as u64;
        assert!(fits(100, 2_000_000_000, needed).is_ok());
        let lines = fits(101, 2_000_000_000, needed).unwrap_err().to_lines();
        assert!(
            lines.contains("101 images at once need about 2.0 GB"),
            "{lines}"
        );
        assert!(lines.contains("`--micro-batch 100`"), "{lines}");
        let lines = fits(5, 900_000_000, needed).unwrap_err().to_lines();
        assert!(lines.contains("a smaller network"), "{lines}");
    }
}

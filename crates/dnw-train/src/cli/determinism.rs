//! Which trainings have the same bits on every machine, and whether the main job had the README's.

use dnw_core::Forward;
use dnw_device::{Backend, DeviceName, Opened};
use dnw_kernels::settings::InstructionSet;
use dnw_models::ModelConfig;
use dnw_train::recipe::{MAIN_JOB, Recipe};
use dnw_train::run::{Facts, RunFolder, Status};
use dnw_train::training::Precision;

use super::failure::Failure;
use super::train_args::{KernelOption, TrainSettings};

/// SHA-256 of `weights/last.safetensors` of the main job, of every training that [`check`] accepts. The README states it.
pub const MAIN_JOB_WEIGHTS: &str =
    "99943c6324fe4062951dca931687a3e032a97cc43b6a7e8b253723b36f98bb62";

/// The side of the largest images with which networks of convolutions were compared. Larger ones have longer sums.
const LARGEST_SIDE: usize = 32;

/// What the weights of a finished main job are.
pub struct MainJobWeights {
    /// Their hash.
    pub sha256: String,
}

impl MainJobWeights {
    /// Those of a run, if it is the main job as it is and has finished.
    ///
    /// # Errors
    /// If the weights cannot be read.
    pub fn of(recipe: &Recipe, facts: &Facts, folder: &RunFolder) -> Result<Option<Self>, Failure> {
        let main_job = Recipe::named(MAIN_JOB, &[])?;
        if facts.status != Status::Finished || *recipe != main_job {
            return Ok(None);
        }
        let sha256 = folder.weights_hash("last")?;
        Ok(Some(Self { sha256 }))
    }

    /// Whether they have the bits of the README.
    pub fn are_expected(&self) -> bool {
        self.sha256 == MAIN_JOB_WEIGHTS
    }
}

/// Checks that a training gives the same bits on every machine: `--deterministic`. `image` is the shape of the images: channels, height, width.
///
/// # Errors
/// What cannot be vouched for, and what to do instead.
pub fn check(
    recipe: &Recipe,
    image: [usize; 3],
    settings: &TrainSettings,
    opened: &[Opened],
) -> Result<(), Failure> {
    let is_flex = |device: &Opened| matches!(device.name, DeviceName::Of(Backend::Flex, _));
    if !matches!(opened, [one] if is_flex(one)) {
        return Err(refused(
            "other devices than one CPU under Burn's flex",
            "leave `--devices` out and give `--device flex`",
        ));
    }
    if settings.precision != Precision::F32 {
        return Err(refused("16-bit precision", "leave `--precision` out"));
    }
    if settings.kernels != KernelOption::Fastest {
        return Err(refused("plain tensors", "leave `--kernels` out"));
    }
    if std::env::var_os("DNW_PRODUCTS").is_some_and(|value| !value.is_empty()) {
        return Err(refused(
            "one kind of product forced by DNW_PRODUCTS",
            "unset it",
        ));
    }
    if !cfg!(any(target_arch = "x86_64", target_arch = "aarch64")) {
        return Err(refused(
            "processors other than x86-64 and 64-bit ARM, on which no training was compared yet",
            "use one of them",
        ));
    }
    // That of ARM has fused multiply-adds.
    let is_fused = cfg!(target_arch = "aarch64");
    if InstructionSet::in_use() == InstructionSet::Baseline && !is_fused {
        return Err(refused(
            "kernels without fused multiply-adds",
            "use a machine with AVX2, and unset DNW_SIMD",
        ));
    }
    if !was_compared(&recipe.model, image) {
        return Err(refused(
            "images of more than 32 x 32 pixels, which were not compared yet",
            "train another network or on smaller images",
        ));
    }
    let rule = recipe.wiring.rule()?;
    if !matches!(
        rule.forward,
        Forward::Weight | Forward::SoftThreshold | Forward::Dropout { .. }
    ) {
        return Err(refused(
            "a rule whose thresholds need powers or exponentials of the system's library",
            "set `wiring.rule` to another rule",
        ));
    }
    Ok(())
}

/// Whether trainings of such a network on such images were compared, and had the same bits as on x86-64.
fn was_compared(model: &ModelConfig, [_, height, width]: [usize; 3]) -> bool {
    match model {
        ModelConfig::Graph(_) | ModelConfig::Lenet(_) => true,
        _ => height.max(width) <= LARGEST_SIDE,
    }
}

fn refused(what: &str, help: &str) -> Failure {
    Failure::new(
        format!("`--deterministic` cannot vouch for {what}"),
        format!(
            "{help}, or leave `--deterministic` out; docs/determinism.md says what has the same bits on every machine"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_of_convolutions_were_compared_on_small_images() {
        let model = |name: &str| Recipe::named(name, &[]).unwrap().model;
        let [small, large] = [[3, 32, 32], [3, 224, 224]];
        for name in [
            "cifar10-tiny-static-dnw",
            "cifar10-resnet18-dnw-90",
            "cifar10-mobilenet-dnw-x0.225",
            "cifar10-tiny-continuous-dnw",
        ] {
            assert!(was_compared(&model(name), small));
            assert!(!was_compared(&model(name), large), "{name}");
        }
        assert!(was_compared(&model("mnist"), [1, 28, 28]));
        assert!(was_compared(&model("mnist-lenet"), [1, 64, 64]));
    }
}

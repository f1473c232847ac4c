//! Every kind of model: its logits compared with those of its circuit, its gradients with those of flex.

use burn::module::{Module, ModuleDisplay, ParamGroup};
use burn::tensor::{Device, TensorData};
use dnw_circuit::interpret;
use dnw_core::{Budget, Wire, Wired, WiringError};
use dnw_device::Backend;
use dnw_models::{
    Classifier, GradientName, GraphClassifierConfig, Head, LeNetConfig, MobileNetConfig,
    MobileNetDenseConfig, ModelConfig, NoCircuit, ResNetConfig, ResNetStem, SolverName,
    StageConfig, TinyContinuousConfig, TinyDiscreteConfig, TinyStaticConfig, UseModel, Wires,
};

use crate::TestDevice;
use crate::case::{Case, Failure, Outcome, ensure};
use crate::compare::{close, close_to};
use crate::model::{cross_entropy, gradients, with_random_weights};
use crate::random::{Random, upload};
use crate::test_device::reference_device;
use crate::tolerance::{EQUATIONS, NETWORKS, Tolerance};

const IMAGE: [usize; 3] = [3, 32, 32];
const CLASSES: usize = 10;
const BATCH: usize = 3;

pub(crate) fn cases() -> Vec<Case> {
    let of_model = |(name, config): (&str, ModelConfig)| {
        let config_of_gradients = config.clone();
        let logits = move |target: &TestDevice| {
            config.build(IMAGE, CLASSES, &target.autodiff(), CompareLogits { target })?
        };
        let gradients = move |target: &TestDevice| check_gradients(target, &config_of_gradients);
        [
            Case::new(format!("models::{name}::logits_equal_the_circuit"), logits),
            Case::new(format!("models::{name}::gradients"), gradients),
        ]
    };
    models().into_iter().flat_map(of_model).collect()
}

/// A small model of each kind.
fn models() -> Vec<(&'static str, ModelConfig)> {
    let graph = |wires| {
        ModelConfig::Graph(GraphClassifierConfig {
            fold: 4,
            levels: vec![5, 6],
            wires,
            outputs: 4,
            grid: 2,
            edge_std: 0.1,
        })
    };
    let ring = Wires::WattsStrogatz {
        neighbours: 4,
        rewired: 0.75,
        seed: 1,
    };
    let tiny_static = TinyStaticConfig {
        stem: 4,
        level: 6,
        levels: 3,
        outputs: 4,
    };
    let tiny_discrete = TinyDiscreteConfig {
        stem: 4,
        nodes: 16,
        outputs: 5,
        steps: 3,
    };
    let tiny_continuous = TinyContinuousConfig {
        stem: 4,
        nodes: 12,
        outputs: 5,
        solver: SolverName::Rk4,
        steps: Some(2),
        gradient: GradientName::Checkpointed,
        ..TinyContinuousConfig::default()
    };
    let stages = [(6, 1, 1), (8, 2, 2), (8, 2, 3)].map(|(nodes, stride, levels)| StageConfig {
        nodes,
        stride,
        levels,
    });
    let mobilenet = |head| {
        ModelConfig::Mobilenet(MobileNetConfig {
            first: 4,
            stages: stages.to_vec(),
            head,
        })
    };
    let resnet = |depth, stem| {
        ModelConfig::Resnet(ResNetConfig {
            depth,
            width: 4,
            stem,
        })
    };
    vec![
        ("graph", graph(None)),
        ("graph_random", graph(Some(ring))),
        ("lenet", ModelConfig::Lenet(LeNetConfig { hidden: [9, 7] })),
        ("tiny_static", ModelConfig::TinyStatic(tiny_static)),
        ("tiny_discrete", ModelConfig::TinyDiscrete(tiny_discrete)),
        (
            "tiny_continuous",
            ModelConfig::TinyContinuous(tiny_continuous),
        ),
        ("mobilenet", mobilenet(Head::Dense)),
        ("mobilenet_with_a_wired_head", mobilenet(Head::Wired)),
        (
            "mobilenet_dense",
            ModelConfig::MobilenetDense(MobileNetDenseConfig { width: 0.0625 }),
        ),
        ("resnet18", resnet(18, ResNetStem::Small)),
        // With the large stem the last feature maps are single pixels: norms see only three values, one per image, and rounding decides
        // the gradients. The parity cases test that stem, with larger images.
        ("resnet50", resnet(50, ResNetStem::Small)),
    ]
}

/// The model with random weights, half of its edges real.
fn wired<M: Classifier>(model: M) -> Result<Wired<M>, WiringError> {
    let model = with_random_weights(model, 7);
    let wire = Wire::dnw(Budget::Density(0.5));
    match wire.clone().attach(model.clone()) {
        // Plain layers are wired only on request.
        Err(WiringError::NothingToWire) => wire.weights(ParamGroup::all()).attach(model),
        other => other,
    }
}

fn images() -> Vec<f32> {
    Random::new(8).normal(BATCH * IMAGE.iter().product::<usize>())
}

/// The images with each pixel a little larger or smaller, by 2 to 5 units in the last place.
fn perturbed(seed: u64) -> Vec<f32> {
    let images = images();
    let signs = Random::new(seed).uniform(images.len(), -1.0, 1.0);
    let size = (2 + seed % 4) as f32 * f32::EPSILON;
    let perturb = |(pixel, sign): (f32, f32)| pixel * (1.0 + size * sign.signum());
    images.into_iter().zip(signs).map(perturb).collect()
}

fn shape() -> [usize; 4] {
    [BATCH, IMAGE[0], IMAGE[1], IMAGE[2]]
}

/// Compares the logits in evaluation with those of the interpreter of circuits, which uses 64-bit floats and no Burn.
struct CompareLogits<'a> {
    target: &'a TestDevice,
}

impl UseModel for CompareLogits<'_> {
    type Output = Outcome;

    fn with<M: Classifier + ModuleDisplay + 'static>(self, model: M) -> Outcome {
        let model = wired(model)?.valid();
        let pixels = images();
        let logits = model
            .forward(upload(&pixels, shape(), &self.target.device))
            .into_data();
        let circuit = match model.circuit(IMAGE) {
            Ok(circuit) => circuit,
            Err(NoCircuit::StepsFollowImage) => return Err(Failure::wrong("it has no circuit")),
            Err(error) => return Err(error.into()),
        };
        let mut expected = Vec::new();
        for image in pixels.chunks(IMAGE.iter().product()) {
            expected.extend(interpret(&circuit, image)?);
        }
        close("the logits", &logits, &expected, NETWORKS)
    }
}

/// The loss and its gradients, by name.
type Backward = Vec<(String, TensorData)>;

/// Computes the loss and its gradients.
struct Gradients<'a> {
    device: &'a Device,
    images: Vec<f32>,
}

impl UseModel for Gradients<'_> {
    type Output = Result<Backward, Failure>;

    fn with<M: Classifier + ModuleDisplay + 'static>(self, model: M) -> Self::Output {
        let model = wired(model)?;
        let logits = model.forward(upload(&self.images, shape(), self.device));
        let loss = cross_entropy(logits, &[3, 7, 0], self.device);
        let grads = loss.backward();
        let mut found = vec![("loss".to_owned(), loss.into_data())];
        found.extend(gradients(&model, &grads));
        Ok(found)
    }
}

/// How many perturbations of the images are tried on flex.
const PERTURBATIONS: u64 = 64;

/// The gradients equal those of flex; for a residual network, those for some small perturbation of the images.
///
/// The gradient of a ReLU jumps where its input changes sign. ResNet-50 has half a million ReLUs in this case, and each of its 53 norms
/// amplifies the error of those before it by about an eighth: after the last block 32-bit floats differ from 64-bit ones by 5e-5 (root mean
/// square) on flex and by 1e-4 on lavapipe. Forty ReLUs have an input within 1e-4 of zero. So two devices sometimes disagree about a sign,
/// and then every gradient before that ReLU differs, by up to forty times the tolerance. (On lavapipe it is a ReLU at the end of `layer3.4`,
/// whose input is 4.5e-5 and is computed as -5.0e-5.) Flex does the same if its images are perturbed by a few parts in ten million. So the
/// images of flex are perturbed, and for one perturbation *all* gradients must agree: one set of signs must explain everything, within the
/// usual tolerance.
fn check_gradients(target: &TestDevice, config: &ModelConfig) -> Outcome {
    let of = |device: &Device, images| -> Result<Backward, Failure> {
        config.build(IMAGE, CLASSES, device, Gradients { device, images })?
    };
    let tolerance = match config {
        ModelConfig::TinyContinuous(_) => EQUATIONS,
        _ => NETWORKS,
    };
    let tolerance = target.against_flex(tolerance);
    let found = of(&target.autodiff(), images())?;
    let outcome = check_close(&found, &of(&reference_device(), images())?, tolerance);
    let is_flex = target.backend() == Some(Backend::Flex);
    if outcome.is_ok() || is_flex || !matches!(config, ModelConfig::Resnet(_)) {
        return outcome;
    }
    for seed in 0..PERTURBATIONS {
        if check_close(
            &found,
            &of(&reference_device(), perturbed(seed))?,
            tolerance,
        )
        .is_ok()
        {
            return Ok(());
        }
    }
    outcome.map_err(|failure| {
        failure.context(&format!(
            "for none of {PERTURBATIONS} perturbations of the images do all gradients agree; without one"
        ))
    })
}

fn check_close(
    found: &[(String, TensorData)],
    expected: &[(String, TensorData)],
    tolerance: Tolerance,
) -> Outcome {
    ensure(found.len() == expected.len(), || {
        format!(
            "{} parameters have a gradient, not {}",
            found.len(),
            expected.len()
        )
    })?;
    for ((path, found), (known, expected)) in found.iter().zip(expected) {
        ensure(path == known, || {
            format!("there is `{path}` instead of `{known}`")
        })?;
        let what = if path == "loss" {
            "the loss".into()
        } else {
            format!("the gradient of `{path}`")
        };
        close_to(&what, found, expected, tolerance)?;
    }
    Ok(())
}

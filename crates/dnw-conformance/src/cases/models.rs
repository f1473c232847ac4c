//! Every kind of model: its scores beside those of its circuit, its gradients beside flex'.

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

use crate::UnderTest;
use crate::case::{Case, Shortfall, Verdict, ensure};
use crate::compare::{alike, close};
use crate::model::{cross_entropy, filled, gradients};
use crate::numbers::{Numbers, upload};
use crate::tolerance::{Allowed, EQUATIONS, NETWORKS};
use crate::under_test::reference;

const IMAGE: [usize; 3] = [3, 32, 32];
const CLASSES: usize = 10;
const BATCH: usize = 3;

pub(crate) fn cases() -> Vec<Case> {
    let of_kind = |(name, config): (&str, ModelConfig)| {
        let again = config.clone();
        let scores = move |under: &UnderTest| {
            config.build(IMAGE, CLASSES, &under.learning(), Scores { under })?
        };
        let backward = move |under: &UnderTest| check_gradients(under, &again);
        [
            Case::new(format!("models::{name}::scores_are_its_circuits"), scores),
            Case::new(format!("models::{name}::gradients"), backward),
        ]
    };
    kinds().into_iter().flat_map(of_kind).collect()
}

/// Every kind, small.
fn kinds() -> Vec<(&'static str, ModelConfig)> {
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
        ("graph_drawn_at_random", graph(Some(ring))),
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
        // With the large stem its last maps are single pixels, so that norms see as many numbers as there are images, three, and
        // rounding decides the gradients; records of the parity cases are of that stem, with larger images.
        ("resnet50", resnet(50, ResNetStem::Small)),
    ]
}

/// The model with half of the edges that it has, filled.
fn wired<M: Classifier>(model: M) -> Result<Wired<M>, WiringError> {
    let model = filled(model, 7);
    let wire = Wire::dnw(Budget::Density(0.5));
    match wire.clone().attach(model.clone()) {
        // Plain layers are wired where one says so.
        Err(WiringError::NothingToWire) => wire.weights(ParamGroup::all()).attach(model),
        other => other,
    }
}

fn images() -> Vec<f32> {
    Numbers::new(8).normal(BATCH * IMAGE.iter().product::<usize>())
}

/// The images with each pixel a little larger or smaller, by 2 to 5 units of the last place.
fn nudged(seed: u64) -> Vec<f32> {
    let images = images();
    let signs = Numbers::new(seed).uniform(images.len(), -1.0, 1.0);
    let by = (2 + seed % 4) as f32 * f32::EPSILON;
    let nudge = |(pixel, sign): (f32, f32)| pixel * (1.0 + by * sign.signum());
    images.into_iter().zip(signs).map(nudge).collect()
}

fn shape() -> [usize; 4] {
    [BATCH, IMAGE[0], IMAGE[1], IMAGE[2]]
}

/// The scores in evaluation beside those that an interpreter of channels, without Burn and in 64-bit floats, finds.
struct Scores<'a> {
    under: &'a UnderTest,
}

impl UseModel for Scores<'_> {
    type Output = Verdict;

    fn with<M: Classifier + ModuleDisplay + 'static>(self, model: M) -> Verdict {
        let model = wired(model)?.valid();
        let pixels = images();
        let scores = model
            .forward(upload(&pixels, shape(), &self.under.device))
            .into_data();
        let circuit = match model.circuit(IMAGE) {
            Ok(circuit) => circuit,
            Err(NoCircuit::StepsFollowImage) => return Err(Shortfall::wrong("it has no circuit")),
            Err(error) => return Err(error.into()),
        };
        let mut expected = Vec::new();
        for image in pixels.chunks(IMAGE.iter().product()) {
            expected.extend(interpret(&circuit, image)?);
        }
        close("the scores", &scores, &expected, NETWORKS)
    }
}

/// The loss and every gradient of it, by what they are called.
type Backward = Vec<(String, TensorData)>;

/// Finds the loss of images and its gradients.
struct Gradients<'a> {
    device: &'a Device,
    images: Vec<f32>,
}

impl UseModel for Gradients<'_> {
    type Output = Result<Backward, Shortfall>;

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

/// How many roundings of the images are tried on flex.
const ROUNDINGS: u64 = 64;

/// The device's gradients are those of flex; in a residual network, for some rounding of the images.
///
/// A ReLU's gradient jumps where its input changes sign. ResNet-50 has half a million ReLUs in this case, and each of its 53 norms
/// passes on the error of those before it, about an eighth larger: behind the last block 32-bit floats lie 5e-5 (root mean
/// square) from 64-bit ones on flex, 1e-4 on lavapipe. Forty ReLUs have an input within 1e-4 of zero, so two devices now and then see
/// another sign somewhere, and then every gradient before that unit is another, by up to forty times what is allowed. (On lavapipe it is
/// one at the end of `layer3.4`, whose input is 4.5e-5 and comes out as -5.0e-5.) Flex does the same to itself if its images are
/// nudged by some parts in ten million. So it is flex that is nudged, and for one nudge *all* gradients must agree at once: one set of
/// signs must explain everything, within what is allowed elsewhere.
fn check_gradients(under: &UnderTest, config: &ModelConfig) -> Verdict {
    let of = |device: &Device, images| -> Result<Backward, Shortfall> {
        config.build(IMAGE, CLASSES, device, Gradients { device, images })?
    };
    let allowed = match config {
        ModelConfig::TinyContinuous(_) => EQUATIONS,
        _ => NETWORKS,
    };
    let allowed = under.beside_flex(allowed);
    let found = of(&under.learning(), images())?;
    let verdict = check_alike(&found, &of(&reference(), images())?, allowed);
    let is_flex = under.backend() == Some(Backend::Flex);
    if verdict.is_ok() || is_flex || !matches!(config, ModelConfig::Resnet(_)) {
        return verdict;
    }
    for seed in 0..ROUNDINGS {
        if check_alike(&found, &of(&reference(), nudged(seed))?, allowed).is_ok() {
            return Ok(());
        }
    }
    verdict.map_err(|s| {
        s.within(&format!(
            "for none of {ROUNDINGS} roundings alike; as they are"
        ))
    })
}

fn check_alike(
    found: &[(String, TensorData)],
    expected: &[(String, TensorData)],
    allowed: Allowed,
) -> Verdict {
    ensure(found.len() == expected.len(), || {
        format!(
            "{} parameters have a gradient, not {}",
            found.len(),
            expected.len()
        )
    })?;
    for ((path, found), (known, expected)) in found.iter().zip(expected) {
        ensure(path == known, || {
            format!("`{path}` is where `{known}` should be")
        })?;
        let what = if path == "loss" {
            "the loss".into()
        } else {
            format!("the gradient to `{path}`")
        };
        alike(&what, found, expected, allowed)?;
    }
    Ok(())
}

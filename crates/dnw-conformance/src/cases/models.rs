//! Every kind of model: its scores beside those of its circuit, its gradients beside flex'.

use burn::module::{Module, ModuleDisplay, ParamGroup};
use burn::tensor::{Device, TensorData};
use dnw_circuit::interpret;
use dnw_core::{Budget, Wire, Wired, WiringError};
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
use crate::tolerance::{EQUATIONS, NETWORKS};
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

/// The loss and every gradient of it.
struct Gradients<'a> {
    device: &'a Device,
}

impl UseModel for Gradients<'_> {
    type Output = Result<Vec<(String, TensorData)>, Shortfall>;

    fn with<M: Classifier + ModuleDisplay + 'static>(self, model: M) -> Self::Output {
        let model = wired(model)?;
        let logits = model.forward(upload(&images(), shape(), self.device));
        let loss = cross_entropy(logits, &[3, 7, 0], self.device);
        let grads = loss.backward();
        let mut found = vec![("loss".to_owned(), loss.into_data())];
        found.extend(gradients(&model, &grads));
        Ok(found)
    }
}

fn check_gradients(under: &UnderTest, config: &ModelConfig) -> Verdict {
    let of = |device: &Device| config.build(IMAGE, CLASSES, device, Gradients { device });
    let (found, expected) = (of(&under.learning())??, of(&reference())??);
    ensure(found.len() == expected.len(), || {
        format!(
            "{} parameters have a gradient, not {}",
            found.len(),
            expected.len()
        )
    })?;
    let allowed = match config {
        ModelConfig::TinyContinuous(_) => EQUATIONS,
        _ => NETWORKS,
    };
    for ((path, found), (known, expected)) in found.iter().zip(&expected) {
        ensure(path == known, || {
            format!("`{path}` is where `{known}` should be")
        })?;
        let what = if path == "loss" {
            "the loss".into()
        } else {
            format!("the gradient to `{path}`")
        };
        alike(&what, found, expected, under.beside_flex(allowed))?;
    }
    Ok(())
}

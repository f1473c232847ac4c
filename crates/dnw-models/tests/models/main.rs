//! Tests of every model.

#![cfg(feature = "flex")]
#![recursion_limit = "256"]

mod circuits;
mod continuous;
mod published;

use std::collections::BTreeSet;

use burn::module::{Module, ModuleDisplay, ParamGroup};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::{GradientsParams, SgdConfig};
use burn::store::ModuleSnapshot;
use burn::tensor::{Device, Distribution, Int, Tensor};
use dnw_core::{Budget, Wire};
use dnw_models::{
    Classifier, GraphClassifierConfig, Head, LeNetConfig, MobileNetConfig, MobileNetDenseConfig,
    ModelConfig, ModelError, ResNetConfig, ResNetStem, StageConfig, TinyContinuousConfig,
    TinyDiscreteConfig, TinyStaticConfig, UseModel, Wires,
};

pub(crate) fn mobilenet(head: Head) -> ModelConfig {
    let stages = [(6, 1, 1), (8, 2, 2), (8, 2, 3)];
    let stages = stages.map(|(nodes, stride, levels)| StageConfig {
        nodes,
        stride,
        levels,
    });
    ModelConfig::Mobilenet(MobileNetConfig {
        first: 4,
        stages: stages.to_vec(),
        head,
    })
}

pub(crate) fn resnet(depth: usize, stem: ResNetStem) -> ModelConfig {
    ModelConfig::Resnet(ResNetConfig {
        depth,
        width: 4,
        stem,
    })
}

fn graph(wires: Option<Wires>) -> ModelConfig {
    ModelConfig::Graph(GraphClassifierConfig {
        fold: 4,
        levels: vec![5, 6],
        wires,
        outputs: 4,
        grid: 2,
        edge_std: 0.1,
    })
}

pub(crate) fn tiny_continuous() -> TinyContinuousConfig {
    TinyContinuousConfig {
        stem: 4,
        nodes: 20,
        outputs: 5,
        ..TinyContinuousConfig::default()
    }
}

/// A small model of every kind, for images of 3 x 32 x 32.
pub(crate) fn every_model() -> Vec<ModelConfig> {
    vec![
        graph(None),
        graph(Some(Wires::ErdosRenyi {
            probability: 0.4,
            seed: 1,
        })),
        graph(Some(Wires::BarabasiAlbert { edges: 3, seed: 1 })),
        graph(Some(Wires::WattsStrogatz {
            neighbours: 4,
            rewired: 0.75,
            seed: 1,
        })),
        ModelConfig::Lenet(LeNetConfig { hidden: [9, 7] }),
        ModelConfig::TinyStatic(TinyStaticConfig {
            stem: 4,
            level: 6,
            levels: 3,
            outputs: 4,
        }),
        ModelConfig::TinyDiscrete(TinyDiscreteConfig {
            stem: 4,
            nodes: 20,
            outputs: 5,
            steps: 3,
        }),
        ModelConfig::TinyContinuous(tiny_continuous()),
        mobilenet(Head::Dense),
        mobilenet(Head::Wired),
        ModelConfig::MobilenetDense(MobileNetDenseConfig { width: 0.0625 }),
        resnet(18, ResNetStem::Small),
        resnet(50, ResNetStem::Large),
    ]
}

pub(crate) fn with<U: UseModel>(config: &ModelConfig, device: &Device, user: U) -> U::Output {
    config.build([3, 32, 32], 10, device, user).unwrap()
}

#[test]
fn every_model_trains_with_half_its_edges() {
    struct Step;

    impl UseModel for Step {
        type Output = ();

        fn with<M: Classifier + ModuleDisplay + 'static>(self, model: M) {
            let device = Device::flex().autodiff();
            let wire = Wire::dnw(Budget::Density(0.5)).weights(ParamGroup::all());
            let mut model = wire.attach(model).unwrap();
            // The last feature maps have one pixel, so that a batch norm has only one value per image: for two close values its gradient is
            // unbounded.
            let images =
                Tensor::<4>::random([8, 3, 32, 32], Distribution::Normal(0.0, 1.0), &device);
            let labels = Tensor::<1, Int>::from_ints([3, 7, 0, 1, 2, 9, 5, 4], &device);
            let logits = model.forward(images.clone());
            assert_eq!(logits.dims(), [8, 10]);
            let loss = CrossEntropyLossConfig::new()
                .init(&device)
                .forward(logits, labels);
            let grads = GradientsParams::from_grads(loss.backward(), &model);
            model = SgdConfig::new().init().step(1e-3, model, grads);
            let rewiring = model.rewire().unwrap();
            assert!(!rewiring.tensors.is_empty());
            let logits: Vec<f32> = model
                .valid()
                .forward(images.inner())
                .to_data()
                .iter()
                .collect();
            assert!(logits.iter().all(|x| x.is_finite()), "{logits:?}");
        }
    }

    for config in every_model() {
        eprintln!("{config:?}");
        with(&config, &Device::flex().autodiff(), Step);
    }
}

#[test]
fn a_drawing_has_a_feature_map_for_each_node() {
    struct Draw;

    impl UseModel for Draw {
        type Output = ();

        fn with<M: Classifier + ModuleDisplay + 'static>(self, model: M) {
            let Some(drawing) = model.drawing() else {
                return;
            };
            let levels: BTreeSet<usize> = drawing.nodes.iter().map(|node| node.level).collect();
            assert_eq!(
                levels.len(),
                levels.last().unwrap() + 1,
                "no column is empty"
            );
            let images = Tensor::<4>::ones([1, 3, 32, 32], &Device::flex());
            if let Some(maps) = model.node_maps(images) {
                assert_eq!(maps.dims()[1], drawing.nodes.len());
            }
        }
    }

    for config in every_model() {
        with(&config, &Device::flex(), Draw);
    }
}

#[test]
fn the_standard_models_have_the_usual_number_of_parameters() {
    struct Count;

    impl UseModel for Count {
        type Output = usize;

        fn with<M: Classifier + ModuleDisplay + 'static>(self, model: M) -> usize {
            let tensors = model.collect(None, None, false).into_iter();
            let trained = tensors.filter(|tensor| !tensor.name.contains("running_"));
            trained.map(|tensor| tensor.shape.num_elements()).sum()
        }
    }

    // Trainable parameters: Burn also counts the running statistics of norms.
    let count = |config: ModelConfig, side: usize, classes: usize| {
        let image = [3, side, side];
        config
            .build(image, classes, &Device::flex(), Count)
            .unwrap()
    };
    let resnet = |depth, stem| {
        ModelConfig::Resnet(ResNetConfig {
            depth,
            width: 64,
            stem,
        })
    };
    let mobilenet = |width| ModelConfig::MobilenetDense(MobileNetDenseConfig { width });
    // torchvision's resnet18 and resnet50; the CIFAR variant of the former; Keras' MobileNet at alpha 1 and 0.25.
    assert_eq!(count(resnet(18, ResNetStem::Large), 224, 1000), 11_689_512);
    assert_eq!(count(resnet(50, ResNetStem::Large), 224, 1000), 25_557_032);
    assert_eq!(count(resnet(18, ResNetStem::Small), 32, 10), 11_173_962);
    assert_eq!(count(mobilenet(1.0), 224, 1000), 4_231_976);
    assert_eq!(count(mobilenet(0.25), 224, 1000), 470_072);
}

#[test]
fn a_model_that_cannot_be_built_is_an_error() {
    struct Ignore;

    impl UseModel for Ignore {
        type Output = ();

        fn with<M: Classifier + ModuleDisplay + 'static>(self, _: M) {}
    }

    let refused = |config: ModelConfig| {
        let built = config.build([3, 32, 32], 10, &Device::flex(), Ignore);
        built.unwrap_err()
    };
    assert_eq!(
        refused(resnet(20, ResNetStem::Small)),
        ModelError::Depth { depth: 20 }
    );
    for width in [0.0, -1.0, 0.01, f64::NAN] {
        let error = refused(ModelConfig::MobilenetDense(MobileNetDenseConfig { width }));
        assert!(matches!(error, ModelError::Width { .. }), "{error}");
    }
    let tiny = TinyDiscreteConfig {
        stem: 4,
        nodes: 8,
        outputs: 5,
        steps: 1,
    };
    let error = refused(ModelConfig::TinyDiscrete(tiny.clone()));
    let (inputs, outputs, nodes) = (4, 5, 8);
    assert_eq!(
        error,
        ModelError::Nodes {
            inputs,
            outputs,
            nodes
        }
    );
    let error = refused(ModelConfig::TinyDiscrete(TinyDiscreteConfig {
        steps: 0,
        ..tiny
    }));
    assert_eq!(error, ModelError::Zero { field: "steps" });
    for (levels, stride) in [(0, 1), (1, 0)] {
        let stage = StageConfig {
            nodes: 4,
            stride,
            levels,
        };
        let error = refused(ModelConfig::Mobilenet(MobileNetConfig {
            stages: vec![stage],
            ..MobileNetConfig::default()
        }));
        assert!(matches!(error, ModelError::Zero { .. }), "{error}");
    }
}

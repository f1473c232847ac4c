//! What holds of every model.

#![cfg(feature = "flex")]
#![recursion_limit = "256"]

use std::collections::BTreeSet;

use burn::module::{Module, ModuleDisplay, ParamGroup};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::{GradientsParams, SgdConfig};
use burn::store::ModuleSnapshot;
use burn::tensor::{Device, Distribution, Int, Tensor};
use dnw_core::{Budget, Wire};
use dnw_models::{
    Classifier, GradientName, GraphClassifierConfig, Head, LeNetConfig, MobileNetConfig,
    MobileNetDenseConfig, ModelConfig, ModelError, Published, PublishedError, ResNetConfig,
    ResNetStem, SolverName, StageConfig, TinyContinuousConfig, TinyDiscreteConfig,
    TinyStaticConfig, UseModel, Wires,
};

fn mobilenet(head: Head) -> ModelConfig {
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

fn resnet(depth: usize, stem: ResNetStem) -> ModelConfig {
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

fn tiny_continuous() -> TinyContinuousConfig {
    TinyContinuousConfig {
        stem: 4,
        nodes: 20,
        outputs: 5,
        ..TinyContinuousConfig::default()
    }
}

/// Every kind of model, small, for images of 3 x 32 x 32.
fn every_model() -> Vec<ModelConfig> {
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

fn with<U: UseModel>(config: &ModelConfig, device: &Device, user: U) -> U::Output {
    config.build([3, 32, 32], 10, device, user).unwrap()
}

#[test]
fn every_model_takes_a_step_with_half_its_edges() {
    struct Step;

    impl UseModel for Step {
        type Output = ();

        fn with<M: Classifier + ModuleDisplay + 'static>(self, model: M) {
            let device = Device::flex().autodiff();
            let wire = Wire::dnw(Budget::Density(0.5)).weights(ParamGroup::all());
            let mut model = wire.attach(model).unwrap();
            let images =
                Tensor::<4>::random([2, 3, 32, 32], Distribution::Normal(0.0, 1.0), &device);
            let labels = Tensor::<1, Int>::from_ints([3, 7], &device);
            let logits = model.forward(images.clone());
            assert_eq!(logits.dims(), [2, 10]);
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
fn a_drawing_has_a_map_for_each_of_its_nodes() {
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
fn a_model_saved_under_published_names_comes_back() {
    struct RoundTrip<'a>(&'a ModelConfig);

    impl UseModel for RoundTrip<'_> {
        type Output = ();

        fn with<M: Classifier + ModuleDisplay + 'static>(self, model: M) {
            let published = Published::of(self.0);
            let saved = published.save(&model).unwrap();
            let images =
                Tensor::<4>::random([2, 3, 32, 32], Distribution::Default, &Device::flex());
            let expected = model.forward(images.clone()).to_data();
            let mut other = model.map(&mut Blank);
            assert_ne!(other.forward(images.clone()).to_data(), expected);
            let wirings = published.load(&mut other, saved.clone()).unwrap();
            assert!(wirings.is_empty());
            assert_eq!(other.forward(images).to_data(), expected);
            for (name, _) in &saved {
                let path = published.path_of(name);
                assert_eq!(&published.name_of(&path), name);
            }
            let mut short = saved.clone();
            let (last, _) = short.pop().unwrap();
            let error = published.load(&mut other, short).unwrap_err();
            assert_eq!(error, PublishedError::Missing { names: vec![last] });
            let mut long = saved;
            long.push(("layers.99.weight".into(), [0.0f32].into()));
            let error = published.load(&mut other, long).unwrap_err();
            assert!(matches!(error, PublishedError::Unknown { .. }), "{error}");
        }
    }

    /// Writes zeros into every float parameter.
    struct Blank;

    impl burn::module::ModuleMapper for Blank {
        fn map_float<const D: usize>(
            &mut self,
            param: burn::module::Param<Tensor<D>>,
        ) -> burn::module::Param<Tensor<D>> {
            param.map(|tensor| tensor.zeros_like())
        }
    }

    for config in every_model() {
        eprintln!("{config:?}");
        with(&config, &Device::flex(), RoundTrip(&config));
    }
}

#[test]
fn the_places_of_a_model_are_the_names_and_shapes_that_it_is_saved_under() {
    struct Compare<'a>(&'a ModelConfig);

    impl UseModel for Compare<'_> {
        type Output = ();

        fn with<M: Classifier + ModuleDisplay + 'static>(self, model: M) {
            let published = Published::of(self.0);
            let places = published.places(&model);
            let saved = published.save(&model).unwrap();
            let saved: Vec<_> = saved
                .iter()
                .map(|(name, data)| (name.clone(), data.shape().to_vec()))
                .collect();
            let expected: Vec<_> = places
                .iter()
                .map(|place| (place.name.clone(), place.shape.clone()))
                .collect();
            assert_eq!(expected, saved);
            for place in &places {
                assert!(place.takes(&place.shape));
                assert_eq!(published.path_of(&place.name), place.path);
            }
        }
    }

    for config in every_model() {
        eprintln!("{config:?}");
        with(&config, &Device::flex(), Compare(&config));
    }
}

#[test]
fn a_mask_is_published_row_by_row_of_targets_and_comes_back() {
    struct RoundTrip<'a>(&'a ModelConfig);

    impl UseModel for RoundTrip<'_> {
        type Output = ();

        fn with<M: Classifier + ModuleDisplay + 'static>(self, model: M) {
            let published = Published::of(self.0);
            let wire = Wire::new(dnw_core::rules::random(), Budget::Density(0.3));
            let wired = wire
                .weights(ParamGroup::all())
                .attach(model.clone())
                .unwrap();
            let tensors = wired.tensors();
            let wirings: std::collections::BTreeMap<_, _> = tensors
                .iter()
                .map(|tensor| (tensor.name.clone(), tensor.wiring.clone()))
                .collect();
            let masks = published.masks(&*wired, &wirings);
            // Every weight of edges is called `weight`; the kernels of nodes, wired here too, are called otherwise.
            let named = |place: &dnw_models::Place| place.mask_name().is_some();
            let places = published.places(&model);
            for tensor in &tensors {
                let place = places.iter().find(|place| place.path == tensor.name);
                let Some(name) = place.unwrap().mask_name() else {
                    continue;
                };
                let (_, mask) = masks.iter().find(|(found, _)| *found == name).unwrap();
                let mask: Vec<f32> = mask.iter().collect();
                let mut expected = vec![0.0; mask.len()];
                for entry in tensor.wiring.iter() {
                    expected[tensor.shape.by_target(entry)] = 1.0;
                }
                assert_eq!(mask, expected, "{name}");
            }

            let mut other = model;
            let mut saved = published.save(&other).unwrap();
            saved.extend(masks.clone());
            let loaded = published.load(&mut other, saved.clone()).unwrap();
            let published_ones: std::collections::BTreeMap<_, _> = wirings
                .into_iter()
                .filter(|(path, _)| places.iter().any(|p| p.path == *path && named(p)))
                .collect();
            assert_eq!(loaded, published_ones);

            let (name, mask) = &masks[0];
            let soft: Vec<f32> = mask.iter::<f32>().map(|real| 0.5 * real).collect();
            let soft = burn::tensor::TensorData::new(soft, mask.shape());
            let place = saved.iter().position(|(found, _)| found == name).unwrap();
            saved[place].1 = soft;
            let error = published.load(&mut other, saved).unwrap_err();
            let expected = PublishedError::Mask {
                name: name.clone(),
                found: "0.5".into(),
            };
            assert_eq!(error, expected);
        }
    }

    for config in every_model() {
        eprintln!("{config:?}");
        with(&config, &Device::flex(), RoundTrip(&config));
    }
}

#[test]
fn the_standard_models_have_as_many_parameters_as_elsewhere() {
    struct Count;

    impl UseModel for Count {
        type Output = usize;

        fn with<M: Classifier + ModuleDisplay + 'static>(self, model: M) -> usize {
            let tensors = model.collect(None, None, false).into_iter();
            let trained = tensors.filter(|tensor| !tensor.name.contains("running_"));
            trained.map(|tensor| tensor.shape.num_elements()).sum()
        }
    }

    // Trained ones: Burn counts the running statistics of norms too.
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
fn a_model_that_cannot_be_made_says_why() {
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

/// The kinks of the nodes make the adjoint's way back inexact, so it is only asked to be near.
#[test]
fn every_gradient_of_continuous_time_is_about_the_same() {
    let device = Device::flex().autodiff();
    device.seed(3);
    let images = Tensor::<4>::random([2, 3, 32, 32], Distribution::Normal(0.0, 1.0), &device);
    let labels = Tensor::<1, Int>::from_ints([3, 7], &device);
    let make = |gradient| {
        let config = TinyContinuousConfig {
            gradient,
            rtol: 1e-4,
            atol: 1e-4,
            ..tiny_continuous()
        };
        config.init([3, 32, 32], 10, &device).unwrap()
    };
    let first = make(GradientName::Through);
    let gradients = |gradient| {
        let model = make(gradient).load_record(first.clone().into_record());
        let model = Wire::dnw(Budget::Density(0.5)).attach(model).unwrap();
        let loss = CrossEntropyLossConfig::new().init(&device);
        let loss = loss.forward(model.forward(images.clone()), labels.clone());
        let grads = loss.backward();
        let stem = model.stem.conv1.weight.val().grad(&grads).unwrap();
        let edges = model.graph.weight.base().grad(&grads).unwrap();
        let kernels = model.graph.function.kernel.val().grad(&grads).unwrap();
        [stem, edges, kernels].map(|gradient| gradient.flatten::<1>(0, 3).inner())
    };
    let through = gradients(GradientName::Through);
    let norm = |x: Tensor<1>| (x.clone() * x).sum().sqrt().into_scalar::<f32>();
    for (other, share) in [
        (GradientName::Checkpointed, 1e-5),
        (GradientName::Adjoint, 0.25),
    ] {
        for (a, b) in through.iter().zip(gradients(other)) {
            let apart = norm(a.clone() - b) / norm(a.clone());
            assert!(apart <= share, "{other:?}: {apart}");
        }
    }
}

#[test]
fn a_solution_that_the_limit_ends_is_an_error_and_no_number() {
    let config = TinyContinuousConfig {
        limit: 12,
        ..tiny_continuous()
    };
    let device = Device::flex().autodiff();
    let model = config.init([3, 32, 32], 10, &device).unwrap();
    let images = Tensor::<4>::random([2, 3, 32, 32], Distribution::Normal(0.0, 1.0), &device);
    let error = model.try_forward(images.clone()).unwrap_err();
    assert!(error.to_string().contains("12 evaluations"), "{error}");
    let logits = model.forward(images);
    assert_eq!(logits.dims(), [2, 10]);
    assert!(logits.clone().to_data().iter::<f32>().all(f32::is_nan));
    logits.sum().backward();
}

#[test]
fn a_solver_without_an_error_estimate_asks_for_its_steps() {
    let device = Device::flex();
    let euler = TinyContinuousConfig {
        solver: SolverName::Euler,
        ..tiny_continuous()
    };
    let error = euler.init([3, 32, 32], 10, &device).unwrap_err();
    assert!(error.to_string().contains("euler"), "{error}");
    let with_steps = TinyContinuousConfig {
        steps: Some(4),
        ..euler
    };
    with_steps.init([3, 32, 32], 10, &device).unwrap();
}

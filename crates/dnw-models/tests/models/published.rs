//! Tests of published names and layouts.

use std::collections::BTreeMap;

use burn::module::{ModuleDisplay, ParamGroup};
use burn::tensor::{Device, Distribution, Tensor, TensorData};
use dnw_core::{Budget, Wire, Wiring, rules};
use dnw_models::{
    Classifier, Head, LeNetConfig, ModelConfig, Place, Published, PublishedError, ResNetStem,
    UseModel,
};

use crate::{every_model, mobilenet, resnet, with};

#[test]
fn a_model_round_trips_through_published_names() {
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

    /// Sets every float parameter to zero.
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

/// Exports a model.
struct Save<'a>(&'a ModelConfig);

impl UseModel for Save<'_> {
    type Output = BTreeMap<String, TensorData>;

    fn with<M: Classifier + ModuleDisplay + 'static>(self, model: M) -> Self::Output {
        let saved = Published::of(self.0).save(&model).unwrap();
        saved.into_iter().collect()
    }
}

#[test]
fn exported_tensors_have_the_names_and_shapes_of_their_programs() {
    let shapes = |config: &ModelConfig, names: &[&str]| -> Vec<Vec<usize>> {
        let saved = with(config, &Device::flex(), Save(config));
        let shape = |name: &&str| {
            let tensor = saved.get(*name);
            let tensor = tensor.unwrap_or_else(|| panic!("`{name}` in {:?}", saved.keys()));
            tensor.shape().to_vec()
        };
        names.iter().map(shape).collect()
    };
    let graphs = [
        "conv1.weight",
        "layers.0.downsample.0.weight",
        "layers.2.conv.weight",
        "layers.2.norm.1.running_var",
        "layers.2.graph.weight",
        "bn.weight",
    ];
    let found = shapes(
        &mobilenet(Head::Dense),
        &[&graphs[..], &["linear.weight"]].concat(),
    );
    let expected: [&[usize]; 7] = [
        &[4, 3, 3, 3],
        &[4, 1, 3, 3],
        &[16, 1, 3, 3],
        &[8],
        &[24, 24, 1, 1],
        &[8],
        &[10, 8],
    ];
    assert_eq!(found, expected);
    let found = shapes(&mobilenet(Head::Wired), &["linear.graph.weight"]);
    assert_eq!(found, [[10, 8, 1, 1]]);
    let names = [
        "bn1.weight",
        "layer4.1.bn2.bias",
        "layer2.0.downsample.1.weight",
        "fc.weight",
    ];
    let found = shapes(&resnet(18, ResNetStem::Small), &names);
    assert_eq!(found, [vec![4], vec![32], vec![8], vec![10, 32]]);
    let lenet = ModelConfig::Lenet(LeNetConfig { hidden: [9, 7] });
    assert_eq!(shapes(&lenet, &["fc2.weight"]), [[7, 9]]);
}

#[test]
fn a_classifier_published_as_a_convolution_is_the_same_classifier() {
    struct Reload<'a>(&'a ModelConfig, BTreeMap<String, TensorData>);

    impl UseModel for Reload<'_> {
        type Output = BTreeMap<String, TensorData>;

        fn with<M: Classifier + ModuleDisplay + 'static>(self, mut model: M) -> Self::Output {
            let published = Published::of(self.0);
            let counter = TensorData::new(vec![7.0f32], [1]);
            let extra = ["bn1.num_batches_tracked", "zeros"];
            let extra = extra.map(|name| (name.to_owned(), counter.clone()));
            published
                .load(&mut model, self.1.into_iter().chain(extra))
                .unwrap();
            published.save(&model).unwrap().into_iter().collect()
        }
    }

    let (config, device) = (resnet(50, ResNetStem::Large), Device::flex());
    let saved = with(&config, &device, Save(&config));
    let mut as_convolution = saved.clone();
    let fc = as_convolution.get_mut("fc.weight").unwrap();
    let [rows, columns] = [fc.shape()[0], fc.shape()[1]];
    *fc = TensorData::new(fc.iter::<f32>().collect(), [rows, columns, 1, 1]);
    let again = with(&config, &device, Reload(&config, as_convolution));
    assert_eq!(again, saved);
}

#[test]
fn a_published_mask_of_a_wired_classifier_is_that_of_its_edges() {
    struct Masked<'a>(&'a ModelConfig);

    impl UseModel for Masked<'_> {
        type Output = ();

        fn with<M: Classifier + ModuleDisplay + 'static>(self, mut model: M) {
            let published = Published::of(self.0);
            let mut tensors = published.save(&model).unwrap();
            // The edge from channel 5 to class 3.
            let mut mask = vec![0.0f32; 80];
            mask[3 * 8 + 5] = 1.0;
            let mask = TensorData::new(mask, [10, 8, 1, 1]);
            tensors.push(("linear.graph.mask".to_owned(), mask));
            let wirings = published.load(&mut model, tensors).unwrap();
            // Burn's weight is `[channels, classes]`.
            let expected = Wiring::from_entries(80, [5 * 10 + 3]);
            assert_eq!(
                wirings,
                BTreeMap::from([("fc.weight".to_owned(), expected)])
            );
            let wire = Wire::new(rules::random(), Budget::Density(0.1));
            let mut model = wire.attach(model).unwrap();
            model.set_wirings(&wirings).unwrap();
            let edges = model
                .tensors()
                .into_iter()
                .find(|t| t.name == "fc.weight")
                .unwrap();
            let entry = edges.wiring.iter().next().unwrap();
            assert_eq!(edges.shape.edge(entry), (3, 5, 0), "target and source");
        }
    }

    let config = mobilenet(Head::Wired);
    with(&config, &Device::flex(), Masked(&config));
}

#[test]
fn the_places_of_a_model_equal_its_exported_names_and_shapes() {
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
fn a_mask_round_trips_and_is_published_by_target() {
    struct RoundTrip<'a>(&'a ModelConfig);

    impl UseModel for RoundTrip<'_> {
        type Output = ();

        fn with<M: Classifier + ModuleDisplay + 'static>(self, model: M) {
            let published = Published::of(self.0);
            let wire = Wire::new(rules::random(), Budget::Density(0.3));
            let wired = wire
                .weights(ParamGroup::all())
                .attach(model.clone())
                .unwrap();
            let tensors = wired.tensors();
            let wirings: BTreeMap<_, _> = tensors
                .iter()
                .map(|tensor| (tensor.name.clone(), tensor.wiring.clone()))
                .collect();
            let masks = published.masks(&*wired, &wirings);
            // Weights of edges are named `weight`; the kernels of nodes, which are wired here too, are not.
            let named = |place: &Place| place.mask_name().is_some();
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
            let published_ones: BTreeMap<_, _> = wirings
                .into_iter()
                .filter(|(path, _)| places.iter().any(|p| p.path == *path && named(p)))
                .collect();
            assert_eq!(loaded, published_ones);

            let (name, mask) = &masks[0];
            let soft: Vec<f32> = mask.iter::<f32>().map(|real| 0.5 * real).collect();
            let soft = TensorData::new(soft, mask.shape());
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

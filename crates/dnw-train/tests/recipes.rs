//! Every recipe that comes with the program is one that trains.

#![cfg(feature = "flex")]

use std::collections::BTreeSet;

use burn::module::ModuleDisplay;
use burn::tensor::{Device, Tensor, TensorData};
use dnw_compiler::{Passes, compile};
use dnw_models::{Classifier, NoCircuit, UseModel};
use dnw_runtime::plan::Input;
use dnw_runtime::{Model as Compiled, Session};
use dnw_train::data::{DataSet, Images, Loader};
use dnw_train::recipe::{Recipe, entries};
use dnw_train::training::Training;

/// Two images of noise.
fn two_images(side: usize, channels: usize, classes: usize) -> DataSet {
    let images = || {
        let pixels = (0..2 * channels * side * side).map(|i| (i * i % 251) as u8);
        Images::new([channels, side, side], pixels.collect(), vec![0, 1]).unwrap()
    };
    let names = (0..classes).map(|class| class.to_string()).collect();
    let statistics = (vec![0.5; channels], vec![0.3; channels]);
    DataSet::new("noise", names, images(), images(), statistics).unwrap()
}

struct Step<'a>(&'a Recipe, &'a DataSet, &'a Device);

impl UseModel for Step<'_> {
    /// The loss, real edges, and the edges that the rule starts with at least.
    type Output = (f32, usize, usize);

    fn with<M: Classifier + ModuleDisplay + 'static>(self, model: M) -> Self::Output {
        let Self(recipe, data, device) = self;
        let mut training = Training::begin(model, recipe, data, device).unwrap();
        let batch = training.batches().unwrap().next().unwrap().unwrap();
        let update = training.step(&batch).unwrap();
        let tensors = training.model.tensors();
        let real = tensors.iter().map(|tensor| tensor.wiring.count()).sum();
        let budget = tensors.iter().map(|tensor| tensor.budget).sum();
        check_compiled(&*training.model, recipe, data);
        (update.loss, real, budget)
    }
}

/// Checks that the compiled model has the logits of the model.
fn check_compiled<M: Classifier>(model: &M, recipe: &Recipe, data: &DataSet) {
    let model = model.valid();
    let circuit = match model.circuit(data.shape()) {
        Ok(circuit) => circuit,
        Err(error) => {
            assert_eq!(error, NoCircuit::StepsFollowImage, "{}", recipe.name);
            return;
        }
    };
    let plan = compile(&circuit, Input::default(), Passes::default());
    let mut session = Session::new(&Compiled::new(plan).unwrap(), 1);
    let batch = Loader::test(data, 2).unwrap().in_order().unwrap().next();
    let images = batch.unwrap().unwrap().images;
    let [channels, height, width] = data.shape();
    let tensor = TensorData::new(images.clone(), [2, channels, height, width]);
    let logits = model.forward(Tensor::from_data(tensor, &Device::flex()));
    let logits: Vec<f32> = logits.to_data().iter().collect();
    let mut compiled = vec![0.0; logits.len()];
    session.run(&images, &mut compiled).unwrap();
    let classes = data.classes.len();
    for (found, expected) in compiled.chunks(classes).zip(logits.chunks(classes)) {
        let largest = expected.iter().fold(0.0, |most: f32, x| most.max(x.abs()));
        for (a, b) in found.iter().zip(expected) {
            // Relative to the largest logit, as rounding is.
            let difference = (a - b).abs() / largest;
            assert!(difference < 1e-4, "{}: {a} is not {b}", recipe.name);
        }
    }
}

/// Recipes of one model and one rule differ in numbers only, so one of them stands for all.
#[test]
fn every_recipe_resolves_takes_a_step_on_two_images_and_compiles_to_the_same_logits() {
    let mut seen = BTreeSet::new();
    for entry in entries() {
        let changes = ["batch=2", "transforms={}"].map(String::from);
        let recipe = Recipe::named(&entry.name, &changes).unwrap();
        if !seen.insert(format!("{:?} {}", recipe.model, recipe.wiring.rule)) {
            continue;
        }
        // Images of ImageNet's size would take minutes; the layers are the same.
        let (side, channels, classes) = match recipe.data.as_str() {
            "digits" => (8, 1, 10),
            "mnist" => (28, 1, 10),
            "cifar10" => (32, 3, 10),
            _ => (64, 3, 1000),
        };
        let recipe = Recipe {
            train_images: None,
            test_images: None,
            ..recipe
        };
        let data = two_images(side, channels, classes);
        let device = Device::flex().autodiff();
        device.seed(recipe.seed);
        let step = Step(&recipe, &data, &device);
        let built = recipe.model.build(data.shape(), classes, &device, step);
        let (loss, real, budget) = built.unwrap();
        assert!(loss.is_finite() && loss > 0.0, "{}: {loss}", entry.name);
        assert!(real >= budget, "{}: {real} of {budget}", entry.name);
    }
}

#[test]
fn two_of_four_with_a_dense_first_layer_of_three_channels_is_a_recipe() {
    for (name, dense) in [
        ("imagenet-resnet50-first-dense-50", None),
        (
            "imagenet-resnet50-all-50",
            Some("wiring.dense=[\"conv1.weight\"]"),
        ),
    ] {
        let mut changes = vec![
            "wiring.unit=2-of-4",
            "model.depth=18",
            "batch=2",
            "transforms={}",
        ];
        changes.extend(dense);
        let changes: Vec<String> = changes.into_iter().map(String::from).collect();
        let recipe = Recipe::named(name, &changes).unwrap();
        let data = two_images(64, 3, 1000);
        let device = Device::flex().autodiff();
        let step = Step(&recipe, &data, &device);
        let made = recipe.model.build(data.shape(), 1000, &device, step);
        let (_, real, _) = made.unwrap();
        // ResNet-18 has 11,689,512 parameters, of which 9,600 belong to norms and 1000 are biases.
        let weights = 11_689_512 - 9_600 - 1_000;
        let first = 64 * 3 * 7 * 7;
        assert_eq!(real, first + (weights - first) / 2, "{name}");
    }
}
